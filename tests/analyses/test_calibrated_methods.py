"""Which methods a recipe's calibration reaches, what it leaves as it was, and what it is refused for early."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analyses.experiment.outcomes import Outcome
from analyses.experiment.view import Experiment
from analyses.methods.gates import taught_truth
from analyses.recipe.probe_values import Probes
from analyses.supervisors.held_out import refuse_without_truth
from tests.conftest import planted
from tests.worlds.experiments import experiment, outcome_by, small_recipe, taught, truth_of_planted
from tests.worlds.supervising import labels_by, recipe_with
from w2s_probes.calibration import calibrate
from w2s_probes.errors import InputError
from w2s_probes.gating import Gate, mixed
from w2s_probes.labels.label_set import LabelSet
from w2s_probes.metrics import METRICS, auroc, performance_gap_recovered

TRUTH = planted(n=200, seed=2).truth
STUDENTS = ("student-xent", "filter-knn", "relabel-graph", "two-stage-knn", "control-permuted-graph", "control-trusted")
PROBES = ("probe-graph", "ceiling-logistic", "control-mean-of-tokens", "gold-select-knn")
MIXED = ("gate-entropy", "gate-learned", "gate-ceiling", "control-gate-shuffled")
NEITHER = ("prior-zeroshot", "prior-fewshot", "fusion-dynamic", "control-fusion-tuned")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    return experiment(tmp_path_factory.mktemp("calibrated"))


@pytest.fixture(scope="module")
def both(plain: Experiment) -> Experiment:
    probes = plain.probes.model_copy(update={"calibrate": "platt"})
    return replace(plain, calibrate="platt", probes=probes)


def aurocs(outcome: Outcome) -> list[float]:
    return [auroc(TRUTH, scores) for scores in np.atleast_2d(outcome.scores["test"])]


@pytest.mark.parametrize("name", [*STUDENTS, *PROBES, "mowst"])
def test_students_and_probes_are_calibrated_and_rank_as_before(name: str, plain: Experiment, both: Experiment) -> None:
    before, after = (outcome_by(name, view) for view in (plain, both))
    assert not np.allclose(before.scores["test"], after.scores["test"])
    assert aurocs(before) == aurocs(after), "of each draw, whichever way its scores point"


@pytest.mark.parametrize("name", NEITHER)
def test_what_ends_with_no_student_is_as_it_was(name: str, plain: Experiment, both: Experiment) -> None:
    before, after = (outcome_by(name, view).scores for view in (plain, both))
    assert all(np.array_equal(before[rows], after[rows]) for rows in before)


@pytest.mark.parametrize("name", MIXED)
def test_a_gate_mixes_calibrated_scores(name: str, both: Experiment) -> None:
    found = outcome_by(name, both)
    weak = both.weak_scores["test"]
    if name == "gate-ceiling":
        view = replace(both, truth=truth_of_planted())
        trained = taught(taught_truth(view))
        of, labels = trained["val"], view.true_val()
    else:
        trained = taught(both.lesson(both.weak_train))
        of, labels = trained["val"], both.weak.values(both.rows["val"]["id"].to_numpy(dtype=object))
    strong = calibrate(of, labels)(trained["test"])
    if name in ("gate-entropy", "gate-ceiling"):
        confidence = Gate("entropy").confidence(weak)
        assert np.allclose(found.scores["test"], mixed(weak, strong, confidence).p)
    low, high = np.minimum(weak, strong), np.maximum(weak, strong)
    drawn = np.atleast_2d(found.scores["test"])
    assert ((low - 1e-12 <= drawn) & (drawn <= high + 1e-12)).all()


def test_what_learned_the_truth_is_calibrated_to_it(both: Experiment) -> None:
    found = outcome_by("control-truth-conflict-implicit", both).scores["test"]
    view = replace(both, truth=truth_of_planted())
    trained = taught(view.lesson(view.true_train(), loss="xent", beside=view.true_conflict()))
    assert np.array_equal(found, calibrate(trained["val"], view.true_val())(trained["test"]))
    assert not np.allclose(found, view.evaluated(trained.scores)["test"])  # to the weak labels


def test_accuracy_and_its_pgr_move_with_the_threshold_and_those_of_auroc_do_not(tmp_path: Path) -> None:
    """A supervisor that calls 3 of 5 rows of label 1 a 0: to its labels every score is below one half."""
    view = experiment(tmp_path)
    ids = np.concatenate([view.rows["train"]["id"], view.rows["val"]["id"]])
    truth = np.concatenate([planted(n=300).truth, planted(n=100, seed=1).truth])
    leaning = LabelSet(ids, truth * (np.arange(400) // 2 % 5 < 2), "weak")
    weak = np.clip(0.2 + 0.25 * TRUTH + 0.1 * np.random.default_rng(0).normal(size=200), 0, 1)
    view = replace(view, weak=leaning, weak_scores={"test": weak}, calibrate="platt")
    trained = taught(view.lesson(view.weak_train, loss="xent"))
    before, ceiling = trained["test"], outcome_by("ceiling-logistic", view).scores["test"]
    found = {"plain": before}
    for to, labels in (("weak", leaning.p[300:]), ("truth", truth[300:])):
        curve = view.student_curve(trained.scores, labels)
        assert curve is not None
        found[to] = curve(before)
        # P = 1/2 is where slope * logit(p) + shift is 0: the decision of the plain score at this threshold.
        at = 1 / (1 + np.exp(curve.shift / curve.slope))
        assert METRICS["accuracy"](TRUTH, found[to]) == ((before > at) == (TRUTH > 0.5)).mean()
    assert np.array_equal(found["weak"], outcome_by("student-xent", view).scores["test"])
    pgr = {
        metric: [performance_gap_recovered(TRUTH, weak, student, ceiling, metric, 50) for student in found.values()]
        for metric in ("auroc", "accuracy")
    }
    assert len({result.value for result in pgr["auroc"]}) == 1
    plain, to_weak, to_truth = (result.value for result in pgr["accuracy"])
    assert max(plain, to_weak) + 0.3 < to_truth  # calibration to the supervisor keeps its leaning


@pytest.mark.parametrize("part", ["student", "probes"])
def test_too_few_validation_rows_are_refused_with_the_recipe(part: str) -> None:
    with pytest.raises(InputError, match=rf"{part}\.calibrate = 'platt' learns from validation rows, 10 at least, and"):
        small_recipe(f'{part}.calibrate="platt"', "data.n_val=9")
    assert Probes().calibrate is None


def test_too_few_rows_that_the_supervisor_holds_out_are_refused_before_it_is_taught(tmp_path: Path) -> None:
    for n_truth, told in ((40, "8 rows .*10 are needed"), (55, "11 rows")):
        plain = recipe_with(tmp_path, {"kind": "text", "n_truth": n_truth})
        sets, _ = labels_by(plain, tmp_path)
        recipe = recipe_with(tmp_path, {"kind": "text", "n_truth": n_truth, "calibrate": "platt"})
        if n_truth == 55:  # all held-out rows of one class but one
            sets = replace(sets, weak=sets.weak.assign(label=0))
        with pytest.raises(InputError, match=rf"weak\.calibrate = 'platt' on the {told}.*raise weak\.n_truth"):
            refuse_without_truth(recipe, {}, {"miniature_price": {0: sets}})
