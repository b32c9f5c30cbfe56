"""The sign-flip test against brute force and scipy, and medians over tasks."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import permutation_test

from w2s_probes.stats import paired_tests, pooled, sign_flip


@pytest.mark.parametrize("seed", range(5))
def test_all_signs_are_tried(seed: int) -> None:
    d = np.random.default_rng(seed).normal(0.3, 1, size=9).round(1)  # rounded: some tie
    sums = np.array([np.dot(signs, d) for signs in product([1, -1], repeat=9)])
    found = sign_flip(d)
    assert found.better == pytest.approx((sums >= d.sum() - 1e-9).mean())
    assert found.worse == pytest.approx((sums <= d.sum() + 1e-9).mean())
    assert found.different == pytest.approx((np.abs(sums) >= abs(d.sum()) - 1e-9).mean())


def test_it_is_scipys_test_of_paired_samples() -> None:
    a, b = np.random.default_rng(1).normal(size=(2, 12))
    theirs = permutation_test(
        (a, b),
        lambda x, y, axis: (x - y).mean(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    assert paired_tests(a, b).flips.different == pytest.approx(theirs.pvalue)


def test_many_differences_are_drawn_with_a_seed_and_agree_with_the_exact_test() -> None:
    d = np.random.default_rng(2).normal(0.2, 1, size=21)
    exact = sign_flip(d)
    more = sign_flip(np.concatenate([d, [0.0]]))  # a difference of nothing changes nothing, but the way
    assert more.different == pytest.approx(exact.different, abs=0.005)
    assert sign_flip(np.concatenate([d, [0.0]])) == more
    assert sign_flip(np.concatenate([d, np.full(200, 0.2)])).different == pytest.approx(1e-5)  # itself is counted


def test_the_mean_decides_and_not_on_how_many_tasks() -> None:
    """Many small gains and a few large losses: ranks call it better, the mean does not."""
    d = np.concatenate([np.linspace(0.004, 0.01, 16), np.full(4, -0.03)])
    test = paired_tests(d, np.zeros(20))
    assert test.p_wilcoxon < 0.2
    assert test.flips.better > 0.4
    assert sign_flip(np.zeros(0)).different != sign_flip(np.zeros(0)).different  # NaN without differences
    assert test.p_t + test.p_t_worse == pytest.approx(1)


@pytest.mark.parametrize(("tasks", "ends"), [(5, False), (6, True), (21, True)])
def test_medians_have_ends_from_six_tasks_on_and_these_cover(tasks: int, ends: bool) -> None:
    rng, hits = np.random.default_rng(tasks), []
    for _ in range(400):
        ratios = 0.5 * np.exp(rng.normal(scale=0.8, size=tasks))
        median = pooled(np.zeros(tasks), 0.1 * ratios, np.full(tasks, 0.1)).median
        assert np.isfinite(median.low) == np.isfinite(median.high) == ends
        assert median.value == pytest.approx(np.median(ratios))
        hits.append(median.low <= 0.5 <= median.high)
    assert not ends or np.mean(hits) > 0.93
