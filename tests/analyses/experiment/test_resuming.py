"""What has been made is not made again: by other methods, by a run that was killed, by other runs with the cache."""

import dataclasses
import importlib.util
import json
import re
import shutil
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.dry_run import stages
from analyses.experiment import Experiment
from analyses.lessons.activations import Activations
from analyses.lessons.result_cache import ResultCache
from analyses.methods import METHODS
from analyses.protocol import run
from tests.worlds.experiments import small_recipe
from w2s_probes.code_hashes import code_hash
from w2s_probes.io.arrays import write_arrays
from w2s_probes.losses import LOSSES

Finished = dict[str, tuple[Path, pd.DataFrame]]
PLAIN, FILTERED = 'methods=["student-xent"]', 'methods=["filter-knn"]'


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run's folder and table by its methods, to be copied by who goes on with it."""
    folders = {methods: tmp_path_factory.mktemp("finished") for methods in (PLAIN, FILTERED)}
    return {methods: (folder, run(small_recipe(methods), folder)) for methods, folder in folders.items()}


def test_many_methods_train_one_supervisor_one_ceiling_and_search_once(tmp_path: Path, counted: Counter[str]) -> None:
    methods = ["student-xent", "student-logconf", "s2s-1", "filter-knn", "filter-logistic", "relabel-knn", "probe-knn"]
    run(small_recipe(f"methods={methods}"), tmp_path)
    assert counted["heads"] == 2 + 6  # supervisor, ceiling; one a method, s2s-1 going on from student-xent
    assert counted["searches"] == 2  # among the training rows, and from the test rows
    assert counted["extractions"] == 2  # weak and strong model
    first = dict(counted)
    run(small_recipe(f"methods={[*methods, 'student-entropy']}"), tmp_path)
    assert counted["heads"] == first["heads"] + 1
    assert (counted["searches"], counted["extractions"]) == (2, 2)


