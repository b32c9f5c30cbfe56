"""Spearman's correlation of resampled pairs, all draws at once, is scipy's of each."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from analyses.forecasts.rank_correlations import counted_spearman


@pytest.mark.parametrize(("n", "decimals"), [(4, 0), (7, 0), (40, 1), (40, 6)])
def test_every_draw_has_the_correlation_of_its_pairs_written_out(n: int, decimals: int) -> None:
    rng = np.random.default_rng(1)
    pairs, times = np.round(rng.normal(size=(n, 2)), decimals), rng.integers(0, 3, size=(60, n))
    times[0] = 0
    times[1], times[1, :2] = 0, 1  # two pairs say nothing
    expected = []
    for draw in times:
        x, y = np.repeat(pairs, draw, axis=0).T
        constant = len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0
        expected.append(np.nan if constant else spearmanr(x, y)[0])
    found = counted_spearman(pairs, times)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert np.isnan(found[:2]).all()
    assert np.isfinite(found).any()
