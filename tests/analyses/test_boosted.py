"""A boosted supervisor at its edges, and ensembles of them with and without a model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from analyses.experiment.splits import split_task
from analyses.experiment.task_models import Sources
from analyses.lessons.clock import Clock
from analyses.supervisors import boosted, described
from analyses.supervisors.boosted import boosted_supervisor
from analyses.supervisors.held_out import HELD_OUT, held_out_rows
from analyses.trial import task_models
from tests.worlds.supervising import MINIATURE, recipe_with
from w2s_probes import InputError


def test_labels_of_one_class_teach_nothing_and_say_so_and_without_a_curve_scores_keep_their_order(
    tmp_path: Path,
) -> None:
    recipe = recipe_with(tmp_path, {"kind": "boosted", "rounds": 20})
    (sets,) = split_task(recipe, recipe.data.tasks[0]).values()
    name = recipe.task_names[0]
    models, _ = task_models(recipe, name, [sets], tmp_path, Sources(), Clock())
    alike = replace(sets, weak=sets.weak.assign(label=1))
    with pytest.raises(InputError, match=r"learns are of one class: raise weak\.n_truth"):
        boosted_supervisor(recipe.weak, alike, models, task=name, seed=0)
    held = held_out_rows(sets.weak, name, 0)
    one_held = replace(sets, weak=sets.weak.assign(label=np.where(held, 1, sets.weak["label"])))
    curve = boosted_supervisor(recipe.weak, sets, models, task=name, seed=0)["test"]
    plain = boosted_supervisor(recipe.weak, one_held, models, task=name, seed=0)["test"]
    assert ((plain > 0) & (plain < 1)).all()
    assert (np.argsort(plain, kind="stable") == np.argsort(curve, kind="stable")).all()


def test_scores_of_the_rows_that_are_held_out_are_cross_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    plain = boosted._platt

    def seen(decisions: NDArray[np.float64], truth: NDArray[np.float64]) -> tuple[float, float]:
        fitted.append((decisions, truth))
        return plain(decisions, truth)

    monkeypatch.setattr(boosted, "_platt", seen)
    recipe = recipe_with(tmp_path, {"kind": "boosted", "rounds": 20})
    (sets,) = split_task(recipe, recipe.data.tasks[0]).values()
    name = recipe.task_names[0]
    models, _ = task_models(recipe, name, [sets], tmp_path, Sources(), Clock())
    scores = boosted_supervisor(recipe.weak, sets, models, task=name, seed=0)[HELD_OUT]
    (every, truth), *parts = fitted
    assert len(parts) == 5
    assert sum(len(every) - len(part) for part, _ in parts) == len(every)  # each row is left out once
    places = [np.isin(every, part, invert=True) for part, _ in parts]
    for (part, labels), left_out in zip(parts, places, strict=True):
        curve = LogisticRegression(C=10.0).fit(part[:, None], labels)
        again = curve.predict_proba(every[left_out][:, None])[:, 1]
        assert all(np.isclose(scores, p).any() for p in again)
    inside = LogisticRegression(C=10.0).fit(every[:, None], truth).predict_proba(every[:, None])[:, 1]
    assert np.abs(scores - inside).max() > 1e-3


def test_which_member_has_the_model_is_part_of_the_key(tmp_path: Path) -> None:
    bare, model = {"kind": "boosted"}, {"kind": "boosted", "model": str(MINIATURE / "weak")}
    keys = []
    for number, members in enumerate(([bare, model], [model, bare])):
        recipe = recipe_with(tmp_path / str(number), {"kind": "ensemble", "members": members})
        (sets,) = split_task(recipe, recipe.data.tasks[0]).values()
        models, _ = task_models(recipe, recipe.task_names[0], [sets], tmp_path, Sources(), Clock())
        keys.append(described(recipe.weak, sets, models, recipe.strong, 0))
    assert keys[0] != keys[1]