def test_a_killed_run_goes_on_and_ends_with_the_same_table(
    tmp_path: Path, counted: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small_recipe('methods=["student-xent", "filter-knn", "relabel-knn"]', "seeds=[0, 1]")
    whole = run(recipe, tmp_path / "whole")
    counted.clear()

    real = METHODS["relabel-knn"].run

    def killed(experiment: Experiment) -> Any:
        if experiment.seed == 1:
            raise KeyboardInterrupt
        return real(experiment)

    with monkeypatch.context() as patched:
        patched.setitem(METHODS, "relabel-knn", dataclasses.replace(METHODS["relabel-knn"], run=killed))
        with pytest.raises(KeyboardInterrupt):
            run(recipe, tmp_path / "killed")
    assert not (tmp_path / "killed" / "results.csv").exists()
    assert counted["heads"] == 5 + 1
    resumed = run(recipe, tmp_path / "killed")
    assert counted["heads"] == 5 + 5
    pd.testing.assert_frame_equal(resumed, whole)


def test_results_in_each_others_places_are_made_again(tmp_path: Path) -> None:
    """An entry says whose it is: each is put into the place of the next one of its kind."""
    recipe = small_recipe('methods=["student-xent", "filter-knn"]', "seeds=[0, 1]")
    whole = run(recipe, tmp_path)
    kinds = {folder.name: sorted(folder.iterdir()) for folder in (tmp_path / "kept").iterdir()}
    assert kinds.keys() == {"weak", "trained", "methods", "opinions", "neighbors"}
    before = {file: file.read_bytes() for files in kinds.values() for file in files}
    for files in kinds.values():
        assert len(files) == len({before[file] for file in files}) >= 2
        for file, other in zip(files, [*files[1:], files[0]], strict=True):
            file.write_bytes(before[other])
    pd.testing.assert_frame_equal(run(recipe, tmp_path), whole)
    assert {file: file.read_bytes() for file in before} == before


def test_a_cache_is_shared_between_runs(tmp_path: Path, counted: Counter[str]) -> None:
    recipe = small_recipe('methods=["student-xent"]')
    first = run(recipe, tmp_path / "a", cache=tmp_path / "cache")
    counted.clear()
    second = run(recipe, tmp_path / "b", cache=tmp_path / "cache")
    assert not counted
    pd.testing.assert_frame_equal(first, second)
    assert not (tmp_path / "b" / "kept").exists()
    record = json.loads((tmp_path / "b" / "run.json").read_text())
    (made,) = record["runs"].values()
    assert [one["made"] for one in made["taken"].values()] == [{}] * 3  # all of it was read


@pytest.mark.parametrize(
    "setting", ["probes.knn_k=21", "student.epochs=41", "weak.n_truth=140", "seeds=[3]", "strong.layer=1"]
)
def test_whatever_changes_the_numbers_is_made_again(
    setting: str, finished: Finished, tmp_path: Path, counted: Counter[str]
) -> None:
    out = shutil.copytree(finished[FILTERED][0], tmp_path / "run")
    run(small_recipe(FILTERED), out)
    assert not counted["heads"]
    run(small_recipe(FILTERED, setting), out)
    assert counted["heads"] >= 1


def test_another_seed_extracts_only_the_rows_that_are_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extracted: list[int] = []
    real = Activations.missing

    def missing(self: Activations) -> pd.DataFrame:
        found = real(self)
        extracted.append(len(found))
        return found

    monkeypatch.setattr(Activations, "missing", missing)
    run(small_recipe('methods=["student-xent"]'), tmp_path)
    alone = list(extracted)
    extracted.clear()
    run(small_recipe('methods=["student-xent"]', "seeds=[0, 1]"), tmp_path)
    assert all(0 < more < own for more, own in zip(extracted, alone, strict=True))


def test_a_changed_method_is_run_again(finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, first = finished[PLAIN]
    other = dataclasses.replace(METHODS["student-xent"], run=METHODS["student-logconf"].run)
    monkeypatch.setitem(METHODS, "student-xent", other)
    second = run(small_recipe(PLAIN), shutil.copytree(folder, tmp_path / "run"))
    values = [t[(t["method"] == "student-xent") & (t["metric"] == "auroc")]["value"].item() for t in (first, second)]
    assert values[0] != values[1]


def test_a_changed_loss_trains_again(tmp_path: Path, counted: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = small_recipe('methods=["student-xent", "student-kl"]')
    run(recipe, tmp_path)
    counted.clear()

    def softer(logits: Any, soft: Any, weight: Any = None) -> Any:
        return LOSSES["xent"](logits, 0.8 * soft + 0.1, weight=weight)

    monkeypatch.setitem(LOSSES, "kl", softer)
    run(recipe, tmp_path)
    assert counted["heads"] == 1


def test_a_damaged_result_is_made_again(finished: Finished, tmp_path: Path, counted: Counter[str]) -> None:
    folder, first = finished[PLAIN]
    out = shutil.copytree(folder, tmp_path / "run")
    for file in (out / "kept").rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:-7])
    pd.testing.assert_frame_equal(run(small_recipe(PLAIN), out), first)
    assert counted["heads"] == 3


def written(folder: Path, name: str, text: str) -> Any:
    """The function `f` of a module of this text."""
    (folder / f"{name}.py").write_text(text)
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module.f


CODE = (
    "SHARE = 0.1\n\ndef helper(x):\n    return x in {'a', 'b'}\n\ndef f(x, *, k=1):\n    return helper(x) * SHARE * k\n"
)


def test_code_is_known_by_what_was_loaded_not_by_where_it_stands(tmp_path: Path) -> None:
    f = written(tmp_path, "first", CODE)
    name = code_hash(f)
    moved = written(tmp_path, "first", "# a comment\n\n" + CODE)
    assert code_hash(moved) == name
    (tmp_path / "first.py").write_text(CODE.replace("0.1", "0.2"))  # edited after it was loaded
    assert code_hash(moved) == name
    for change in (("0.1", "0.2"), ("'b'", "'c'"), ("k=1", "k=2"), ("* k", "+ k")):
        assert code_hash(written(tmp_path, "first", CODE.replace(*change))) != name, change
    assert code_hash(partial(f, k=3)) != code_hash(partial(f, k=4)) != name


def test_a_result_of_another_record_is_not_mistaken(tmp_path: Path) -> None:
    kept = ResultCache(tmp_path)
    write_arrays(kept.path("k", {"a": 1}), {"x": np.ones(2)}, {})
    assert kept.has("k", {"a": 1})
    assert not kept.has("k", {"a": 2})
    assert not kept.has("other", {"a": 1})


def test_a_dry_run_says_what_is_kept_and_makes_nothing(
    finished: Finished, tmp_path: Path, counted: Counter[str]
) -> None:
    recipe = small_recipe('methods=["student-xent", "filter-knn"]', "seeds=[0, 1]")
    before = stages(recipe, tmp_path)
    rows = re.fullmatch(r"activations of (\d+) of \1 rows", before[0].name)
    assert rows
    assert [stage.name for stage in before if stage.seed == 1] == ["weak", "ceiling", "student-xent", "filter-knn"]
    assert not any(stage.kept for stage in before)
    assert not counted
    assert not list(tmp_path.iterdir())
    there = stages(recipe, shutil.copytree(finished[PLAIN][0], tmp_path / "run"))
    to_do = int(rows[1]) - 700  # the training, validation and test rows of seed 0
    assert there[0].name == f"activations of {to_do} of {rows[1]} rows (700 kept)"
    assert not there[0].kept
    after = {(stage.seed, stage.name): stage.kept for stage in there}
    assert [after[0, name] for name in ("weak", "ceiling", "student-xent", "filter-knn")] == [True, True, True, False]
    assert not after[1, "weak"]
    assert not counted
