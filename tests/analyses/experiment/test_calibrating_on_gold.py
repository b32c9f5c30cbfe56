"""Calibration to the true labels of gold rows: who is calibrated by them has not learned them; they are counted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analyses.experiment.gold_rows import GoldUse, gold_rows
from analyses.experiment.kept_methods import method_description
from analyses.experiment.task_models import Sources
from analyses.experiment.view import Experiment
from analyses.lessons.clock import Clock
from analyses.methods import find_method
from analyses.recipe.gold import Gold
from analyses.robustness.robust_run import robust_methods
from analyses.supervisors.held_out import refuse_without_truth
from analyses.trial import LabelledTrial, Trial, task_models
from tests.conftest import planted
from tests.worlds.experiments import Untaught, experiment, gold_of_planted, outcome_by, small_recipe, taught
from tests.worlds.supervising import labels_by, recipe_with
from w2s_probes.calibration import calibrate
from w2s_probes.errors import InputError
from w2s_probes.metrics import METRICS, auroc

TRUTH = planted(n=200, seed=2).truth
GOLD = ["gold.n=100"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    groups = np.array([f"g{row // 7}" for row in range(300)], dtype=object)
    return experiment(tmp_path_factory.mktemp("on gold"), groups=groups)


@pytest.fixture(scope="module")
def view(plain: Experiment) -> Experiment:
    gold = gold_of_planted(plain, Gold(n=[60])).of(GoldUse())
    probes = plain.probes.model_copy(update={"calibrate": "platt", "calibrate_on": "gold"})
    return replace(plain, calibrate="platt", calibrate_on="gold", probes=probes, calibrating=gold)


@pytest.mark.parametrize("name", ["student-xent", "filter-knn", "s2s-1", "two-stage-knn", "control-random:filter-knn"])
def test_no_student_learns_gold_rows_or_their_kin(name: str, view: Experiment) -> None:
    teacher = Untaught()
    found = outcome_by(name, view, teacher)
    assert view.calibrating is not None
    related = view.calibrating.related
    assert related.sum() > 60
    for lesson in teacher.lessons:
        assert lesson.mask is not None
        assert not lesson.mask[related].any()
        assert lesson.mask.any()
    assert found.trusted == 60


def test_a_student_is_calibrated_to_the_truth_of_rows_it_has_not_learned(view: Experiment) -> None:
    found = outcome_by("student-xent", view)
    trained = taught(view.lesson(view.weak_train, loss="xent"))
    assert view.calibrating is not None
    gold, truth = view.calibrating.mask, planted(n=300).truth
    curve = calibrate(trained["train"][gold], truth[gold])
    assert np.array_equal(found.scores["test"], curve(trained["test"]))
    assert auroc(TRUTH, found.scores["test"]) == auroc(TRUTH, trained["test"])
    # A fifth of the weak labels are wrong: to these the student is less sure than to the truth, of which it is right.
    weak = outcome_by("student-xent", replace(view, calibrate_on="weak", calibrating=None)).scores["test"]
    assert METRICS["ece"](TRUTH, found.scores["test"]) < METRICS["ece"](TRUTH, weak) - 0.05


@pytest.mark.parametrize("name", ["logistic", "knn", "attention"])
def test_a_probe_is_calibrated_by_its_out_of_sample_scores_of_gold_rows(
    name: str, view: Experiment, plain: Experiment
) -> None:
    found, before = outcome_by(f"probe-{name}", view), outcome_by(f"probe-{name}", plain)
    assert view.calibrating is not None
    gold = view.calibrating.mask
    curve = calibrate(plain.out_of_sample_scores(name)[gold], planted(n=300).truth[gold])
    assert np.allclose(found.scores["test"], curve(before.scores["test"]), atol=1e-12)
    assert (found.trusted, before.trusted) == (60, 0)


def test_what_reads_gold_rows_or_weak_train_itself_counts_each_row_once(view: Experiment, plain: Experiment) -> None:
    assert outcome_by("gold-select-knn", view).trusted == outcome_by("gold-select-knn", plain).trusted == 60
    for name in ("gate-learned", "mowst"):
        assert outcome_by(name, view).trusted == outcome_by(name, plain).trusted + 60
    for name in ("prior-zeroshot", "fusion-dynamic", "ceiling-logistic"):  # which gold rows do not calibrate
        assert outcome_by(name, view).trusted == 0


def test_without_gold_rows_there_is_a_line_and_with_others_another_key(view: Experiment, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"needs true labels of gold rows, and there are none: give \[gold\] n"):
        outcome_by("student-xent", replace(view, calibrating=None))
    sets, _ = labels_by(recipe_with(tmp_path, {"kind": "text"}), tmp_path)
    method = find_method("student-xent")
    fewer = replace(view, calibrating=gold_of_planted(view, Gold(n=[50])).of(GoldUse()))
    on_weak = replace(view, calibrate_on="weak")
    keys = [method_description("student-xent", method, one, sets)["calibrate"] for one in (view, fewer, on_weak)]
    assert keys[0] != keys[1]
    assert keys[0] != keys[2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ['student.calibrate_on="gold"'],
            r"student\.calibrate_on = 'gold' says on which rows: give student",
        ),
        (['probes.calibrate_on="weak"'], r"probes\.calibrate_on = 'weak' says on which rows: give probes\.calibrate"),
        (['student.calibrate="platt"', 'student.calibrate_on="gold"'], r"say how many, \[gold\] n = 100"),
        (['probes.calibrate="platt"', 'probes.calibrate_on="gold"', "gold.n=[20,40]"], "gold.n has several numbers"),
        (['probes.calibrate="platt"', 'probes.calibrate_on="gold"', "gold.n=9"], r"10 rows at least, and gold\.n = 9"),
        (
            ['student.calibrate="platt"', 'student.calibrate_on="gold"', *GOLD, "methods=student-xent,gold-append"],
            "leaves gold rows out of what students are taught, and method 'gold-append' teaches them",
        ),
        (
            [
                'student.calibrate="platt"',
                'student.calibrate_on="gold"',
                *GOLD,
                "methods=student-xent,control-gold-weak:gold-after",
            ],
            "method 'control-gold-weak:gold-after' teaches them",
        ),
        (['student.calibrate="platt"', 'student.calibrate_on="truth"'], "calibrate_on"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_recipe(settings: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        small_recipe(*settings)


def test_gold_rows_of_one_class_and_attacks_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    on_gold = ['student.calibrate="platt"', 'student.calibrate_on="gold"', "gold.n=10"]
    recipe = small_recipe(*on_gold)
    sets, _ = labels_by(recipe_with(tmp_path, {"kind": "text"}), tmp_path)
    one = replace(sets, train=sets.train.assign(label=1))
    refuse_without_truth(recipe, {}, {"miniature_price": {0: sets}})
    with pytest.raises(InputError, match="needs 10 gold rows of both classes at least, and there are 10, 10 of label"):
        refuse_without_truth(recipe, {}, {"miniature_price": {0: one}})
    with pytest.raises(InputError, match="calibrate_on = 'gold' reads true labels of rows taught, and attacks"):
        robust_methods(recipe, oracle=False)


def test_a_trial_calibrates_by_the_gold_rows_that_its_recipe_draws(tmp_path: Path) -> None:
    recipe = recipe_with(tmp_path, {"kind": "text"}, 'student.calibrate="platt"', 'student.calibrate_on="gold"', *GOLD)
    sets, labels = labels_by(recipe, tmp_path)
    models = task_models(recipe, "miniature_price", [sets], tmp_path, Sources(), Clock())
    made = LabelledTrial(Trial(recipe, "miniature_price", 0, sets, {}, *models), labels).view
    drawn = gold_rows(recipe.gold, sets, "miniature_price", 0).of(GoldUse())
    assert (made.calibrate, made.calibrate_on) == ("platt", "gold")
    assert made.calibrating is not None
    assert np.array_equal(made.calibrating.mask, drawn.mask)
    assert made.calibrating.mask.sum() == 100
    assert np.array_equal(made.calibrating.truth(), sets.train["label"][drawn.mask].to_numpy(dtype=float))
    plain = recipe_with(tmp_path, {"kind": "text"}, 'student.calibrate="platt"')
    assert LabelledTrial(Trial(plain, "miniature_price", 0, sets, {}, *models), labels).view.calibrating is None
