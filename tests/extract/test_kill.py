"""Killed at any instant and given again, an extraction ends with the same files, bit for bit, and with no others.

`W2S_KILLS=100 pytest tests/extract/test_kill.py` kills oftener than the usual run.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

import numpy as np
import pandas as pd
import pytest

from extract.extractor import Extraction, extract
from extract.models.loading import Placement
from tests.worlds.processes import SMALL_IDS, Warm, write_small_store
from w2s_probes import ActivationStore, InputError
from w2s_probes.io.files import PARTIAL
from w2s_probes.io.tables import write_table
from w2s_probes.store.manifest import Manifest
from w2s_probes.store.writer import StoreWriter

KILLS = max(20, int(os.environ.get("W2S_KILLS", "20")))
GOLDEN = (5**0.5 - 1) / 2  # its multiples, less the whole numbers in them, are spread evenly, however many there are
Files = dict[str, bytes]


def files_of(folder: Path) -> Files:
    """Every file in a folder, hidden ones too."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    parent = Warm(tmp_path_factory.mktemp("warm") / "log")
    yield parent
    parent.close()


@dataclass(frozen=True)
class Run:
    """A command that is given again and again, and what it left when nobody disturbed it."""

    warm: Warm
    command: tuple[object, ...]
    files: Files
    seconds: float
    steps: int

    def start(self, out: Path, *more: object, dies_at: int = 0) -> int:
        return self.warm.start(*self.command, "--out", out, *more, dies_at=dies_at)

    def end(self, pid: int) -> int:
        code = self.warm.wait(pid)
        assert code in (0, -SIGKILL), self.warm.log.read_text()[-2000:]
        return code


@pytest.fixture
def undisturbed(warm: Warm, checkpoint: Callable[..., Path], rows: pd.DataFrame, tmp_path: Path) -> Run:
    write_table(rows, tmp_path / "rows.jsonl")
    command = ("extract", checkpoint(), "--rows", tmp_path / "rows.jsonl", "--position", "mean")
    out, steps = tmp_path / "undisturbed", tmp_path / "steps"
    assert warm.run(*command, "--out", tmp_path / "first") == 0  # whatever is slow the first time
    began = time.monotonic()
    assert warm.run(*command, "--out", out) == 0
    seconds = time.monotonic() - began
    assert warm.run(*command, "--out", tmp_path / "counted", steps_to=steps) == 0
    files = files_of(out)
    assert files == files_of(tmp_path / "first") == files_of(tmp_path / "counted")
    assert len(Manifest.read(out).shards) == len(files) - 1 == 10
    return Run(warm, command, files, seconds, int(steps.read_text()))


def test_killed_anywhere_and_given_again_it_ends_with_the_same_bits(undisturbed: Run, tmp_path: Path) -> None:
    """A store is begun, killed up to four times, and then given again until it is done; then another is begun.

    The first of a store's kills come at steps spread evenly over a whole run, the others by the clock or at a step.
    """
    rng = np.random.default_rng(0)
    shards_then: list[int] = []
    half_written: list[str] = []
    lives = 0
    while len(shards_then) < KILLS:
        out = tmp_path / f"life-{lives}"
        kept: dict[str, int] = {}
        for attempt in range(rng.integers(1, 5)):
            by_clock = bool(attempt and rng.random() < 0.7)
            share = rng.random() if attempt else lives * GOLDEN % 1
            pid = undisturbed.start(out, dies_at=0 if by_clock else 1 + int(share * undisturbed.steps))
            if by_clock:
                time.sleep(share * undisturbed.seconds)
                os.kill(pid, SIGKILL)
            if undisturbed.end(pid) == 0:
                break
            there = files_of(out)
            whole = {name for name in there if name.startswith("shard-")}
            assert all(there[name] == undisturbed.files[name] for name in whole)
            kept = {name: (out / name).stat().st_ino for name in whole} | kept
            assert_whole_or_refused(out, undisturbed.files)
            shards_then.append(len(whole))
            half_written += [name for name in there if PARTIAL.fullmatch(name)]
        undisturbed.end(undisturbed.start(out))
        assert files_of(out) == undisturbed.files
        assert ActivationStore.open(out).verify().ok
        assert {name: (out / name).stat().st_ino for name in kept} == kept  # what was whole is not written again
        lives += 1
    assert len(set(shards_then)) >= 5  # of the 11 that there can be: the kills are spread over the whole of a run
    assert min(shards_then) == 0
    assert any("shard" in name for name in half_written)


def assert_whole_or_refused(store: Path, files: Files) -> None:
    if files.keys() <= files_of(store).keys():
        assert ActivationStore.open(store).verify().ok
    else:
        with pytest.raises(InputError, match=r"no such store|not an activation store|not finished"):
            ActivationStore.open(store)


