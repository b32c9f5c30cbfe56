"""Places do every unit once, however their workers end; bad places are refused before anything is done."""

import os
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.chores import Chore
from w2s_probes import InputError
from w2s_probes.places import Place, WorkKind, gpus, local, memory, pool
from w2s_probes.places.local import threads
from w2s_probes.places.memory import free_memory
from w2s_probes.places.pool import ABSENT, Handout, finished, versions

TRAININGS = WorkKind(one="training", many="trainings", smaller="take a smaller model", again="run again")


def test_no_more_are_done_at_a_time_than_there_are_cores_and_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "cores", lambda: 4)
    found = {units: [Place(jobs=jobs).at_once(units, 1) for jobs in (1, 3, 100)] for units in (1, 3, 9)}
    assert found == {1: [1, 1, 1], 3: [1, 3, 3], 9: [1, 3, 4]}
    assert Place(jobs=100, max_memory=2).at_once(9, 1) == 2


class Threads:
    """Workers that are threads here, and that fail as they are told to."""

    at_once, tries = 2, 4

    def __init__(self, fails: Callable[[Chore], Exception | None] = lambda unit: None, there: int = 1) -> None:
        self.pool, self.fails, self.there, self.given = ThreadPoolExecutor(2), fails, there, list[str]()

    def submit(self, unit: Any) -> "Future[Any]":
        self.given.append(unit.key)
        return self.pool.submit(self._run, unit) if self.there else Future()

    def _run(self, unit: Chore) -> Any:
        if error := self.fails(unit):
            raise error
        return unit.run()

    def lost(self, error: BaseException) -> bool:
        return isinstance(error, ConnectionError | CancelledError)

    def count(self) -> int:
        return self.there

    def close(self) -> None:
        self.pool.shutdown()


def chores(count: int = 5) -> list[Chore]:
    return [Chore(str(number)) for number in range(count)]


def test_a_unit_over_which_workers_die_is_given_up_after_four() -> None:
    workers = Threads(lambda unit: ConnectionError() if unit.key == "2" else None)
    with pytest.raises(InputError, match=r"over chore 2 again and again \(ConnectionError\); it takes about 3 GB: "
                       r"give each worker more memory, or do fewer trainings at a time"):  # fmt: skip
        list(finished(chores(), workers, 3_000_000_000, TRAININGS))
    assert workers.given.count("2") == 4
    workers.close()


def test_an_error_of_the_work_itself_is_not_tried_again() -> None:
    workers = Threads(lambda unit: ZeroDivisionError("so") if unit.key == "2" else None)
    with pytest.raises(ZeroDivisionError, match="so"):
        list(finished(chores(), workers, 1))
    assert workers.given.count("2") == 1
    workers.close()


def test_without_any_worker_the_work_says_so_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "LOOK", 0.05)
    monkeypatch.setattr(pool, "ALONE", 0.3)
    told = finished(chores(), Threads(there=0), 1, TRAININGS)
    assert next(told) is None
    with pytest.raises(InputError, match=r"the cluster has had no worker for 0 seconds: start some, and run again"):
        list(told)


def test_workers_without_the_library_are_named_in_one_line() -> None:
    error = ModuleNotFoundError("No module named 'w2s_probes'")
    with pytest.raises(InputError, match="the workers of this cluster have no w2s_probes: install the same version"):
        list(finished(chores(), Threads(lambda unit: error), 1))


def test_units_that_follow_from_others_are_added_while_these_are_done() -> None:
    workers = Threads()
    handout = Handout[Chore](workers, 1)
    handout.add(chores(3))
    done: list[str] = []
    while handout.left:
        for unit, _ in handout.ended():
            done.append(unit.key)
            if len(unit.key) < 3:
                handout.add([Chore(unit.key + "+")])
    assert sorted(done) == ["0", "0+", "0++", "1", "1+", "1++", "2", "2+", "2++"]
    assert handout.ended(0) == []
    workers.close()


def test_processes_share_the_cores_and_heed_a_lower_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("joblib.cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert [threads(jobs, "OMP_NUM_THREADS") for jobs in (1, 2, 3, 8, 20)] == [8, 4, 2, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert [threads(jobs, "OMP_NUM_THREADS") for jobs in (1, 2, 3, 8, 20)] == [3, 3, 2, 1, 1]


def test_a_process_that_is_killed_takes_no_other_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "cores", lambda: 2)
    mortal = Chore("mortal", deaths=tmp_path)
    units = [Chore("slow", 1.0), mortal, *chores(2)]
    results: dict[str, Any] = {done[0].key: done[1] for done in Place(jobs=2).does(units, 1) if done is not None}
    assert set(results) == {"slow", "mortal", "0", "1"}
    assert len({result["pid"] for result in results.values()} - {os.getpid()}) == 2
    assert results["slow"]["began"] < results["mortal"]["began"]  # by a new process
    assert (tmp_path / "mortal").exists()


