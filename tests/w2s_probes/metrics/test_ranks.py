"""Mean ranks are scipy's, bit for bit, whatever the ties."""

import numpy as np
import pytest
from scipy.stats import rankdata

from w2s_probes.metrics.ranks import mean_ranks


@pytest.mark.parametrize("n", [0, 1, 2, 7, 600])
def test_mean_ranks_are_scipys(n: int) -> None:
    rng = np.random.default_rng(n)
    apart, few = rng.random(n), rng.integers(0, 5, n).astype(np.float64)
    endless, unknown = (np.where(rng.random(n) < 0.2, value, apart) for value in (np.inf, np.nan))
    for values in (apart, few, np.zeros(n), -0.0 * few, apart.astype(np.float32), endless, unknown):
        assert np.array_equal(mean_ranks(values), rankdata(values), equal_nan=True)
