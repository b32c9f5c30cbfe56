"""Verdicts where no method differs: false about as often as the nominal .05, and never from one seed."""

import pytest

from tests.simulations.verdicts import many_tasks, one_task, rates


def test_one_seed_gives_no_verdict_however_many_rows() -> None:
    found = [one_task(i, seeds=1, rivals=4, scatter=0.3, rows=2000) for i in range(20)]
    assert rates(found) == (0, 0, 0)


# Of 150 experiments at .05, more than .1 are false once in some 100 times; by rows alone .3 to .6 of verdicts are.
@pytest.mark.parametrize(("seeds", "rivals", "per_group"), [(2, 1, 1), (3, 6, 1), (3, 1, 4)])
def test_verdicts_within_a_task_are_false_as_seldom_as_they_say(seeds: int, rivals: int, per_group: int) -> None:
    found = [one_task(i, seeds=seeds, rivals=rivals, scatter=0.15, rows=400, per_group=per_group) for i in range(150)]
    assert rates(found)[0] < 0.1


@pytest.mark.parametrize("skewed", [False, True])
def test_verdicts_across_tasks_are_false_as_seldom_as_they_say(skewed: bool) -> None:
    found = [many_tasks(i, tasks=9, rivals=1, skewed=skewed) for i in range(300)]
    any_, better, worse = rates(found)
    assert 0.015 < any_ < 0.09
    assert better > 0
    assert worse > 0


def test_five_tasks_cannot_tell() -> None:
    assert rates([many_tasks(i, tasks=5, rivals=1) for i in range(50)])[0] == 0