def test_killed_at_each_step_of_writing_nothing_is_lost_that_was_whole(warm: Warm, tmp_path: Path) -> None:
    """Every step is tried where there is time, and every fourth in the usual run; the model has no part in it."""
    write_small_store(tmp_path / "whole")
    expected = files_of(tmp_path / "whole")
    assert warm.run("small", tmp_path / "counted", steps_to=tmp_path / "steps") == 0
    assert files_of(tmp_path / "counted") == expected
    steps = int((tmp_path / "steps").read_text())
    left: list[str] = []
    shards = 0
    for step in range(1, steps + 1, 1 if KILLS >= 100 else 4):
        out = tmp_path / f"step-{step}"
        assert warm.run("small", out, dies_at=step) == -SIGKILL
        there = files_of(out)
        assert_whole_or_refused(out, expected)
        assert len([name for name in there if name.startswith("shard-")]) >= shards  # never less at a later step
        shards = len([name for name in there if name.startswith("shard-")])
        left += [name for name in there if PARTIAL.fullmatch(name)]
        write_small_store(out)
        assert files_of(out) == expected
        assert ActivationStore.open(out).ids.tolist() == SMALL_IDS
    assert shards == 2
    assert {name.rpartition("partial.")[2] for name in left} == {"shard-00000.h5", "shard-00001.h5", "manifest.json"}


def test_killed_between_the_last_shard_and_its_listing_the_manifest_says_the_same(
    checkpoint: Callable[..., Path], rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever lists the shards has computed none, and has no engine to tell of."""
    whole = extract(Extraction.plan(str(checkpoint()), rows), tmp_path / "whole", placement=Placement(batch_tokens=50))
    assert whole.manifest.notes["batch_tokens"] == 50

    class Killed(BaseException):
        pass

    def finish(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(StoreWriter, "finish", finish)
        with pytest.raises(Killed):
            extract(Extraction.plan(str(checkpoint()), rows), tmp_path / "s", placement=Placement(batch_tokens=50))
    assert not Manifest.read(tmp_path / "s").shards
    extract(Extraction.plan(str(checkpoint()), rows), tmp_path / "s")
    assert files_of(tmp_path / "s") == files_of(tmp_path / "whole")


def test_two_processes_given_the_same_work_agree(undisturbed: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    killed = 0
    for attempt in range(4):
        out = tmp_path / f"twice-{attempt}"
        first, second = undisturbed.start(out), undisturbed.start(out)
        if attempt:  # the other goes on alone
            time.sleep(rng.uniform(0.5, 1) * undisturbed.seconds)
            os.kill(first, SIGKILL)
        codes = [undisturbed.end(pid) for pid in (first, second)]
        killed += codes[0] == -SIGKILL
        assert codes[1] == 0
        undisturbed.end(undisturbed.start(out))  # clears up behind the one that was killed
        assert files_of(out) == undisturbed.files
    assert killed > 0


def test_three_shares_some_of_them_killed_make_one_store(undisturbed: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    killed = 0
    for attempt in range(2):
        out = tmp_path / f"shares-{attempt}"
        todo = {0, 1, 2}
        while todo:
            steps = {i: int(rng.integers(1, undisturbed.steps)) if rng.random() < 0.7 else 0 for i in todo}
            pids = {i: undisturbed.start(out, "--shard", f"{i}/3", dies_at=steps[i]) for i in sorted(todo)}
            codes = {i: undisturbed.end(pid) for i, pid in pids.items()}
            killed += len([code for code in codes.values() if code])
            todo = {i for i, code in codes.items() if code}
            assert_whole_or_refused(out, undisturbed.files)
        assert files_of(out) == undisturbed.files
    assert killed > 1


def test_killed_while_adding_the_store_is_as_it_was_or_as_it_will_be(
    undisturbed: Run, rows: pd.DataFrame, tmp_path: Path
) -> None:
    """Five shards of what there is, at another layer, and five of rows that are new."""
    write_table(rows[:20], tmp_path / "old.jsonl")
    extract_, model, option, _, *position = undisturbed.command
    base, adding = tmp_path / "base", (*undisturbed.command, "--layers", "2", "--add")
    assert (
        undisturbed.warm.run(extract_, model, option, tmp_path / "old.jsonl", *position, "--layers", 1, "--out", base)
        == 0
    )
    before = files_of(base)
    whole = shutil.copytree(base, tmp_path / "added")
    assert undisturbed.warm.run(*adding, "--out", whole, steps_to=tmp_path / "steps") == 0
    after = files_of(whole)
    assert ActivationStore.open(whole).layers == [1, 2]
    steps, listed = int((tmp_path / "steps").read_text()), set()
    for attempt in range(max(9, KILLS // 5)):
        out = shutil.copytree(base, tmp_path / f"adding-{attempt}")
        step = steps - 3 * attempt if attempt % 3 == 2 else 1 + int(attempt * GOLDEN % 1 * steps)
        assert undisturbed.warm.run(*adding, "--out", out, dies_at=step) == -SIGKILL
        there = files_of(out)
        listed.add(there["manifest.json"] == after["manifest.json"])
        assert there["manifest.json"] in (before["manifest.json"], after["manifest.json"])
        assert before.items() - {("manifest.json", before["manifest.json"])} <= there.items()
        assert ActivationStore.open(out).verify().ok
        assert undisturbed.warm.run(*adding, "--out", out) == 0
        assert files_of(out) == after
    assert listed == {False, True}


def test_a_share_says_that_others_are_missing(undisturbed: Run, tmp_path: Path) -> None:
    out = tmp_path / "share"
    assert undisturbed.end(undisturbed.start(out, "--shard", "1/3")) == 0
    assert "share 1/3 is done; it is whole when the other shares are" in undisturbed.warm.log.read_text()
    there = sorted(name for name in files_of(out) if name.startswith("shard-"))
    assert [int(name[6:11]) for name in there] == [1, 4, 7]
    with pytest.raises(InputError, match=r"not finished \(12 of 40 rows\)"):
        ActivationStore.open(out)
