"""A sweep on several processes, on Dask and on Ray, and with processes that are killed, is the sweep on one.

The kills are real: the worker sends itself SIGKILL when it is in the middle of a layer (`mortal.py`).
"""

import importlib.util
import logging
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from signal import SIGKILL, SIGTERM
from socket import gethostname
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT, planted
from tests.worlds.mortal import Mortal, noted
from w2s_probes import ActivationStore, InputError
from w2s_probes.io.tables import write_table
from w2s_probes.neighbors import search
from w2s_probes.places import local as processes_module
from w2s_probes.places.pool import run_there, versions
from w2s_probes.share import Share
from w2s_probes.store.shards import Content
from w2s_probes.store.writer import StoreWriter
from w2s_probes.sweep import Grid, Place, SweepResult
from w2s_probes.sweep.layer_scores import SweptLayer
from w2s_probes.sweep.sweeping import SweepPlan
from w2s_probes.sweep.swept_labels import Side, SweptLabels, read_labels
from w2s_probes.sweep.unit import LIBRARIES, Unit

LAYERS = 5
GRID = Grid({"knn": (3, 5), "logistic": (1e-2, 1.0)}, folds=3)
LOCAL = ("--knn-k", "3,5", "--logistic-l2", "1e-2,1", "--folds", "3")
has_ray = importlib.util.find_spec("ray") is not None


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five layers of 120 rows, and `weak.jsonl` inside of the folder above."""
    folder = tmp_path_factory.mktemp("sweep")
    world = planted(120, 6)
    ids = [f"r{i}" for i in range(120)]
    noise = np.random.default_rng(1)
    layers = {i: (world.X + noise.normal(size=world.X.shape) * i).astype(np.float32) for i in range(LAYERS)}
    sites = {i: f"block {i}" for i in layers}
    writer = StoreWriter.open(
        folder / "acts", identity={}, sites=sites, depth=LAYERS, width=6, dtype="float32", ids=ids, shard_rows=120
    )
    writer.write(0, Content(ids, layers))
    writer.finish({})
    write_table(pd.DataFrame({"id": ids, "label": world.weak, "truth": world.truth}), folder / "weak.jsonl")
    return folder / "acts"


@pytest.fixture(scope="module")
def here(store: Path) -> pd.DataFrame:
    """What one process finds."""
    return planned(store, None).run().table


def planned(store: Path, parts: Path | None) -> SweepPlan:
    opened = ActivationStore.open(store)
    rows = read_labels(store.parent / "weak.jsonl", None, 0.2, opened.ids, str(store))
    return SweepPlan.plan(opened, rows, GRID, "all", parts)


def mortal(plan: SweepPlan, journal: Path, **fates: dict[str, Any]) -> SweepPlan:
    """The sweep with units that note what they do, and fates for some: `layer_2={"dies": 1}`."""
    journal.mkdir(exist_ok=True)
    units: list[Unit] = [Mortal.of_unit(u, journal, **fates.get(f"layer_{u.layer}", {})) for u in plan.units]
    return replace(plan, units=units)


def assert_two_deaths_cost_nothing(store: Path, here: pd.DataFrame, folder: Path, place: Place) -> None:
    """One worker is killed before its layer is kept, one when it is kept and nobody knows it."""
    told: list[tuple[str, int, int]] = []
    before, after = {"dies": 1, "among": 3}, {"dies": 1, "kept_first": True}
    doomed = mortal(planned(store, folder / "parts"), folder / "journal", layer_1=before, layer_3=after)
    table = doomed.run(place, lambda *step: told.append(step)).table
    pd.testing.assert_frame_equal(table, here)
    assert not table.duplicated(["labels", "seed", "layer", "probe", "k", "l2", "rows", "metric"]).any()
    assert noted(folder / "journal", "died") == [1, 3]
    begun = noted(folder / "journal", "begun")
    assert {1: begun.count(1) > 1, 3: begun.count(3) > 1} == {1: True, 3: True}
    # A layer that was kept when its worker died is not made again, nor any that nobody died over and was kept.
    assert noted(folder / "journal", "made").count(3) == 1
    dead = {file.name.split()[2] for file in (folder / "journal").glob("died *")}
    assert str(os.getpid()) not in dead
    assert len(dead) == 2
    assert [total for _, _, total in told] == [LAYERS] * len(told)
    counts = [done for doing, done, _ in told if doing == "layers"]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, LAYERS)
    assert len(list((folder / "parts").iterdir())) == LAYERS


def test_a_sweep_in_two_processes_one_of_which_is_killed_is_that_of_one(
    store: Path, here: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the process had in hand is done by another one, and no more than that."""
    monkeypatch.setattr(processes_module, "cores", lambda: 2)  # on one, this process would do the units, and be killed
    doomed = mortal(planned(store, tmp_path / "parts"), tmp_path / "journal", layer_1={"dies": 1, "among": 3})
    pd.testing.assert_frame_equal(doomed.run(Place(jobs=2)).table, here)
    assert noted(tmp_path / "journal", "died") == [1]
    made = noted(tmp_path / "journal", "made")
    assert sorted(set(made)) == [0, 1, 2, 3, 4]
    assert made.count(1) == 2
    assert made.count(0) == 1  # done before
    (dead,) = {file.name.split()[2] for file in (tmp_path / "journal").glob("died *")}
    (alive_then,) = {file.name.split()[2] for file in (tmp_path / "journal").glob("done 1 *")}
    assert len({dead, alive_then, str(os.getpid())}) == 3


