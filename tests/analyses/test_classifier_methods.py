"""Classifiers of scikit-learn in recipes: a name in `[probes.classifiers]` gives methods, a ceiling and controls."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.methods import METHODS
from analyses.protocol import run
from analyses.recipe.probe_values import Probes
from analyses.recipe.read import read_recipe
from tests.worlds.experiments import experiment, outcome_by
from tests.worlds.plugged import registries_as_they_are, small_recipe_text
from w2s_probes import InputError
from w2s_probes.probes import ClassifierProbe

METHODS_OF_BAYES = ["student-xent", "probe-bayes", "filter-bayes", "control-random:filter-bayes", "relabel-bayes"]
METHODS_OF_BAYES += ["filter-relabel-bayes"]
BAYES = '[probes.classifiers]\nbayes = "sklearn.naive_bayes:GaussianNB"'
RECIPE = small_recipe_text(METHODS_OF_BAYES, probes=BAYES)


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with registries_as_they_are():
        yield


def recipe_of(folder: Path, text: str = RECIPE) -> Path:
    (folder / "recipe.toml").write_text(text)
    return folder / "recipe.toml"


def test_a_named_classifier_has_every_method_of_a_probe_its_ceiling_and_its_control(tmp_path: Path) -> None:
    file = recipe_of(tmp_path)
    results = run(read_recipe(file), tmp_path / "run")
    own: Any = results[results["metric"] == "auroc"].set_index("method")
    names = {"probe-bayes", "ceiling-bayes", "filter-bayes", "control-random:filter-bayes", "relabel-bayes"}
    assert names | {"filter-relabel-bayes"} <= set(own.index)
    assert own.loc["probe-bayes", "probe"] == "bayes"
    assert pd.isna(own.loc["probe-bayes", "l2"])
    assert own.loc["ceiling-bayes", "value"] > 0.6
    assert (tmp_path / "run" / "filters" / "miniature_price-0-filter-bayes.jsonl.gz").is_file()
    assert 'bayes = "sklearn.naive_bayes:GaussianNB"' in (tmp_path / "run" / "recipe.toml").read_text()


def test_a_probe_of_a_recipe_is_the_classifier_by_its_own_hand(tmp_path: Path) -> None:
    Probes(classifiers={"bayes": "sklearn.naive_bayes:GaussianNB"})
    view = experiment(tmp_path)
    scores = outcome_by("probe-bayes", view).scores["test"]
    fitted = ClassifierProbe("sklearn.naive_bayes:GaussianNB").fit(view.X_train, view.weak_train)
    expected = fitted.predict_proba(view.activations.of(view.rows["test"]))[:, 1]
    np.testing.assert_array_equal(scores, expected)
    assert "filter-relabel-bayes" in METHODS


def test_recipes_without_any_have_the_keys_that_they_had() -> None:
    assert "classifiers" not in Probes().read(Probes.model_fields)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("naive_bayes:GaussianNB", "naive_bayes:Gauss", "cannot be made"),
        ("naive_bayes:GaussianNB", "svm:LinearSVC", "has no predict_proba"),
        ("bayes =", "knn =", "'knn' stands for another probe already: choose another name"),
        ("bayes =", "students =", "choose another name"),
    ],
)
def test_names_and_classes_that_cannot_be_are_refused_by_the_key(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        read_recipe(recipe_of(tmp_path, RECIPE.replace(old, new)))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_one_name_is_not_two_classifiers(tmp_path: Path) -> None:
    read_recipe(recipe_of(tmp_path))
    read_recipe(recipe_of(tmp_path))  # again, as ladders and variants do
    with pytest.raises(InputError, match=r"'bayes' stands for sklearn\.naive_bayes:GaussianNB already"):
        read_recipe(recipe_of(tmp_path, RECIPE.replace('GaussianNB"', 'GaussianNB(var_smoothing=0.1)"')))
