"""A dry run lists what a run makes anew, exactly: by the settings that a method reads, and by content."""

import dataclasses
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from analyses.dry_run import stages
from analyses.methods import METHODS
from analyses.protocol import run
from analyses.recipe.probe_values import Probes
from tests.worlds.experiments import experiment, small_recipe
from w2s_probes.errors import InputError
from w2s_probes.neighbors import search
from w2s_probes.probes import TopoProbe
from w2s_probes.rows.groups import group_ids

PROBED = ["student-xent", "s2s-1", "probe-knn", "probe-topo", "filter-knn", "filter-topo", "filter-logistic"]
PROBED += ["relabel-knn", "relabel-topo", "control-random:filter-knn", "control-confidence-filter"]
BY_KNN = {"ceiling-knn", "probe-knn", "filter-knn", "relabel-knn", "control-random:filter-knn"}
BY_TOPO = {"ceiling-topo", "probe-topo", "filter-topo", "relabel-topo"}
FILTERS = {"filter-knn", "filter-topo", "filter-logistic", "control-random:filter-knn", "control-confidence-filter"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of every kind of method."""
    folder = tmp_path_factory.mktemp("finished")
    run(small_recipe(f"methods={PROBED}", "student.epochs=4"), folder)
    return folder


def made_anew(folder: Path, kinds: set[str] | None = None) -> set[str]:
    """The steps of a run for which something was made, of these kinds."""
    (one,) = json.loads((folder / "run.json").read_text())["runs"].values()
    return {name for name, taken in one["taken"].items() if set(taken["made"]) & (kinds or set(taken["made"]))}


@pytest.mark.parametrize(
    ("setting", "affected"),
    [
        ("n_boot=100", set()),
        ("probes.knn_k=25", BY_KNN),
        ("probes.topo_k=25", BY_TOPO),
        ("probes.logistic_l2=0.1", {"filter-logistic"}),
        ("probes.contamination=0.2", FILTERS),
        ('student.loss="xent"', set()),  # what it was
    ],
)
def test_a_dry_run_lists_what_a_changed_setting_makes_anew_and_the_run_makes_that(
    setting: str, affected: set[str], finished: Path, tmp_path: Path, counted: Counter[str]
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    recipe = small_recipe(f"methods={PROBED}", "student.epochs=4", setting)
    before = sorted(path for path in (tmp_path / "run").rglob("*"))
    listed = {stage.name for stage in stages(recipe, tmp_path / "run") if not stage.kept}
    assert listed == affected
    assert not counted
    assert sorted(path for path in (tmp_path / "run").rglob("*")) == before
    run(recipe, tmp_path / "run")
    assert made_anew(tmp_path / "run") == affected
    assert not any(not stage.kept for stage in stages(recipe, tmp_path / "run"))


def test_students_are_looked_at_by_content_where_their_methods_outcome_is_gone(
    finished: Path, tmp_path: Path, counted: Counter[str]
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "kept" / "methods")
    recipe = small_recipe(f"methods={PROBED}", "student.epochs=4")
    fitted = {"ceiling-knn", "probe-knn", "ceiling-topo", "probe-topo"}  # nothing but their outcome is kept
    assert {stage.name for stage in stages(recipe, tmp_path / "run") if not stage.kept} == fitted
    run(recipe, tmp_path / "run")
    assert not made_anew(tmp_path / "run", {"trained", "opinions", "neighbors", "activations", "weak"})
    assert not counted["heads"]
    trained = sorted((tmp_path / "run" / "kept" / "trained").iterdir())
    damaged = next(path for path in trained if b'"val"' not in path.read_bytes())  # a student's: supervisors score val
    damaged.write_bytes(damaged.read_bytes()[:-8])
    shutil.rmtree(tmp_path / "run" / "kept" / "methods")
    listed = [stage.name for stage in stages(recipe, tmp_path / "run") if not stage.kept and stage.name not in fitted]
    run(recipe, tmp_path / "run")
    # The others read the same student. Taught alone it differs in rounding, which makes the round after it anew.
    assert {listed[0]} <= made_anew(tmp_path / "run", {"trained"}) <= {listed[0], "s2s-1"}


def test_a_method_that_cannot_be_used_is_said_and_is_nothing_to_do(
    finished: Path, tmp_path: Path, counted: Counter[str]
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    recipe = small_recipe('methods=["student-xent", "filter-knn"]', "student.epochs=4", "probes.contamination=0.999")
    found = {stage.name: stage for stage in stages(recipe, tmp_path / "run")}
    assert found["student-xent"].kept
    assert not found["student-xent"].left_out
    assert found["filter-knn"].left_out.startswith("filtering leaves 0 of 300 training rows")
    assert not counted
    with pytest.raises(InputError, match=re.escape(found["filter-knn"].left_out)):
        run(recipe, tmp_path / "run")
    assert not counted["heads"]


def test_a_setting_that_a_method_has_not_declared_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = METHODS["relabel-knn"]
    monkeypatch.setitem(METHODS, "relabel-knn", dataclasses.replace(reads, settings=frozenset({"contamination"})))
    with pytest.raises(InputError, match=r"a method reads probes\.knn_k, which it has not declared: add it to"):
        run(small_recipe('methods=["student-xent", "relabel-knn"]', "student.epochs=4"), tmp_path)


def test_each_probes_neighbours_are_those_of_a_search_of_its_own(tmp_path: Path) -> None:
    view = experiment(tmp_path, probes=Probes(knn_k=7, topo_k=20))
    for name, k in (("knn", 7), ("topo", TopoProbe(20, 20).graph_k)):
        alone = search(view.X_train, k, group_ids=group_ids(view.X_train, view.groups))
        np.testing.assert_array_equal(view.graph(name).indices, alone.indices)
        np.testing.assert_array_equal(view.graph(name).distances, alone.distances)
