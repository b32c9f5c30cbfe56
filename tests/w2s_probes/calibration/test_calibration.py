"""Calibration against scikit-learn's own curves, on the edges, and beside its controls."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import sklearn.calibration
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import binomtest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from w2s_probes.calibration import (
    CALIBRATION_RULES,
    CalibrationRule,
    Calibrator,
    calibrate,
    cross_calibrated,
    reliability_bins,
)
from w2s_probes.errors import InputError
from w2s_probes.metrics import METRICS, auroc


def overconfident(n: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores (n,) whose log-odds are three times too large and off by one, and labels (n,)."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    return np.asarray(expit(3 * z + 1)), (rng.uniform(size=n) < expit(z)).astype(np.float64)


def test_platt_is_that_of_scikit_learn() -> None:
    p, y = overconfident(400)
    theirs = sklearn.calibration._SigmoidCalibration().fit(logit(p), y)
    assert np.abs(calibrate(p, y, by="platt")(p) - theirs.predict(logit(p))).max() < 1e-4


def test_platt_of_soft_labels_is_a_logistic_regression_of_rows_of_both_classes_with_weights() -> None:
    p, y = overconfident(400)
    soft = np.clip(0.1 + 0.8 * y, 0, 1)
    ones, zeros = soft.sum(), (1 - soft).sum()
    target = soft * (ones + 1) / (ones + 2) + (1 - soft) / (zeros + 2)
    both, weights = np.tile(logit(p)[:, None], (2, 1)), np.concatenate([target, 1 - target])
    theirs = LogisticRegression(C=1e10, tol=1e-10).fit(both, np.repeat([1, 0], 400), weights)
    assert np.abs(calibrate(p, soft)(p) - theirs.predict_proba(logit(p)[:, None])[:, 1]).max() < 1e-5


@pytest.mark.skipif(not hasattr(sklearn.calibration, "_TemperatureScaling"), reason="scikit-learn >= 1.8 has it")
def test_temperature_is_that_of_scikit_learn() -> None:
    p, y = overconfident(400)
    both = np.column_stack([1 - p, p])
    theirs = sklearn.calibration._TemperatureScaling().fit(both, y)
    curve = calibrate(p, y, by="temperature")
    assert abs(curve.slope - float(theirs.beta_)) < 1e-5
    assert np.abs(curve(p) - theirs.predict(both)[:, 1]).max() < 1e-6


def test_temperature_is_a_root_of_the_slope_of_the_log_loss() -> None:
    p, y = overconfident(400)
    z = logit(p)
    slopes = np.linspace(0.05, 2, 4000)
    losses = [float((np.logaddexp(0, b * z) - y * b * z).mean()) for b in slopes]
    assert abs(calibrate(p, y, by="temperature").slope - slopes[int(np.argmin(losses))]) < 1e-3


def test_isotonic_is_that_of_scikit_learn_beyond_its_ends_too() -> None:
    p, y = overconfident(300)
    p = p.round(2)  # ties
    theirs = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(p, y)
    grid = np.linspace(0, 1, 101)
    assert np.allclose(calibrate(p, y, by="isotonic")(grid), theirs.predict(grid), atol=1e-12)


@pytest.mark.parametrize("by", CALIBRATION_RULES)
def test_calibration_helps_on_new_rows_and_never_turns_two_rows_round(by: CalibrationRule) -> None:
    p, y = overconfident(2000)
    new, truth = overconfident(2000, seed=1)
    made = calibrate(p, y, by=by)(new)
    assert METRICS["log_loss"](truth, made) < METRICS["log_loss"](truth, new) - 0.05
    assert (np.diff(made[np.argsort(new)]) >= 0).all()
    if by != "isotonic":
        assert auroc(truth, made) == auroc(truth, new)  # ranks are kept to the last bit


def test_platt_may_change_classes_and_a_temperature_never_does() -> None:
    p, y = overconfident(2000)
    assert ((calibrate(p, y, by="platt")(p) > 0.5) != (p > 0.5)).mean() > 0.05
    assert ((calibrate(p, y, by="temperature")(p) > 0.5) == (p > 0.5)).all()


@pytest.mark.parametrize("by", CALIBRATION_RULES)
def test_scores_of_permuted_labels_flatten_to_the_prior(by: CalibrationRule) -> None:
    p, y = overconfident(4000)
    shuffled = np.random.default_rng(3).permutation(y)
    made = calibrate(p, shuffled, by=by)(p)
    prior = 0.5 if by == "temperature" else y.mean()  # a temperature knows no other
    assert np.abs(made - prior).mean() < 0.03 < 0.2 < np.abs(p - prior).mean()


def test_isotonic_overfits_thirty_rows_where_platt_does_not() -> None:
    new, truth = overconfident(2000, seed=99)
    rules: tuple[CalibrationRule, ...] = ("platt", "isotonic")
    lost = {by: np.empty(40) for by in rules}
    for draw in range(40):
        p, y = overconfident(30, seed=draw)
        for by in rules:
            lost[by][draw] = METRICS["log_loss"](truth, calibrate(p, y, by=by)(new))
    assert (lost["isotonic"] > lost["platt"]).mean() > 0.9
    assert lost["isotonic"].mean() > lost["platt"].mean() + 0.1


def test_scores_of_the_rows_that_were_learned_are_out_of_sample_by_groups() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    p, y = rng.uniform(0.01, 0.99, 200), np.repeat(rng.integers(0, 2, 40), 5).astype(float)
    # Groups of one label at one place of the curve: an isotonic curve that saw a row's group knows its label.
    p = np.repeat(rng.uniform(0.01, 0.99, 40), 5) + rng.uniform(-1e-4, 1e-4, 200)
    inside = METRICS["log_loss"](y, calibrate(p, y, by="isotonic")(p))
    outside = METRICS["log_loss"](y, cross_calibrated(p, y, by="isotonic", groups=groups))
    assert inside < 0.69 < outside
    again = cross_calibrated(p, y, by="isotonic", groups=groups)
    assert (again == cross_calibrated(p, y, by="isotonic", groups=groups)).all()


def test_a_row_does_not_decide_its_own_calibrated_score() -> None:
    p, y = overconfident(60)
    made = cross_calibrated(p, y)
    turned = y.copy()
    positive = int(np.flatnonzero(y == 1)[0])
    turned[positive] = 0.6  # the same class, so the same folds
    assert cross_calibrated(p, turned)[positive] == made[positive]
    assert (cross_calibrated(p, turned) != made).any()


def test_sure_scores_and_separated_classes_stay_finite() -> None:
    p, y = np.repeat([0.0, 1.0], 20), np.repeat([0.0, 1.0], 20)
    for by in CALIBRATION_RULES:
        curve = calibrate(p, y, by=by)
        assert np.isfinite(curve(p)).all()
        assert (curve([0.0, 0.3, 1.0]) <= 1).all()
    assert np.allclose(calibrate(p, y)([0.0, 1.0]), [1 / 22, 21 / 22], atol=1e-4)  # Platt's targets


def test_a_curve_that_would_fall_is_flat() -> None:
    p, y = overconfident(300)
    for by in CALIBRATION_RULES:
        curve = calibrate(p, 1 - y, by=by)
        assert curve.flat, by
    assert np.allclose(calibrate(p, 1 - y)(p), 1 - y.mean(), atol=0.01)
    assert not calibrate(p, y).flat


@pytest.mark.parametrize("by", CALIBRATION_RULES)
def test_a_curve_is_saved_and_read_again(by: CalibrationRule, tmp_path: Path) -> None:
    p, y = overconfident(100)
    curve = calibrate(p, y, by=by, to="100 weak labels")
    curve.save(tmp_path / "curve.json")
    again = Calibrator.load(tmp_path / "curve.json")
    assert again == curve
    assert (again(p) == curve(p)).all()
    assert again.to == "100 weak labels"


@pytest.mark.parametrize("content", ['{"kind": "something"}', "[]", '{"kind": "w2s calibration", "by": "isotonic"}'])
def test_another_file_is_no_curve(content: str, tmp_path: Path) -> None:
    (tmp_path / "curve.json").write_text(content)
    with pytest.raises(InputError, match="no calibration curve"):
        Calibrator.load(tmp_path / "curve.json")


@pytest.mark.parametrize(
    ("p", "y", "by", "message"),
    [
        ([0.1] * 9, [0, 1, 1] * 3, "platt", "9 rows to calibrate on: 10 are needed"),
        (np.linspace(0, 1, 12), [1] * 12, "isotonic", "all 12 labels to calibrate on are 1"),
        ([0.3] * 12, [0, 1] * 6, "temperature", "all 12 scores to calibrate are 0.3"),
        (np.linspace(0, 2, 12), [0, 1] * 6, "platt", "scores must be a vector of probabilities"),
        (np.linspace(0, 1, 12), [0, 1] * 5, "platt", "12 scores but 10 labels"),
        (np.linspace(0, 1, 12), [0, 1] * 6, "beta", "a calibration is one of temperature, platt, isotonic"),
    ],
)
def test_what_cannot_be_calibrated_is_refused_in_one_line(p: object, y: object, by: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as told:
        calibrate(p, y, by=by)  # type: ignore[arg-type]
    assert "\n" not in str(told.value)


def test_reliability_bins_are_of_equal_mass_with_wilsons_intervals() -> None:
    p, y = overconfident(500)
    table = reliability_bins(y, p)
    assert table["rows"].tolist() == [50] * 10
    order = np.argsort(p)
    for row, part in zip(table.to_dict(orient="records"), np.split(order, 10), strict=True):
        assert row["mean_score"] == pytest.approx(p[part].mean())
        assert row["share"] == y[part].mean()
        interval = binomtest(int(y[part].sum()), 50).proportion_ci(method="wilson")
        assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high), abs=1e-5)


def test_bins_of_few_rows_ties_and_groups() -> None:
    assert reliability_bins([0, 1] * 12, [0.5] * 24)["rows"].tolist() == [24]
    assert len(reliability_bins([0, 1] * 12, np.linspace(0, 1, 24))) == 2
    y, p = np.repeat([0.0, 1.0, 1.0, 0.0], 25), np.linspace(0, 1, 100)
    alone, together = (reliability_bins(y, p, bins=1, groups=g).iloc[0] for g in (None, np.repeat(range(4), 25)))
    assert together["high"] - together["low"] > 2 * (alone["high"] - alone["low"])
    with pytest.raises(InputError, match="no rows"):
        reliability_bins([], [])


def test_a_temperature_of_classes_told_apart_makes_no_rows_equal() -> None:
    rng = np.random.default_rng(0)
    p = expit(3 * rng.normal(size=200))
    new, truth = expit(3 * rng.normal(size=200)), rng.uniform(size=200).round()
    for wrong in (0, 1, 2):  # of the rows nearest to one half: the least log loss is then at a slope of 20 and more
        y = (p > 0.5).astype(float)
        y[np.argsort(np.abs(p - 0.5))[:wrong]] = 1
        curve = calibrate(p, y, by="temperature")
        assert 1 < curve.slope < 20
        assert len(np.unique(curve(p))) == len(p)
        assert auroc(truth, curve(new)) == auroc(truth, new)
    # Of classes told apart it is the temperature of Platt's targets: its log loss is flat there.
    y = (p > 0.5).astype(float)
    ones, target = y.sum(), np.where(y == 1, (y.sum() + 1) / (y.sum() + 2), 1 / (len(y) - y.sum() + 2))
    assert 0 < ones < len(y)
    slope = calibrate(p, y, by="temperature").slope
    assert abs(np.mean((expit(slope * logit(p)) - target) * logit(p))) < 1e-5


@pytest.mark.parametrize("by", ["temperature", "platt"])
def test_ranks_are_kept_to_the_ends_and_where_a_curve_would_fall(by: CalibrationRule) -> None:
    tiny = 10.0 ** -np.arange(1, 16)
    p = np.concatenate([[0.0], tiny[::-1], [0.5], 1 - tiny, [1.0]])
    y = np.linspace(0.1, 0.9, len(p)).round()
    for labels in (y, 1 - y):
        made = calibrate(p, labels, by=by)(p)
        assert (np.diff(made) > 0).all()
        assert by == "platt" or made[0] + made[-1] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("by", CALIBRATION_RULES)
def test_a_row_of_weight_two_is_two_rows_and_one_of_none_is_none(by: CalibrationRule) -> None:
    p, y = overconfident(60)
    weights = np.random.default_rng(1).integers(0, 4, 60)
    weighed = calibrate(p, y, by=by, weights=weights)
    repeated = calibrate(np.repeat(p, weights), np.repeat(y, weights), by=by)
    assert np.allclose(weighed(p), repeated(p), atol=1e-6)
    assert weighed.rows == (weights > 0).sum()
    assert not np.allclose(weighed(p), calibrate(p, y, by=by)(p), atol=1e-3)


def test_platt_of_weighed_rows_is_that_of_scikit_learn() -> None:
    p, y = overconfident(400)
    weights = np.random.default_rng(1).uniform(0.1, 3, 400)
    theirs = sklearn.calibration._SigmoidCalibration().fit(logit(p), y, weights)
    assert np.abs(calibrate(p, y, weights=weights)(p) - theirs.predict(logit(p))).max() < 1e-4


@pytest.mark.parametrize("weights", [[1] * 11, [-1] + [1] * 11, [np.nan] + [1] * 11, [0] * 3 + [1] * 9])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(InputError, match=r"weights must be 12 finite|9 rows to calibrate on"):
        calibrate(np.linspace(0, 1, 12), [0, 1] * 6, weights=weights)


def test_a_name_of_the_room_stays_what_it_is_after_its_module_is_loaded() -> None:
    from w2s_probes import calibration

    for _ in range(2):
        assert all(not isinstance(getattr(calibration, name), ModuleType) for name in calibration.__all__)
