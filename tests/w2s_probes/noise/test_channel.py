"""The noise channel: EM against a dense one written out in NumPy, rates planted and found, labels and refusals."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from w2s_probes import InputError
from w2s_probes.labels import LabelSet
from w2s_probes.noise import channel_model
from w2s_probes.noise.channel_em import Rates, most_likely_curve, probe_and_rates
from w2s_probes.probes import LogisticProbe
from w2s_probes.probes.design import Design

RATES = (0.1, 0.3)
Floats = NDArray[np.float64]


def world(n: int, rates: tuple[float, float] = RATES, gap: float = 2.0, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Activations of two Gaussian classes, their truth, and hard labels through a channel of these rates."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(2, size=n)
    X = rng.normal(size=(n, 8))
    X[:, :4] += gap * (truth[:, None] - 0.5)
    seen = np.where(truth == 1, rng.random(n) >= rates[1], rng.random(n) < rates[0])
    return X, truth.astype(np.float64), seen.astype(np.float64)


def dense_em(X: Floats, y: Floats, l2: float, steps: int) -> tuple[Floats, float, float, list[float]]:
    """EM row by row of the definition: posteriors by Bayes for each label, Newton's method for the probe."""
    n, d = X.shape
    design = np.column_stack([X, np.ones(n)])
    penalty = np.diag([2 * l2] * d + [0.0])

    def fitted(q: Floats) -> Floats:
        theta = np.zeros(d + 1)
        for _ in range(30):
            p = 1 / (1 + np.exp(-design @ theta))
            hessian = (design * (p * (1 - p))[:, None]).T @ design / n + penalty
            theta -= np.linalg.solve(hessian, design.T @ (p - q) / n + penalty @ theta)
        return theta

    theta, of_0, of_1, likelihoods = fitted(y), 0.1, 0.1, []
    for _ in range(steps):
        p = 1 / (1 + np.exp(-design @ theta))
        one = p * (1 - of_1) + (1 - p) * of_0
        likelihood = np.mean(y * np.log(one) + (1 - y) * np.log(1 - one)) - l2 * (theta[:-1] ** 2).sum()
        likelihoods.append(float(likelihood))
        if_1, if_0 = p * (1 - of_1) / one, p * of_1 / (1 - one)  # P(true = 1) after a label 1, and after a label 0
        q = y * if_1 + (1 - y) * if_0
        of_0 = float((y * (1 - if_1)).sum() / (1 - q).sum())
        of_1 = float(((1 - y) * if_0).sum() / q.sum())
        theta = fitted(q)
    return design @ theta, of_0, of_1, likelihoods


@pytest.mark.parametrize("soft", [False, True])
def test_probe_and_rates_are_where_dense_em_ends(soft: bool) -> None:
    X, _, y = world(300)
    if soft:
        y = np.abs(y - np.random.default_rng(1).uniform(0, 0.2, len(y)))
    matrix = X.astype(np.float32)
    odds, rates = probe_and_rates(Design.of(matrix), y, np.ones((1, len(y))), 0.01)
    expected, of_0, of_1, likelihoods = dense_em(matrix.astype(np.float64), y, 0.01, 100)
    assert (np.diff(likelihoods) > -1e-12).all()
    found = rates.of_0 if isinstance(rates.of_0, float) else float(rates.of_0[0, 0])
    assert found == pytest.approx(of_0, abs=2e-3)
    assert np.asarray(rates.of_1).item() == pytest.approx(of_1, abs=2e-3)
    assert np.corrcoef(odds[0], expected)[0, 1] > 0.9999


def test_the_curve_is_the_most_likely_one_of_four_numbers() -> None:
    """By another optimiser, without gradients, on the formula as it is written."""
    X, _, y = world(800)
    score = X[:, :4].sum(axis=1)
    score = (score - score.mean()) / score.std()

    def loss(numbers: Floats) -> float:
        slope, offset, of_0, of_1 = numbers
        if not (0 < of_0 < 1 and 0 < of_1 < 1):
            return np.inf
        p = 1 / (1 + np.exp(-slope * score - offset))
        one = p * (1 - of_1) + (1 - p) * of_0
        return -float(np.mean(y * np.log(one) + (1 - y) * np.log(1 - one)))

    options = {"xatol": 1e-8, "fatol": 1e-13, "maxiter": 5000, "maxfev": 5000}
    other = minimize(loss, [2.0, 0.0, 0.2, 0.2], method="Nelder-Mead", options=options)
    curve = most_likely_curve(score, y, np.ones(len(y)))
    assert [curve.slope, curve.offset, curve.rates.of_0, curve.rates.of_1] == pytest.approx(other.x, abs=1e-3)
    doubled = most_likely_curve(np.repeat(score[:50], 2), np.repeat(y[:50], 2), np.ones(100))
    weighed = most_likely_curve(score, y, np.where(np.arange(800) < 50, 2.0, 0.0))
    assert doubled.parameters == pytest.approx(weighed.parameters, rel=1e-3, abs=1e-3)


