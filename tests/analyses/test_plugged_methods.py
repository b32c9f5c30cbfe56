"""Plugins of a recipe: their methods, losses and probes in runs, what is kept of them, and what is refused."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.experiment import Experiment, Method
from analyses.experiment.declared_probes import EVERY_SETTING, Undeclared
from analyses.experiment.kept_methods import method_description
from analyses.experiment.row_sets import RowSets
from analyses.methods import METHODS, find_method, find_methods
from analyses.protocol import run
from analyses.recipe.probe_values import Probes
from analyses.recipe.read import read_recipe, read_recipes
from analyses.recipe.schema import Recipe
from analyses.recipe_schema import recipe_json_schema
from tests.conftest import planted
from tests.worlds.experiments import experiment, outcome_by
from tests.worlds.plugged import METHOD, PLUGIN, install, look_again, registries_as_they_are, small_recipe_text
from w2s_probes import InputError, auroc
from w2s_probes.plugins import load_plugins
from w2s_probes.registries import REGISTRIES, Registry, installed

RECIPE = small_recipe_text(
    ["agreement", "student-mine", "probe-means", "filter-means", "control-random:filter-means"],
    top='plugins = ["plugins/mine.py"]',
    student='loss = "mine"',
    probes="[probes]\nmeans_l2 = 0.5",
)


@pytest.fixture(autouse=True)
def _undone() -> Iterator[None]:
    with registries_as_they_are():
        yield


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A recipe with its plugin in a folder below it."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "mine.py").write_text(PLUGIN + METHOD)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path / "recipe.toml"


def test_a_run_in_two_processes_is_as_in_one_and_is_read_again_from_its_recipe(
    written: Path, tmp_path: Path, w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    w2s("run", written, "--out", tmp_path / "two", "--jobs", 2)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("plugin ")
    assert said[0].endswith("mine.py: adds probe means, loss mine, method agreement, reader .tsv, format words")
    with registries_as_they_are():
        w2s("report", tmp_path / "two")  # without the plugin
    recipe = read_recipe(tmp_path / "two" / "recipe.toml")
    assert recipe == read_recipe(written)
    assert recipe.plugins == [written.parent / "plugins" / "mine.py"]
    alone = run(recipe, tmp_path / "one")
    together = pd.read_csv(tmp_path / "two" / "results.csv")
    values, others = (table.set_index(["method", "metric"])["value"] for table in (alone, together))
    pd.testing.assert_series_equal(values, others, atol=1e-6)
    assert {"agreement", "student-mine", "probe-means", "ceiling-means", "filter-means"} <= set(alone["method"])
    assert alone[alone["method"] == "ceiling-means"]["oracle"].all()
    assert set(alone.loc[alone["method"] == "probe-means", "l2"]) == {0.5}
    assert values["filter-means", "auroc"] > 0.6


def description(name: str, made: Experiment) -> dict[str, Any]:
    tables = {of: rows.assign(label=0) for of, rows in made.rows.items()}
    sets = RowSets(tables["train"][:0], tables["train"], tables["val"], tables["test"], conflict=tables["conflict"])
    return method_description(name, find_method(name), made, sets)


OURS = (
    *("student-xent", "filter-knn", "probe-logistic", "s2s-1", "control-random:filter-topo", "gate-variance"),
    *("control-gate-average:gate-variance", "control-gate-shuffled:gate-entropy"),
)
ITS = ("agreement", "student-mine", "probe-means", "filter-means", "control-random:filter-means", "relabel-means")


def test_an_edit_changes_the_keys_of_what_it_made_and_no_others(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    before = {name: description(name, made) for name in OURS}
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN + METHOD)
    load_plugins([file])
    assert {name: description(name, experiment(tmp_path)) for name in OURS} == before
    with_loss = {name: description(name, replace(made, loss="mine")) for name in ("s2s-1", "student-xent")}
    first = {name: description(name, made) for name in ITS}
    again = tmp_path / "elsewhere" / "mine.py"
    again.parent.mkdir()
    again.write_text(PLUGIN + METHOD)
    load_plugins([again])
    assert {name: description(name, made) for name in ITS} == first  # the place of the file is no part of it
    file.write_text(PLUGIN.replace("FACTOR = 1.0", "FACTOR = 2.0") + METHOD)
    load_plugins([file])
    assert {name: description(name, made) for name in OURS} == before
    changed = {name: description(name, made) for name in ITS}
    assert [name for name in ITS if changed[name] == first[name]] == []
    assert all(description(name, replace(made, loss="mine")) != with_loss[name] for name in with_loss)
    other = tmp_path / "other.py"
    other.write_text(PLUGIN.replace('"means"', '"others"').replace('"mine"', '"yours"').replace(".tsv", ".tab"))
    other.write_text(other.read_text().replace('"words"', '"lines"').replace("MeansProbe", "OthersProbe"))
    load_plugins([other])
    declared = [name for name in ITS if name != "agreement"]  # which may read every probe, and learn by any loss
    assert {name: description(name, made) for name in declared} == {name: changed[name] for name in declared}


def test_its_methods_alone_learn_through_noise(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN + METHOD)
    load_plugins([file])
    assert list(find_methods(["probe-means"])) == ["ceiling-means", "probe-means"]
    for name in ITS[:4]:
        outcome = outcome_by(name, experiment(tmp_path))
        assert auroc(planted(n=200, seed=2).truth, outcome.scores["test"]) > 0.95, name
    assert find_method("filter-means").settings == {"means_l2", "contamination"}


def test_an_undeclared_setting_of_a_plugins_probe_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    load_plugins([file])
    made = experiment(tmp_path)
    assert made.view(frozenset({"means_l2"})).probes.means_l2 == 0.25
    with pytest.raises(Undeclared, match=r"reads probes.means_l2, which it has not declared"):
        made.view(frozenset({"knn_k"})).probes.means_l2  # noqa: B018
    assert made.view(EVERY_SETTING).probes.means_l2 == 0.25  # what declares all of ours reads any


def test_a_recipes_names_are_proposed_with_those_of_its_plugins(written: Path) -> None:
    def said(*settings: str) -> str:
        with pytest.raises(InputError) as error:
            find_methods(read_recipe(written, settings).methods)
        return str(error.value)

    assert said('methods=["agrement"]').endswith("did you mean 'agreement'?")
    assert said('methods=["filter-mean"]').endswith("did you mean 'filter-means'?")
    assert said('methods=["control-random:filter-mean"]').endswith("did you mean 'filter-means'?")
    assert said("student.loss=mime").endswith("student.loss: loss 'mime': did you mean 'mine'?")
    listed = said("student.loss=zzzzzzz")
    assert "loss 'zzzzzzz': known: adaptconf, " in listed
    assert "mine" in listed
    assert said("probes.mean_l2=1").endswith("unknown key 'probes.mean_l2'; did you mean 'probes.means_l2'?")
    assert said("probes.n_train=1").endswith("unknown key 'probes.n_train'; it belongs to a table: data.n_train")
    assert said("probes.means_l2=-1").endswith("probes: means_l2: input should be greater than or equal to 0")
    assert "means_k" in said("probes.means_k=1")


def test_plugins_that_are_wrong_are_refused_in_one_line(written: Path, tmp_path: Path) -> None:
    def said(*settings: str) -> str:
        with pytest.raises(InputError) as error:
            read_recipes(written, settings)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert said('plugins=["none.py"]').endswith("none.py: cannot be read (No such file or directory)")
    assert said("plugins=[3]").endswith('plugins must be a list of files: plugins = ["my_methods.py"]')
    plugin = tmp_path / "plugins" / "mine.py"
    begin = "from analyses.experiment import Method\nfrom analyses.methods import METHODS\n"
    for text, wrong in (
        (
            'METHODS["a"] = len',
            "line 3: method 'a': this is a builtin_function_or_method; expected is a Method(function)",
        ),
        ('METHODS["a"] = Method(3)', "line 3: method 'a': its function cannot be called with an Experiment"),
        ('METHODS["a"] = Method(lambda: 3)', "line 3: method 'a': its function cannot be called with an Experiment"),
        ('METHODS["filter-knn"] = Method(len)', f"method 'filter-knn': w2s-probes and plugin {plugin} both have one"),
    ):
        plugin.write_text(begin + text)
        assert wrong in said()
        assert f"plugin {plugin}, line 3: " in said()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "a name is of letters, digits"),
        ("a/../b", "a name is of letters, digits"),
        ("x y,z", "a name is of letters, digits"),
        (".hidden", "a name is of letters, digits"),
        ("control-random:filter-topo", "a name is of letters, digits"),
        ("weak", "are those of references"),
        ("ceiling", "are those of references"),
        ("ceiling-mine", "are those of references"),
        ("control-gate-average-mine", "is that of a method's control"),
    ],
)
def test_a_name_that_means_something_else_is_refused(name: str, said: str) -> None:
    method = METHODS["student-xent"]
    with pytest.raises(InputError, match=f"^method {name!r}: .*{said}"):
        METHODS[name] = method
    assert name not in METHODS
    METHODS["weak_2.b+c"] = METHODS["ceiling-knn"] = method  # the control, and one of ours replaced


def test_a_derived_name_is_taken_as_well(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f'{PLUGIN}{METHOD}\nMETHODS["filter-means"] = METHODS["agreement"]\n')
    with pytest.raises(InputError, match=r"method 'filter-means': w2s-probes and plugin .* both have one"):
        load_plugins([file])
    assert "filter-means" not in METHODS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'METHODS["student-gce"] = agreement\nLOSSES["gce"] = mine',
            "loss 'gce': method 'student-gce' follows from it",
        ),
        ('LOSSES["conflict-explicit"] = mine', "loss 'conflict-explicit': method 'student-conflict-explicit' follows"),
        (
            'METHODS["filter-others"] = agreement\nPROBES["others"] = replace(PROBES["means"], name="others")',
            "probe 'others': method 'filter-others' follows from it",
        ),
    ],
)
def test_a_name_from_which_a_taken_name_would_follow_is_refused(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    more = f'from dataclasses import replace\nagreement = METHODS["agreement"]\n{text}\n'
    file.write_text(PLUGIN + METHOD + more)
    with pytest.raises(InputError, match=said):
        load_plugins([file])
    assert "agreement" not in METHODS  # nothing of it is there


def test_a_taken_name_is_refused_as_well_where_what_follows_comes_later() -> None:
    """As where a plugin adds a loss before anything has imported the methods."""
    origin, derived = Registry[Any]("origin", "loss", {"ours": 1}), Registry[Any]("derived", "method", {"student-a": 1})
    try:
        origin["a"] = origin["ours"] = 2
        with pytest.raises(InputError, match="loss 'a': method 'student-a' follows from it, and there is one"):
            derived.derive(origin, {"student-{}": str})
        del origin["a"]
        derived.derive(origin, {"student-{}": str})
        origin["b"] = 3
        origin["b"] = 4
        assert list(derived) == ["student-a", "student-b"]
        assert derived["student-b"] == "b"
    finally:
        REGISTRIES.remove(origin)
        REGISTRIES.remove(derived)


def test_variants_may_have_plugins_and_a_recipe_made_in_python_takes_loaded_ones(written: Path, tmp_path: Path) -> None:
    text = RECIPE.replace('plugins = ["plugins/mine.py"]\n', "").replace('"agreement", ', "")
    text = text.replace(
        '"student-mine", "probe-means", "filter-means", "control-random:filter-means"', '"student-xent"'
    )
    text = text.replace('loss = "mine"', "").replace("means_l2 = 0.5", "")
    written.write_text(text + '\n[variants.a]\nplugins = "plugins/mine.py"\nmethods = ["agreement"]\n[variants.b]\n')
    found = read_recipes(written)
    assert found["a"].plugins == [written.parent / "plugins" / "mine.py"]
    assert found["b"].plugins == []
    values = found["b"].model_dump(exclude_unset=True)
    made = Recipe(**values | {"student": {"loss": "mine"}, "probes": Probes(means_l2=2)})
    assert (made.student.loss, made.probes.means_l2, made.probes.read({"means_l2"})) == ("mine", 2, {"means_l2": 2.0})


def test_the_schema_lists_what_an_installed_package_adds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "all.py": PLUGIN.partition('PROBES["means"]')[0] + 'ENTRY = ProbeEntry("means", "M", "l2", 1, MeansProbe, "M")'
    }
    points = {"losses": {"mine": "added_all.all:mine"}, "probes": {"means": "added_all.all:ENTRY"}}
    before = recipe_json_schema()["$defs"]
    monkeypatch.syspath_prepend(install(tmp_path, "added_all", files, points))
    look_again()
    after = recipe_json_schema()["$defs"]
    more = set(after["Method"]["enum"]) - set(before["Method"]["enum"])
    kinds = {"ceiling", "probe", "filter", "relabel", "filter-relabel", "gold-select"}
    controls = {"control-random:filter-means", "control-random:filter-relabel-means"}
    controls |= {"control-gold-weak:gold-select-means", "two-stage-means", "control-random-two-stage-means"}
    assert more == {"student-mine", *(f"{kind}-means" for kind in kinds), *controls}
    assert "mine" in after["Student"]["properties"]["loss"]["anyOf"][0]["enum"]
    assert after["Probes"]["properties"]["means_l2"] == {"type": "number", "default": 1}
    assert installed("losses")


def test_a_method_of_a_program_is_as_before(tmp_path: Path) -> None:
    """What a notebook puts in replaces what is there, and is kept under its code."""

    def plain(made: Experiment, *, way: float) -> Any:
        student = yield made.lesson(np.clip(made.weak_train, way, 1 - way))
        return made.outcome(student)

    METHODS["mine"] = Method(partial(plain, way=0.1))
    first = description("mine", experiment(tmp_path))
    METHODS["mine"] = Method(partial(plain, way=0.2))
    second = description("mine", experiment(tmp_path))
    assert first["code"] != second["code"]
    assert outcome_by("mine", experiment(tmp_path)).scores["test"].shape == (200,)
