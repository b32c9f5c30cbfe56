"""Measures with influence functions: values, errors over rows, errors over groups."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from w2s_probes.metrics.influence import mean, ranking


def delong_variance(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """DeLong et al. (1988), pair by pair."""
    x, y = scores[positive], scores[~positive]
    wins = (x[:, None] > y[None]) + 0.5 * (x[:, None] == y[None])
    return float(wins.mean(axis=1).var(ddof=1) / len(x) + wins.mean(axis=0).var(ddof=1) / len(y))


@given(st.integers(0, 10_000), st.booleans())
def test_auroc_is_scikit_learns_and_its_influences_sum_to_nothing(seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    positive = rng.random(40) < 0.4
    scores = rng.integers(0, 6, 40) / 6 if ties else rng.normal(size=40)
    found = ranking(positive, scores)
    if positive.all() or not positive.any():
        assert found is None
        return
    assert found is not None
    assert found.value == pytest.approx(roc_auc_score(positive, scores))
    assert found.influence.sum() == pytest.approx(0, abs=1e-12)


def test_the_error_over_single_rows_is_delongs() -> None:
    rng = np.random.default_rng(0)
    positive = np.arange(600) % 3 == 0
    scores = np.round(rng.normal(size=600) + positive, 1)
    found = ranking(positive, scores)
    assert found is not None
    assert found.error(None) == pytest.approx(np.sqrt(delong_variance(positive, scores)), rel=0.01)


def test_doubled_rows_named_as_groups_are_worth_no_more_than_single_ones() -> None:
    rng = np.random.default_rng(1)
    positive = rng.random(300) < 0.5
    scores = rng.normal(size=300) + positive
    once = ranking(positive, scores)
    twice = ranking(np.tile(positive, 2), np.tile(scores, 2))
    assert once is not None
    assert twice is not None
    assert twice.error(np.tile(np.arange(300), 2)) == pytest.approx(once.error(None), rel=1e-9)
    assert twice.error(None) < 0.75 * once.error(None)  # control: taken for independent they look better known


def test_intervals_of_auroc_in_groups_cover_and_those_that_ignore_groups_do_not() -> None:
    rng = np.random.default_rng(2)
    draws, grouped, single, true = 400, 0, 0, 0.7602499389065233  # Φ(1/√2) for normal classes one apart
    for _ in range(draws):
        own = rng.normal(size=(60, 1)) * np.sqrt(0.8) + rng.normal(size=(60, 5)) * np.sqrt(0.2)
        positive = np.repeat(rng.random(60) < 0.5, 5)
        groups = np.repeat(np.arange(60), 5)
        found = ranking(positive, own.ravel() + positive)
        assert found is not None
        by_group, by_row = found.share(groups), found.share(None)
        grouped += by_group.low <= true <= by_group.high
        single += by_row.low <= true <= by_row.high
    assert 0.91 <= grouped / draws <= 0.98
    assert single / draws < 0.75


def test_a_difference_on_the_same_rows_is_paired() -> None:
    rng = np.random.default_rng(3)
    positive = rng.random(500) < 0.5
    first = rng.normal(size=500) + positive
    second = first + 0.1 * rng.normal(size=500)
    one, other = ranking(positive, first), ranking(positive, second)
    assert one is not None
    assert other is not None
    unpaired = float(np.hypot(one.error(None), other.error(None)))
    assert (one - other).error(None) < 0.3 * unpaired
    assert (one - one).estimate(None).high == 0


def test_a_mean_has_the_textbook_error_and_a_share_stays_inside() -> None:
    hits = (np.arange(50) % 25 != 0).astype(float)
    found = mean(hits)
    assert found.error(None) == pytest.approx(hits.std(ddof=1) / np.sqrt(50))
    inside = found.share(None)
    assert 0 < inside.low < found.value < inside.high < 1
    assert found.estimate(None).high > 1  # control: the plain interval does not stay inside
