"""A run in processes, on Dask and on Ray is the serial run, also where one is killed in mid-training."""

import importlib.util
import logging
import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from signal import SIGKILL
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.experiment import Trained
from analyses.lessons import crew
from analyses.lessons.clock import Clock
from analyses.lessons.crew import TRAININGS, Crew
from analyses.lessons.engine import Steps
from analyses.protocol import run
from analyses.recipe.read import RECIPES, read_recipe
from analyses.recipe.schema import Recipe
from tests.conftest import ROOT
from tests.worlds.experiments import completed, experiment, small_recipe, taught
from tests.worlds.loaded import forked_workers, start
from tests.worlds.mortal_lessons import MortalLesson, mortal_command, noted
from w2s_probes import ActivationStore, InputError
from w2s_probes.losses import LOSSES
from w2s_probes.places import Place, cluster, local
from w2s_probes.places.pool import versions
from w2s_probes.probes.saving import load_probe

SMALL = ["seeds=[0]", "data.n_train=64", "data.n_val=40", "data.n_test=80", "weak={kind='text', n_truth=60}"]
SMALL += ["n_boot=50", 'data.tasks=["miniature_price"]', 'methods=["student-xent", "s2s-1", "filter-knn"]']
SMALL += ["student.finetuning.epochs=2", "probes.knn_k=5", "student.finetuning.batch_size=16"]
DIES = "seed 0: filter-knn", 5
has_ray = importlib.util.find_spec("ray") is not None


def recipe() -> Recipe:
    return read_recipe(RECIPES / "demo_finetuned.toml", SMALL)


@pytest.fixture(scope="module", autouse=True)
def _forked() -> Iterator[None]:
    with forked_workers():
        yield


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in this process."""
    folder = tmp_path_factory.mktemp("serial")
    run(recipe(), folder)
    return folder


@pytest.fixture
def mortal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The journal of lessons of which the first teacher of one is killed."""
    journal = tmp_path / "journal"
    journal.mkdir()
    monkeypatch.setattr(MortalLesson, "journal", journal, raising=False)
    monkeypatch.setattr(MortalLesson, "dies", DIES)
    monkeypatch.setattr(crew, "LessonUnit", MortalLesson)
    return journal


def assert_serial(serial: Path, out: Path, *, exactly: bool = False) -> None:
    """All that a run writes, in other words."""
    tables = sorted(path.relative_to(serial) for path in serial.rglob("*.csv"))
    assert {table.name for table in tables} > {"results.csv", "comparisons.csv"}
    for table in tables:
        found, expected = pd.read_csv(out / table), pd.read_csv(serial / table)
        pd.testing.assert_frame_equal(found, expected, rtol=0 if exactly else 1e-6, atol=0 if exactly else 1e-8)
    for path in (serial / "filters").iterdir():
        assert (out / "filters" / path.name).read_bytes() == path.read_bytes()
    assert len(list((out / "kept" / "trained").iterdir())) == len(list((serial / "kept" / "trained").iterdir()))


def assert_one_death(journal: Path, out: Path) -> None:
    """Nothing is lost, and nothing is done twice: four fine-tunings, as two methods begin with the same student."""
    taught = Counter(name for name, _, _ in noted(journal, "taught"))
    assert sorted(taught.values()) == [1] * 4
    ((name, update, dead),) = noted(journal, "died")
    assert name.endswith(DIES[0])
    first, again = [note for note in noted(journal, "update") if note[0] == name]
    assert (first[1], first[2]) == (0, dead)
    assert again[1] == update - 1  # from its last checkpoint, by another process
    assert again[2] != dead
    assert not list(out.rglob("claims"))
    assert not list((out / "kept" / "unfinished").iterdir())


def assert_one_death_costs_nothing(serial: Path, out: Path, journal: Path, place: Place) -> None:
    run(recipe(), out, place=place)
    assert_serial(serial, out)
    assert_one_death(journal, out)
    assert str(os.getpid()) not in {file.name.split()[2] for file in journal.iterdir()}


def test_of_two_commands_that_share_a_cache_one_is_killed_and_the_other_takes_over(
    serial: Path, tmp_path: Path
) -> None:
    """No more are told to die than one, as the first death is written down."""
    out, journal = tmp_path / "out", tmp_path / "journal"
    journal.mkdir()
    asked = ["run", "demo_finetuned", "--out", str(out), *(part for one in SMALL for part in ("--set", one))]
    said = [tmp_path / f"said-{share}" for share in range(2)]
    running = [
        start(mortal_command, journal, DIES, [*asked, "--shard", f"{share}/2"], said=said[share]) for share in range(2)
    ]
    for process in running:
        process.join(timeout=300)
    codes = {process.exitcode for process in running}
    assert codes == {-SIGKILL, 0}, [file.read_text() for file in said]
    assert_serial(serial, out)
    assert_one_death(journal, out)


def test_the_line_of_the_page_about_clusters_writes_in_two_processes_the_bits_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: Counter[str], w2s: Callable[..., None]
) -> None:
    """Heads and extractions, these in more than one part."""
    page = (ROOT / "docs" / "cluster.md").read_text().replace("\\\n", "")
    (line,) = [line for line in page.splitlines() if line.startswith("w2s run demo ")]
    options = shlex.split(line)[3:]
    assert options[:4] == ["--out", "runs/jobs", "--jobs", "2"]
    monkeypatch.chdir(tmp_path)
    w2s("run", "demo", "--out", "one", *options[4:])
    made = dict(counted)
    assert made["extractions"] == 2
    monkeypatch.setattr(local, "cores", lambda: 2)
    w2s("run", "demo", *options)
    assert counted["heads"] == made["heads"]  # none of them here
    one, two = Path("one"), Path("runs/jobs")
    assert_serial(one, two, exactly=True)
    parts = []
    for path in (one / "activations").iterdir():
        first, second = (ActivationStore.open(folder / "activations" / path.name) for folder in (one, two))
        assert np.array_equal(first.layer(first.layers[0]), second.layer(first.layers[0]))
        assert len(first.manifest.shards) == len(second.manifest.shards)
        parts.append(len(first.manifest.shards))
    assert max(parts) > 1


