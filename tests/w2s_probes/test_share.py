"""Whose part is it: `--shard i/n`, torchrun, Slurm, and environments that say nonsense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2s_probes import InputError
from w2s_probes.share import WHOLE, Share


@given(st.integers(1, 20), st.integers(0, 60))
def test_every_part_is_one_processs(count: int, part: int) -> None:
    assert [Share(i, count).has(part) for i in range(count)].count(True) == 1
    assert WHOLE.has(part)


def array(task: int, count: int, first: int, last: int, step: int) -> dict[str, str]:
    """What Slurm tells a task of an array."""
    names = {"ID": task, "COUNT": count, "MIN": first, "MAX": last, "STEP": step}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in names.items()}


TORCHRUN = {"RANK": "3", "WORLD_SIZE": "8"}
SRUN = {"SLURM_PROCID": "2", "SLURM_NTASKS": "4"}
UNDERSTOOD: dict[str, tuple[str | None, dict[str, str], Share]] = {
    "nothing": (None, {}, WHOLE),
    "by hand": ("2/5", {}, Share(2, 5)),
    "by hand, whatever the environment says": ("0/2", TORCHRUN, Share(0, 2)),
    "torchrun": ("auto", TORCHRUN, Share(3, 8)),
    "torchrun, which started us": (None, TORCHRUN | {"TORCHELASTIC_RUN_ID": "x"}, Share(3, 8)),
    "somebody's RANK, who did not start us": (None, TORCHRUN, WHOLE),
    "srun": ("auto", SRUN, Share(2, 4)),
    "srun, unasked": (None, SRUN, WHOLE),
    "an array from 0": ("auto", array(5, 10, 0, 9, 1), Share(5, 10)),
    "an array from 1": ("auto", array(10, 10, 1, 10, 1), Share(9, 10)),
    "an array from 7 by 3": ("auto", array(13, 4, 7, 16, 3), Share(2, 4)),
    "an array of one, given again": ("auto", array(5, 1, 5, 5, 1), Share(0, 1)),
    "an array that says no more than its size": (
        "auto",
        {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "3"},
        Share(2, 3),
    ),
    "torchrun inside an array": ("auto", TORCHRUN | array(1, 4, 0, 3, 1), Share(3, 8)),
    "an array, each task by srun": ("auto", SRUN | array(1, 4, 0, 3, 1), Share(1, 4)),
}


@pytest.mark.parametrize("case", UNDERSTOOD)
def test_shares_are_understood(case: str) -> None:
    spec, environment, share = UNDERSTOOD[case]
    assert Share.parse(spec, environment) == share


@pytest.mark.parametrize(("first", "last", "step"), [(0, 9, 1), (1, 8, 1), (0, 9, 3), (5, 29, 4)])
def test_the_tasks_of_an_array_share_everything_once(first: int, last: int, step: int) -> None:
    tasks = range(first, last + 1, step)
    shares = [Share.parse("auto", array(task, len(tasks), first, tasks[-1], step)) for task in tasks]
    assert shares == [Share(i, len(tasks)) for i in range(len(tasks))]


NONSENSE = {
    "a share beyond the last": ("3/3", {}, r"shard '3/3': give i/n with i from 0 to n - 1"),
    "a share of none": ("0/0", {}, "shard '0/0': give i/n"),
    "a negative share": ("-1/3", {}, "shard '-1/3': give i/n"),
    "a word": ("x", {}, "shard 'x': give i/n"),
    "no word": ("", {}, "shard '': give i/n"),
    "digits that are none of ours": ("٣/٤", {}, "give i/n"),
    "a number beyond reason": ("1/99999999", {}, "give i/n"),
    "auto, where nobody numbers": ("auto", {}, "neither torchrun .* nor Slurm .* numbers this process: give --shard"),
    "half of torchrun": ("auto", {"RANK": "1"}, "neither torchrun"),
    "torchrun without numbers": (None, {"TORCHELASTIC_RUN_ID": "x"}, "neither torchrun"),
    "a RANK that is no number": ("auto", TORCHRUN | {"RANK": "one"}, "RANK='one' in the environment is no number"),
    "an empty WORLD_SIZE": ("auto", TORCHRUN | {"WORLD_SIZE": ""}, "WORLD_SIZE='' in the environment is no number"),
    "a negative RANK": ("auto", TORCHRUN | {"RANK": "-1"}, "RANK='-1' in the environment is no number"),
    "a RANK beyond the world": ("auto", TORCHRUN | {"RANK": "8"}, "RANK=8 is not below WORLD_SIZE=8"),
    "a world of none": ("auto", {"RANK": "0", "WORLD_SIZE": "0"}, "RANK=0 is not below WORLD_SIZE=0"),
    "a torchrun that lies": (None, TORCHRUN | {"TORCHELASTIC_RUN_ID": "x", "RANK": "1e3"}, "RANK='1e3'"),
    "a task that is no number": ("auto", array(1, 4, 0, 3, 1) | {"SLURM_ARRAY_TASK_ID": "1_2"}, "TASK_ID='1_2'"),
    "a first task that is no number": ("auto", array(1, 4, 0, 3, 1) | {"SLURM_ARRAY_TASK_MIN": "?"}, "MIN='?'"),
    "a task before the first": ("auto", array(1, 4, 2, 5, 1), "its numbers are not even steps: give --shard"),
    "a list of tasks, by its last": ("auto", array(7, 3, 1, 7, 1), "task 7 of a Slurm array of 3 from 1 to 7 by 1"),
    "a list of tasks, by its first": ("auto", array(1, 3, 1, 7, 1), "its numbers are not even steps"),
    "a task between the steps": ("auto", array(2, 4, 0, 9, 3), "its numbers are not even steps"),
}


@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense_is_refused(case: str) -> None:
    spec, environment, message = NONSENSE[case]
    with pytest.raises(InputError, match=message):
        Share.parse(spec, environment)
