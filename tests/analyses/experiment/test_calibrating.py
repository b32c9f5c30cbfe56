"""Scores that a recipe has calibrated: to which labels, what stays the same, and what is kept under which key."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from analyses.experiment.kept_methods import method_description
from analyses.experiment.method import run_method
from analyses.experiment.view import Experiment
from analyses.methods import find_method
from analyses.recipe.probe_values import Probes
from analyses.recipe.schema import Weak
from analyses.supervisors.calibrated import calibrated_labels, calibration_key
from analyses.supervisors.held_out import HELD_OUT, held_out_rows
from tests.conftest import planted
from tests.worlds.experiments import completed, experiment, truth_of_planted
from tests.worlds.supervising import labels_by, recipe_with
from w2s_probes.calibration import CALIBRATION_RULES, CalibrationRule, calibrate
from w2s_probes.errors import InputError
from w2s_probes.metrics import METRICS, auroc


def scores_of(name: str, view: Experiment) -> NDArray[np.float64]:
    method = find_method(name)
    truth: Any = truth_of_planted() if method.oracle else None
    return completed(run_method(name, method, view, truth)).scores["test"]


def weak_test_labels(view: Experiment) -> NDArray[np.float64]:
    return view.weak.values(view.rows["val"]["id"].to_numpy(dtype=object))


@pytest.mark.parametrize("by", CALIBRATION_RULES)
def test_students_keep_their_ranks_and_are_the_curve_of_their_validation_scores(
    by: CalibrationRule, tmp_path: Path
) -> None:
    plain = experiment(tmp_path)
    view = replace(plain, calibrate=by)
    before, after = (scores_of("student-xent", one) for one in (plain, view))
    assert not np.allclose(before, after)
    order = np.argsort(before)
    assert (np.diff(after[order]) >= 0).all()
    (student,) = [completed(iter_lesson(view))]
    curve = calibrate(student["val"], weak_test_labels(view), by=by)
    assert np.array_equal(after, curve(student["test"]))


def iter_lesson(view: Experiment) -> Any:
    (student,) = yield [view.lesson(view.weak_train, loss="xent")]
    return student


def test_probes_are_calibrated_by_themselves_and_students_too(tmp_path: Path) -> None:
    plain = experiment(tmp_path)
    of_probes = replace(plain, probes=plain.probes.model_copy(update={"calibrate": "platt"}))
    assert np.array_equal(scores_of("student-xent", plain), scores_of("student-xent", of_probes))
    before, after = (scores_of("probe-logistic", one) for one in (plain, of_probes))
    assert (np.argsort(before, kind="stable") == np.argsort(after, kind="stable")).all()
    assert not np.allclose(before, after)
    # A fifth of the weak labels are wrong: what is sure of the truth must be less so of them, and that is all it says.
    truth, sure = planted(n=200, seed=2).truth, after > 0.5
    assert truth[sure].mean() > 0.9
    assert after[sure].mean() == pytest.approx(0.8, abs=0.07)


def test_without_calibration_keys_and_rows_to_score_are_what_they_were(tmp_path: Path) -> None:
    plain = experiment(tmp_path)
    assert "val" not in plain.predicted
    assert plain.calibration_key == {}
    assert "calibrate" not in Probes().read(frozenset({"knn_k"}))
    assert calibration_key(Weak()) == {}


def test_what_is_kept_is_kept_under_the_calibration(tmp_path: Path) -> None:
    recipe = recipe_with(tmp_path, {"kind": "text"})
    sets, _ = labels_by(recipe, tmp_path)
    plain, method = experiment(tmp_path), find_method("student-xent")
    views = [plain, replace(plain, calibrate="platt"), replace(plain, calibrate="isotonic")]
    described = [method_description("student-xent", method, view, sets) for view in views]
    assert described[0] != described[1] != described[2]
    assert {name: part for name, part in described[1].items() if name != "calibrate"} == described[0]


def test_a_supervisor_is_calibrated_by_the_truth_of_the_rows_it_holds_out_and_these_by_others(tmp_path: Path) -> None:
    recipe = recipe_with(tmp_path, {"kind": "text", "n_truth": 300})
    sets, plain = labels_by(recipe, tmp_path)
    _, made = labels_by(recipe_with(tmp_path / "c", {"kind": "text", "n_truth": 300, "calibrate": "platt"}), tmp_path)
    name = recipe.task_names[0]
    truth = sets.weak["label"][held_out_rows(sets.weak, name, 0)].to_numpy(dtype=float)
    curve = calibrate(plain[HELD_OUT], truth)
    assert np.allclose(made["test"], curve(plain["test"]))
    assert auroc(sets.test["label"].to_numpy(), made["test"]) == auroc(sets.test["label"].to_numpy(), plain["test"])
    assert not np.allclose(made[HELD_OUT], curve(plain[HELD_OUT]))
    assert METRICS["log_loss"](truth, made[HELD_OUT]) > METRICS["log_loss"](truth, curve(plain[HELD_OUT])) - 1e-3


def test_what_cannot_be_calibrated_is_said_in_one_line(tmp_path: Path) -> None:
    recipe = recipe_with(tmp_path, {"kind": "text", "n_truth": 40})
    sets, plain = labels_by(recipe, tmp_path)
    weak = recipe.weak.model_copy(update={"calibrate": "isotonic"})
    with pytest.raises(InputError, match=r"weak\.calibrate = 'isotonic' on the 8 rows .*10 are needed.*raise weak"):
        calibrated_labels(weak, sets, plain, task="miniature_price", seed=0)
    with pytest.raises(ValidationError, match="kind = 'labels' takes no `calibrate`"):
        Weak(kind="labels", file=Path("a.jsonl"), calibrate="platt")
    with pytest.raises(InputError, match=r"weak\.calibrate"):
        recipe_with(tmp_path / "x", {"kind": "text", "calibrate": "sigmoid"})