SLOW = """
import sys
from dataclasses import replace
from pathlib import Path

from tests.worlds.mortal import Mortal
from w2s_probes.cli import main
from w2s_probes.places import local
from w2s_probes.sweep.sweeping import SweepPlan

plan, journal = SweepPlan.plan, Path(sys.argv[1])

def slow(*arguments):
    found = plan(*arguments)
    return replace(found, units=[Mortal.of_unit(unit, journal, waits=999) for unit in found.units])

SweepPlan.plan, local.cores = slow, lambda: 2
main(sys.argv[2:])
"""


def alive(process: int) -> bool:
    """Whether there is such a process, and it is not one that only waits to be asked for its exit code."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks at processes as Linux shows them")
def test_no_worker_outlives_a_sweep_that_is_told_to_end_or_is_killed(store: Path, tmp_path: Path) -> None:
    labels, running = store.parent / "weak.jsonl", {}
    for number in (SIGTERM, SIGKILL):
        journal = tmp_path / number.name
        journal.mkdir()
        command = [sys.executable, "-c", SLOW, str(journal), "sweep", str(store), str(labels), *LOCAL, "--jobs", "2"]
        command += ["--out", str(tmp_path / f"{number.name}.csv")]
        running[number] = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    workers = {}
    for number, process in running.items():
        waited = time.monotonic() + 100
        while len(noted(tmp_path / number.name, "begun")) < 2:
            assert time.monotonic() < waited
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        workers[number] = {int(file.name.split()[2]) for file in (tmp_path / number.name).glob("begun *")}
        assert len(workers[number] - {process.pid}) == 2
        assert all(map(alive, workers[number]))
        process.send_signal(number)
    for number, process in running.items():
        said = process.communicate(timeout=60)  # not before the last of them has let go of stdout
        waited = time.monotonic() + 30
        while any(map(alive, workers[number])):
            assert time.monotonic() < waited, number
            time.sleep(0.05)
        if number is SIGKILL:
            assert process.returncode == -SIGKILL
            continue
        assert process.returncode == 128 + number
        assert said == (
            "", "w2s: interrupted; what was finished is kept, and the same command goes on from there\n"
        )  # fmt: skip


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """A scheduler in this process and three workers of their own."""
    from distributed import LocalCluster

    cluster: Any = LocalCluster
    with cluster(
        n_workers=3,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",  # any that is free
        silence_logs=logging.CRITICAL,
        death_timeout=120,  # of a worker that is started again on a machine that has much to do
    ) as running:
        yield running


def test_a_sweep_on_dask_two_of_whose_workers_are_killed_is_the_local_one(
    store: Path, here: pd.DataFrame, tmp_path: Path, dask: Any
) -> None:
    assert_two_deaths_cost_nothing(store, here, tmp_path, Place("dask", dask.scheduler_address))


def test_a_layer_that_dask_gives_up_is_an_error_and_no_endless_wait(store: Path, tmp_path: Path, dask: Any) -> None:
    dask.scheduler.allowed_failures = 0
    deadly = mortal(planned(store, tmp_path / "parts"), tmp_path / "journal", layer_1={"dies": 9, "among": 2})
    with pytest.raises(InputError, match=r"workers died over layer \d again and again \(KilledWorker\)"):
        deadly.run(Place("dask", dask.scheduler_address))
    dask.scheduler.allowed_failures = 3


@pytest.mark.skipif(not has_ray, reason="ray, the extra of that name, is not installed")
@pytest.mark.filterwarnings("ignore::FutureWarning:ray", "ignore::ResourceWarning")
def test_a_sweep_on_ray_two_of_whose_workers_are_killed_is_the_local_one(
    store: Path, here: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "")  # which Ray sets for itself; so what it sets is taken back
    monkeypatch.delenv("RAY_AUTH_MODE")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.CRITICAL)
    try:
        assert_two_deaths_cost_nothing(store, here, tmp_path, Place("ray", "auto"))
    finally:
        ray.shutdown()


def test_what_is_wrong_on_a_worker_is_one_line_that_names_the_machine(store: Path, tmp_path: Path) -> None:
    unit = planned(store, None).units[0]
    found = run_there(unit.packed(), unit.labels, {"numpy": "0.1"})
    assert isinstance(found, InputError)
    assert f"{gethostname()} has numpy {np.__version__}, this command 0.1: install the same" in str(found)
    elsewhere = replace(unit, store=tmp_path / "not-mounted")
    found = run_there(elsewhere.packed(), unit.labels, versions())
    assert isinstance(found, InputError)
    assert str(found).startswith(f"on {gethostname()}: {tmp_path / 'not-mounted'}: ")
    assert isinstance(run_there(unit.packed(), unit.labels, versions()), pd.DataFrame)


def test_memory_caps_how_many_are_done_at_a_time_and_refuses_before_any_work(store: Path, tmp_path: Path) -> None:
    plan = planned(store, tmp_path / "parts")
    one = plan.units[0].memory(6)
    assert Place(jobs=4).affordable(one) == 4
    assert Place(jobs=4, max_memory=3 * one).affordable(one) == 3
    with pytest.raises(InputError, match=r"one layer takes about .* GB, more than the .* GB that it may"):
        plan.run(Place(jobs=4, max_memory=one - 1))
    assert not (tmp_path / "parts").exists()


def test_a_sweep_takes_the_memory_that_it_foretells(store: Path) -> None:
    """What is asked for most, neighbours and fits, against what numpy says was in use at the most."""
    n, d = 3000, 300
    side = Side(np.array([f"r{i}" for i in range(n)], dtype=object), (np.arange(n) % 2).astype(np.float64), None, None)
    unit = replace(planned(store, None).units[0], grid=Grid.published(n), labels=(SweptLabels("l", side, None),))
    X = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
    tracemalloc.start()
    layer = SweptLayer(ActivationStore.open(store), 0, side.ids, X, X[:0], None, unit.grid)
    layer.__dict__["graph"] = search(X, layer.k, group_ids=layer.group_ids)  # not kept beside the store
    list(layer.steady_scores(side.p))
    list(layer.seeded_scores(side.p, 0))
    peak = tracemalloc.get_traced_memory()[1] + X.nbytes
    tracemalloc.stop()
    foretold = unit.memory(d) - LIBRARIES
    assert foretold / 4 < peak < foretold


def test_shares_started_together_make_the_table_of_one_process(store: Path, tmp_path: Path) -> None:
    """Whichever ends last writes it; a share done again does nothing."""
    labels, out = store.parent / "weak.jsonl", tmp_path / "sweep.csv"
    command = [
        sys.executable,
        "-c",
        "from w2s_probes.cli import main; main()",
        "sweep",
        str(store),
        str(labels),
        *LOCAL,
    ]
    both = [
        subprocess.Popen([*command, "--out", str(out), "--shard", f"{i}/2"], cwd=ROOT, stderr=subprocess.PIPE)
        for i in range(2)
    ]
    said = [process.communicate(timeout=120)[1].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    pd.testing.assert_frame_equal(SweepResult.read(out).table, planned(store, None).run().table)
    times = {file: file.stat().st_mtime_ns for file in (tmp_path / "sweep.parts").glob("layer-*")}
    assert len(times) == LAYERS


def test_a_share_done_again_does_nothing_twice(store: Path, here: pd.DataFrame, tmp_path: Path) -> None:
    plan = mortal(planned(store, tmp_path / "parts"), tmp_path / "journal")
    assert plan.run_share(Share(1, 2)) is None
    assert noted(tmp_path / "journal", "made") == [1, 3]
    assert plan.run_share(Share(1, 2)) is None
    last = plan.run_share(Share(0, 2))
    assert last is not None
    again = plan.run_share(Share(1, 2))
    assert again is not None
    for result in (last, again):
        pd.testing.assert_frame_equal(result.table, here)
    assert noted(tmp_path / "journal", "made") == [0, 1, 2, 3, 4]
    assert plan.run_share(Share(8, 9)) is not None  # more shares than layers


def test_a_slurm_array_numbers_the_shares(
    store: Path, here: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, w2s: Callable[..., None]
) -> None:
    out = tmp_path / "sweep.csv"
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    for task in ("0", "1"):
        assert not out.exists()
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", task)
        w2s("sweep", store, store.parent / "weak.jsonl", *LOCAL, "--out", out, "--shard", "auto")
    pd.testing.assert_frame_equal(SweepResult.read(out).table, here)


def test_bad_places_are_refused_in_one_line(
    store: Path, tmp_path: Path, fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = ("sweep", store, store.parent / "weak.jsonl", *LOCAL, "--out", tmp_path / "s.csv")
    began = time.monotonic()
    assert "no Dask scheduler at 127.0.0.1:1 (" in fails(*sweep, "--backend", "dask", "--address", "127.0.0.1:1")
    assert "known schemes" in fails(*sweep, "--backend", "dask", "--address", "nonsense://here")
    if has_ray:
        assert "no Ray cluster at 127.0.0.1:1 (" in fails(*sweep, "--backend", "ray", "--address", "127.0.0.1:1")
    assert time.monotonic() - began < 15
    assert "backend dask needs the --address" in fails(*sweep, "--backend", "dask")
    assert "say which kind by --backend" in fails(*sweep, "--address", "tcp://h:1")
    assert "jobs=2 is for this machine" in fails(*sweep, "--backend", "ray", "--address", "auto", "--jobs", 2)
    for library, module in (("dask", "distributed"), ("ray", "ray")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            message = fails(*sweep, "--backend", library, "--address", "h:1")
            assert f"pip install 'w2s-probes[{library}]'" in message
    assert list(tmp_path.iterdir()) == []