def test_a_loss_that_workers_do_not_know_is_taught_by_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "cores", lambda: 2)
    monkeypatch.setitem(LOSSES, "mine", LOSSES["xent"])
    made = experiment(tmp_path)
    mine: Any = "mine"

    def steps() -> Steps[list[Trained]]:
        return list((yield [made.lesson(made.weak_train, loss=mine), made.lesson(1 - made.weak_train, loss=mine)]))

    with closing(Crew(Clock(), Place(jobs=2))) as teacher:
        first, second = completed(steps(), teacher)
    alone = taught(made.lesson(made.weak_train, loss="xent"))["test"]
    np.testing.assert_allclose(first["test"], alone, atol=1e-6)
    assert np.abs(second["test"] - alone).max() > 0.1


def test_students_that_other_processes_train_are_kept_too(tmp_path: Path) -> None:
    recipe = small_recipe('methods=["student-xent", "student-entropy"]', "keep_students=true", "student.epochs=5")
    run(recipe, tmp_path / "here", cache=tmp_path / "one")
    without = small_recipe('methods=["student-xent", "student-entropy"]', "student.epochs=5")
    run(without, tmp_path / "scores", cache=tmp_path / "two")  # whose scores are there then, and the students are not
    run(recipe, tmp_path / "jobs", cache=tmp_path / "two", place=Place(jobs=2))
    names = [f"miniature_price-0-{name}" for name in ("ceiling", "student-entropy", "student-xent", "weak")]
    for out in ("here", "jobs"):
        assert sorted(folder.name for folder in (tmp_path / out / "students").iterdir()) == names
    for name in names:
        heads = [load_probe(tmp_path / out / "students" / name / "head.safetensors") for out in ("here", "jobs")]
        np.testing.assert_allclose(heads[0].coef_, heads[1].coef_, rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """A scheduler in this process and two workers, which say that they have a GPU each."""
    from distributed import LocalCluster

    cluster: Any = LocalCluster
    with cluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        resources={"GPU": 1},
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
        death_timeout=120,
    ) as running:
        yield running


def test_a_run_on_dask_one_of_whose_workers_is_killed_is_the_serial_one(
    serial: Path, mortal: Path, tmp_path: Path, dask: Any
) -> None:
    place = Place("dask", dask.scheduler_address, gpus_per_job=0.5)
    assert_one_death_costs_nothing(serial, tmp_path / "out", mortal, place)


def test_gpus_that_no_worker_has_are_refused(tmp_path: Path, dask: Any) -> None:
    with pytest.raises(InputError, match=r"no machine of the Dask cluster at .* offers so many GPUs: start some"):
        run(recipe(), tmp_path, place=Place("dask", dask.scheduler_address, gpus_per_job=2))
    assert list(tmp_path.iterdir()) == []


def test_workers_with_another_torch_are_refused(tmp_path: Path, dask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "versions", lambda packages: versions(packages) | {"torch": "0.1"})
    with pytest.raises(
        InputError, match=r"the worker on .* has torch .*, this command 0\.1: install the same versions"
    ):
        run(recipe(), tmp_path, place=Place("dask", dask.scheduler_address))
    assert not (tmp_path / "results.csv").exists()
    assert set(TRAININGS.packages) >= {"w2s-probes", "numpy", "torch", "transformers", "peft"}


@pytest.mark.skipif(not has_ray, reason="ray, the extra of that name, is not installed")
@pytest.mark.filterwarnings("ignore::FutureWarning:ray", "ignore::ResourceWarning")
def test_a_run_on_ray_one_of_whose_workers_is_killed_is_the_serial_one(
    serial: Path, mortal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "")
    monkeypatch.delenv("RAY_AUTH_MODE")
    ray.init(num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.CRITICAL)
    try:
        with pytest.raises(InputError, match="no machine of the Ray cluster at auto offers so many GPUs"):
            run(recipe(), tmp_path / "refused", place=Place("ray", "auto", gpus_per_job=2))
        assert_one_death_costs_nothing(serial, tmp_path / "out", mortal, Place("ray", "auto", gpus_per_job=0.5))
    finally:
        ray.shutdown()


def test_places_that_are_not_there_are_refused_before_anything_is_done(
    tmp_path: Path, fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = ("run", "demo_finetuned", "--out", tmp_path / "out")
    assert "no Dask scheduler at 127.0.0.1:1 (" in fails(*ran, "--backend", "dask", "--address", "127.0.0.1:1")
    assert "backend dask needs the --address" in fails(*ran, "--backend", "dask")
    assert "jobs=2 is for this machine" in fails(*ran, "--backend", "ray", "--address", "auto", "--jobs", 2)
    assert "shard '4/4': give i/n" in fails(*ran, "--shard", "4/4")
    assert "this machine has no GPU" in fails(*ran, "--gpus-per-job", 1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "torchrun has started 2 processes" in fails(*ran, "--jobs", 2)
    assert list(tmp_path.iterdir()) == []
