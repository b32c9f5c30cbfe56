"""Ensembles of layers in recipes: methods, their controls, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyses.costs import plan_recipe
from analyses.dry_run import stages
from analyses.experiment.layer_probes import LAYERS
from analyses.lessons.lesson import Misuse
from analyses.protocol import run
from analyses.recipe.probe_values import Probes
from analyses.recipe.read import read_recipe
from tests.conftest import ROOT
from tests.worlds.experiments import experiment, outcome_by
from w2s_probes import InputError, LogisticProbe, relabel
from w2s_probes.io.tables import read_table
from w2s_probes.layer_ensemble import layer_agreement, mean_log_odds
from w2s_probes.probes import KNNProbe

MINIATURE = ROOT / "data" / "miniature"
RECIPE = f"""
methods = ["student-xent", "probe-layers", "control-best-layer", "control-bagged-layer", "filter-layers",
           "control-random:filter-layers", "relabel-layers"]
seeds = [0]
n_boot = 100
[data]
tasks = ["miniature_price"]
folder = "{MINIATURE / "rows"}"
n_train = 80
n_val = 30
n_test = 60
[weak]
n_truth = 50
[strong]
model = "{MINIATURE / "strong"}"
[student]
epochs = 10
[probes.layers]
of = "mean-difference"
layers = [1, -1]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("layers")


def read(folder: Path, *settings: str) -> Any:
    (folder / "recipe.toml").write_text(RECIPE)
    return read_recipe(folder / "recipe.toml", settings)


def test_scores_are_those_of_each_layer_by_hand(tmp_path: Path) -> None:
    view = experiment(tmp_path)
    of_each = [(read.of(view.rows["train"]), read.of(view.rows["test"])) for read in view.layer_activations]
    expected = mean_log_odds([LogisticProbe().fit(X, view.weak_train).predict_proba(Z)[:, 1] for X, Z in of_each])
    assert outcome_by("probe-layers", view).scores["test"] == pytest.approx(expected)
    inside = [relabel(LogisticProbe(), X, view.weak_train, groups=view.groups) for X, _ in of_each]
    assert view.out_of_sample_scores(LAYERS) == pytest.approx(mean_log_odds(inside))
    assert view.layer_notes() == {"layers": 2, "agreement": pytest.approx(layer_agreement(inside).mean())}
    near = experiment(tmp_path, probes=Probes(knn_k=20, topo_k=20, layers={"of": "knn"}))
    by_knn = [KNNProbe(20).fit(X, view.weak_train).predict_proba(Z)[:, 1] for X, Z in of_each]
    found = outcome_by("probe-layers", near)
    assert found.scores["test"] == pytest.approx(mean_log_odds(by_knn))
    assert (found.probe, found.k, found.l2) == (LAYERS, 20, None)


def test_the_best_layer_is_the_one_nearest_to_the_weak_labels_and_its_bag_has_as_many_fits(tmp_path: Path) -> None:
    view = experiment(tmp_path)
    best, bagged = outcome_by("control-best-layer", view), outcome_by("control-bagged-layer", view)
    assert (best.layer, bagged.layer) == (1, 1)  # the other layer is the same with noise
    turned = experiment(tmp_path, layer_activations=view.layer_activations[::-1])
    assert outcome_by("control-best-layer", turned).layer == 1
    assert best.scores["test"] == pytest.approx(outcome_by("probe-logistic", view).scores["test"])
    assert bagged.notes["members"] == 2
    off = np.abs(bagged.scores["test"] - best.scores["test"])
    assert 0.001 < off.max() < 0.5


def test_calibration_is_of_the_ensemble_by_validation_rows(tmp_path: Path) -> None:
    plain, own = (experiment(tmp_path, probes=Probes(calibrate=rule)) for rule in (None, "platt"))
    scores = [outcome_by("probe-layers", view).scores["test"] for view in (plain, own)]
    order = [np.argsort(one, kind="stable") for one in scores]
    assert np.array_equal(order[0], order[1])
    assert np.abs(scores[0] - scores[1]).max() > 0.01


def test_a_recipe_runs_them_with_their_ceiling_and_controls(folder: Path) -> None:
    recipe = read(folder)
    before = [stage for stage in stages(recipe, folder / "cache") if "activations" in stage.name]
    assert len(before) == 3
    results = run(recipe, folder / "run", cache=folder / "cache")
    own: Any = results[results["metric"] == "auroc"].set_index("method")
    assert {"probe-layers", "ceiling-layers", "control-best-layer", "control-bagged-layer"} <= set(own.index)
    assert own.loc["probe-layers", "probe"] == "layers"
    assert own["layer"].isna()[["probe-layers", "ceiling-layers"]].all()
    assert own.loc["relabel-layers", "layer"] == 2
    kept = read_table(folder / "run" / "filters" / "miniature_price-0-filter-layers.jsonl.gz")
    assert set(kept["probe"].dropna()) == {"layers"}
    assert "layer" not in kept  # it has read several
    assert own.loc["ceiling-layers", "oracle"]
    assert own.loc["ceiling-layers", "value"] > 0.6
    record = json.loads((folder / "run" / "run.json").read_text())
    notes = record["runs"]["miniature_price, seed 0"]["methods"]["probe-layers"]
    assert notes["layers"] == 2
    assert 0.5 < notes["agreement"] <= 1
    assert "[probes.layers]" in (folder / "run" / "recipe.toml").read_text()
    assert all(stage.kept for stage in stages(recipe, folder / "cache"))
    other = stages(read(folder, "probes.layers.layers=[1, 2]"), folder / "cache")
    assert [stage.kept for stage in other if "probe-layers" in stage.name] == [False]
    assert [stage.kept for stage in other if "student-xent" in stage.name] == [True]
    plans = plan_recipe(recipe).models
    assert [role for role in plans if "layer" in role] == ["strong, layer 1", "strong, layer -1"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("probes.layers.layers=[2]", "layers names one layer, which is no ensemble"),
        ("probes.layers.layers=[]", "method 'probe-layers' needs probes.layers.layers, two at least"),
        ("probes.layers.layers=[2, 2]", "layers names something twice: 2, 2"),
        ("probes.layers.of=logitsic", "layers.of = 'logitsic': did you mean 'logistic'"),
        ("probes.layers.of=layers", "layers.of = 'layers'"),
        ("strong.position=attention", "method 'probe-layers' reads one vector a row"),
    ],
)
def test_what_is_no_ensemble_is_refused_in_one_line(tmp_path: Path, setting: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        read(tmp_path, setting)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("layers", "said"), [("[1, 99]", "layer 99 is outside"), ("[2, 'middle']", "is layer 2, as")])
def test_layers_that_the_model_lacks_or_that_are_one_are_refused_before_anything_is_read(
    tmp_path: Path, layers: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        run(read(tmp_path, f"probes.layers.layers={layers}"), tmp_path / "run")


def test_recipes_without_any_have_the_keys_that_they_had_and_methods_see_no_layers(tmp_path: Path) -> None:
    assert "layers" not in Probes().read(Probes.model_fields)
    with pytest.raises(Misuse, match="Method\\(layers=True\\)"):
        experiment(tmp_path, layer_activations=()).out_of_sample_scores(LAYERS)