def test_the_unit_over_which_processes_die_or_lack_memory_is_named_and_what_is_finished_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local, "cores", lambda: 2)
    remedy = (
        "it takes about 2 GB: give each worker more memory, or do fewer units at a time; what is finished is kept: "
    )
    for chore, said in (
        (Chore("bad", deadly=True), r"workers died over chore bad again and again \(TerminatedWorkerError\); "),
        (
            Chore("bad", huge=True),
            r"chore bad: its worker is out of memory \(Unable to allocate 99. GiB for an array\); ",
        ),
    ):
        finished = []
        with pytest.raises(InputError, match=f"^{said}{remedy}give the same command again$"):
            for done in Place(jobs=2).does([*chores(1), chore], 2 * 10**9):
                finished.append(done)
        assert [done[0].key for done in finished if done is not None] in (["0"], [])


def test_what_is_wrong_with_a_unit_ends_the_work_in_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "cores", lambda: 2)
    for jobs in (1, 2):
        with pytest.raises(InputError, match=r"^all labels are 1$"):
            list(Place(jobs=jobs).does([*chores(2), Chore("bad", wrong="all labels are 1")], 1))


@pytest.mark.parametrize(
    ("gpus_per_job", "shares"), [(1, [("0",), ("1",)]), (0.5, [("0", "0"), ("1", "1")]), (2, [("0,1",)])]
)
def test_each_local_job_has_gpus_of_its_own_or_its_share_of_one(
    gpus_per_job: float, shares: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "cores", lambda: 4)
    monkeypatch.setattr(gpus, "gpus_here", lambda: ["0", "1"])
    jobs = sum(map(len, shares))
    units = [Chore(str(number), 0.3) for number in range(2 * jobs)]
    results = [done[1] for done in Place(jobs=jobs, gpus_per_job=gpus_per_job).does(units, 1) if done is not None]
    by_process = {result["pid"]: result["gpus"] for result in results}  # a process keeps its GPUs
    assert sorted(by_process.values()) == sorted(device for share in shares for device in share)
    assert all(result["gpus"] == by_process[result["pid"]] for result in results)
    for pid in by_process:  # and does one unit at a time
        spans = sorted((r["began"], r["ended"]) for r in results if r["pid"] == pid)
        assert all(first[1] <= second[0] for first, second in pairwise(spans))


def test_gpus_are_named_as_the_environment_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpus.gpus_here() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-5f")
    assert gpus.gpus_here() == ["3", "GPU-5f"]
    assert gpus.shared_out(3, 1 / 3) == ["3", "GPU-5f", "3"]
    # A process that names several slices of a GPU has the first alone: each is still some process's own.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-a,MIG-b, MIG-c")
    assert gpus.shared_out(3, 1) == ["MIG-a", "MIG-b", "MIG-c"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,-1,1")  # after one that is none CUDA reads no further
    assert gpus.gpus_here() == ["0"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert gpus.gpus_here() == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-gone")
    assert gpus.gpus_here() == []


def test_gpus_that_are_not_there_are_refused_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "cores", lambda: 8)
    monkeypatch.setattr(gpus, "gpus_here", list)
    with pytest.raises(InputError, match=r"--gpus-per-job 1: this machine has no GPU"):
        list(Place(gpus_per_job=1).does(chores(), 1))
    monkeypatch.setattr(gpus, "gpus_here", lambda: ["0", "1", "2"])
    with pytest.raises(InputError, match=r"this machine has 3 GPUs, enough for 1 at a time"):
        list(Place(jobs=2, gpus_per_job=2).does(chores(), 1))
    with pytest.raises(InputError, match=r"enough for 6 at a time"):
        list(Place(jobs=7, gpus_per_job=0.5).does(chores(9), 1))
    for nonsense in (0, -1, 1.5, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"gpus_per_job=.*: give a whole number, or a share"):
            Place(gpus_per_job=nonsense)


def test_versions_of_more_packages_may_decide() -> None:
    assert versions(("numpy", "no-such-package"))["no-such-package"] == ABSENT
    with pytest.raises(InputError, match="has no-such-package not installed, this command 1: install the same"):
        pool.refuse_others({"no-such-package": "1"}, "node7")


def test_memory_is_said_in_the_words_of_the_work() -> None:
    with pytest.raises(InputError, match="one training takes about 2 GB, more than the 1 GB that it may: raise "
                       "--max-memory, or take a smaller model"):  # fmt: skip
        Place(max_memory=10**9).affordable(2 * 10**9, TRAININGS)


def test_free_memory_heeds_the_limit_of_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  9000 kB\nMemFree:  10 kB\nMemAvailable:  8000 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUP", tmp_path / "none")
    assert free_memory() == 8000 * 1024
    own = Path("/proc/self/cgroup").read_text().splitlines()[-1].rpartition("::")[2].strip("/")
    group = tmp_path / "group" / own
    group.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(memory, "CGROUP", tmp_path / "group")
    for name, text in (
        ("memory.max", "5000000"),
        ("memory.current", "4000000"),
        ("memory.stat", "inactive_file 500000"),
    ):
        (tmp_path / "group" / name).write_text(text)
    assert free_memory() == 1_500_000
    (tmp_path / "group" / "memory.max").write_text("max")
    assert free_memory() == 8000 * 1024