def test_planted_rates_are_in_the_range_and_the_new_labels_are_better_than_weak_ones_and_a_probe_alone() -> None:
    X, truth, y = world(1500)
    found = channel_model(X, y, draws=60)
    assert found.status == "assumption not checked"
    for rate, planted in zip((found.rate_01, found.rate_10), RATES, strict=True):
        assert rate.low < planted < rate.high
        assert rate.high - rate.low < 0.15
    right = [float(((p > 0.5) == truth).mean()) for p in (y, found.p, found.posterior)]
    assert right[0] < 0.85 < right[1] <= right[2]
    assert found.notes["rate_10_low"] == found.rate_10.low


def test_clean_labels_stay_as_they_are() -> None:
    X, truth, _ = world(600, gap=1.5)
    found = channel_model(X, truth, draws=20)
    assert found.rate_01.value < 0.02 > found.rate_10.value
    assert found.status == "at the border"  # as it would be if the probe shared the supervisor's mistakes
    assert ((found.posterior > 0.5) == truth).mean() > 0.98


def test_scores_that_say_nothing_give_wide_ranges_or_the_border() -> None:
    _, _, y = world(600)
    found = channel_model(np.random.default_rng(5).normal(size=(600, 8)), y, draws=40)
    assert found.status == "at the border" or found.rate_01.high - found.rate_01.low > 0.3


def test_without_flips_the_probe_is_the_logistic_one() -> None:
    """The posterior of a channel without flips is the label itself, whatever the prior: EM's first fit is the last."""
    X, _, y = world(300)
    prior = LogisticProbe(0.01).fit(X, y).predict_proba(X)[:, 1]
    assert Rates(0.0, 0.0).posterior(prior, y) == pytest.approx(y)


def test_a_posterior_is_a_probability_where_rounding_would_lift_it_above_one() -> None:
    prior, label = 1 - np.random.default_rng(0).random(10_000) ** 8, np.random.default_rng(1).random(10_000)
    for y in (label, np.round(label)):
        assert 0 <= Rates(0.2, 0.1).posterior(prior, y).min() <= Rates(0.2, 0.1).posterior(prior, y).max() <= 1


def test_classes_that_the_probe_parts_without_a_doubt_have_a_posterior() -> None:
    X, truth, _ = world(400, gap=400)
    found = channel_model(X * 1e6, truth, l2=1e-8, draws=2)
    assert found.status == "at the border"
    assert found.posterior == pytest.approx(truth, abs=1e-5)


def test_a_rows_own_label_does_not_teach_the_probe_that_judges_it_and_equal_rows_are_held_out_together() -> None:
    X, _, y = world(400)
    turned = np.where(np.arange(400) == 7, 1 - y, y)
    taught = np.ones((2, 400))
    taught[0, 7] = 0
    (before, _), (after, _) = (probe_and_rates(Design.of(X), labels, taught, 0.01) for labels in (y, turned))
    assert before[0] == pytest.approx(after[0], abs=1e-9)
    assert abs(before[1, 7] - after[1, 7]) > 0.01
    twice = channel_model(np.repeat(X[:100], 2, axis=0), np.repeat(y[:100], 2), draws=2)
    assert (twice.folds[::2] == twice.folds[1::2]).all()
    grouped = channel_model(X, y, groups=np.arange(400) // 4, draws=2)
    assert all(len(set(grouped.folds[start : start + 4])) == 1 for start in range(0, 400, 4))


def test_few_rows_have_no_interval_and_wrong_input_is_refused() -> None:
    X, _, y = world(36)
    found = channel_model(X, y, draws=2)
    assert found.status == "few rows"
    assert np.isnan(found.rate_01.low)
    assert "rate_01_low" not in found.notes
    for labels, said in ((np.ones(36), "0.5"), (y[:30], "36")):
        with pytest.raises(InputError, match=said):
            channel_model(X, labels)
    with pytest.raises(InputError, match="draws=1 must be at least 2"):
        channel_model(X, y, draws=1)
    with pytest.raises(InputError, match="l2=-1 must be in"):
        channel_model(X, y, l2=-1)
    ids = np.array([f"r{i}" for i in range(36)], dtype=object)
    assert channel_model(X, LabelSet(ids, y, "weak"), draws=2).p.tolist() == found.p.tolist()
