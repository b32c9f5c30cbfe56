"""Audited noise estimates: intervals that cover planted noise, whatever the probe, the groups and the sampling."""

import numpy as np
import pytest

from tests.w2s_probes.noise.test_model import flipped, holds, misled
from w2s_probes.noise import noise_model
from w2s_probes.noise.prediction_powered import corrected_joint


@pytest.mark.parametrize(
    ("apart", "to_1", "to_0", "m"),
    [(4, 0.1, 0.1, 100), (2, 0.1, 0.3, 60), (1, 0.2, 0.2, 200), (4, 0.02, 0.02, 100), (2, 0.4, 0.4, 100)],
)
def test_audited_intervals_cover_the_planted_noise(apart: float, to_1: float, to_0: float, m: int) -> None:
    rng = np.random.default_rng(6)
    covered, cells, found = [], [], []
    for _ in range(400):
        truth, weak, p = flipped(rng, 1500, apart, to_1, to_0)
        rows = rng.permutation(1500)[:m]
        estimate = noise_model(weak, p, audited=(rows, truth[rows]))
        covered.append(holds(estimate.noise, (to_1 + to_0) / 2))
        cells.append(holds(estimate.weak_given_true[1][0], to_0))
        found.append(estimate.noise.value)
    assert 0.92 <= np.mean(covered) <= 0.98
    assert 0.92 <= np.mean(cells) <= 0.995
    assert abs(np.mean(found) - (to_1 + to_0) / 2) < 0.008


def test_audits_cover_where_the_probe_is_misled_or_worthless() -> None:
    rng = np.random.default_rng(7)
    rate = np.mean([np.mean((w > 0.5) != t) for t, w, _ in (misled(rng, 20_000, 2, 1) for _ in range(20))])
    for worthless in (False, True):
        covered = []
        for _ in range(300):
            truth, weak, p = misled(rng, 1500, 2, 1)
            p = rng.random(1500) if worthless else p
            rows = rng.permutation(1500)[:100]
            covered.append(holds(noise_model(weak, p, audited=(rows, truth[rows])).noise, rate))
        assert 0.92 <= np.mean(covered) <= 0.98


def test_good_scores_make_an_audit_go_further() -> None:
    rng = np.random.default_rng(8)
    truth, weak, p = flipped(rng, 3000, 4, 0.3, 0.3)
    rows = rng.permutation(3000)[:200]
    helped = noise_model(weak, p, audited=(rows, truth[rows])).noise
    alone = noise_model(weak, rng.random(3000), audited=(rows, truth[rows])).noise
    assert helped.high - helped.low < 0.75 * (alone.high - alone.low)


def test_related_rows_widen_audited_intervals_and_cover() -> None:
    rng = np.random.default_rng(9)
    groups = np.repeat(np.arange(300), 5)
    alone, grouped = [], []
    for _ in range(200):
        truth = rng.random(1500) < 0.5
        weak = truth ^ (rng.random(300) < 0.2)[groups]  # a group is wrong as a whole
        p = np.where(truth, 0.8, 0.2)
        audit = np.isin(groups, rng.permutation(300)[:40])
        y = weak.astype(float)
        alone.append(holds(noise_model(y, p, audited=(audit, truth[audit])).noise, 0.2))
        grouped.append(holds(noise_model(y, p, audited=(audit, truth[audit]), groups=groups).noise, 0.2))
    assert np.mean(alone) < 0.85
    assert np.mean(grouped) > 0.9


def test_classes_may_be_audited_at_different_rates() -> None:
    rng = np.random.default_rng(10)
    found, calibration = [], []
    for _ in range(60):
        truth, weak, p = flipped(rng, 2000, 4, 0.02, 0.4)
        audit = rng.random(2000) < np.where(weak > 0.5, 0.02, 0.3)
        estimate = noise_model(weak, p, audited=(audit, truth[audit]))
        found.append(estimate.noise.value)
        table = estimate.calibration
        calibration.append((table["share"] * table["positive"]).sum())
    assert np.mean(found) == pytest.approx(0.21, abs=0.01)
    assert np.mean(calibration) == pytest.approx(0.5, abs=0.02)


def test_an_audit_of_every_row_is_a_count() -> None:
    truth, weak, p = flipped(np.random.default_rng(11), 500, 2, 0.1, 0.3)
    estimate = noise_model(weak, p, audited=(np.ones(500, dtype=bool), truth))
    positive = weak > 0.5
    assert estimate.noise.value == pytest.approx((positive != truth).mean())
    assert estimate.true_given_weak[0][1].value == pytest.approx(truth[~positive].mean())
    assert estimate.weak_given_true[1][0].value == pytest.approx((~positive[truth]).mean())
    assert holds(estimate.noise, estimate.noise.value)


def test_influences_predict_what_leaving_a_row_out_does() -> None:
    truth, weak, p = flipped(np.random.default_rng(12), 400, 2, 0.1, 0.3)
    positive, audited = weak > 0.5, np.arange(400) < 200
    arguments = (positive, p, audited, audited & (positive != truth))
    whole = corrected_joint(*arguments)
    assert whole.influence.sum(axis=0) == pytest.approx(np.zeros((2, 2)), abs=1e-9)
    left_out = [corrected_joint(*(np.delete(a, i) for a in arguments)).joint[0, 1] for i in range(400)]
    jackknife = np.sqrt(399 / 400 * ((np.array(left_out) - np.mean(left_out)) ** 2).sum())
    error = whole.ratio_error(whole.joint[0, 1], np.array([[0, 1], [0, 0]]) > 0, np.ones((2, 2)) > 0)
    assert error == pytest.approx(jackknife, rel=0.05)


def test_truth_of_one_class_is_no_error() -> None:
    _, weak, p = flipped(np.random.default_rng(13), 300, 2, 0.2, 0.2)
    estimate = noise_model(weak, p, audited=(np.arange(300), np.zeros(300)))
    assert estimate.noise.value == pytest.approx((weak > 0.5).mean())
    assert np.isnan(estimate.weak_given_true[1][0].value)
    assert estimate.contamination.high < 0.5


def test_the_audits_order_is_the_callers() -> None:
    truth, weak, p = flipped(np.random.default_rng(17), 400, 2, 0.1, 0.3)
    rows = np.random.default_rng(0).permutation(400)[:100]
    mask = np.isin(np.arange(400), rows)
    listed = noise_model(weak, p, audited=(rows, truth[rows])).to_frame()
    assert listed.equals(noise_model(weak, p, audited=(mask, truth[mask])).to_frame())
