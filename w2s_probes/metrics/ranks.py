"""AUROC of many score vectors at once, by ranks."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Scores = NDArray[np.float64]


def aurocs(positive: NDArray[np.bool_], scores: NDArray[np.floating]) -> Scores:
    """AUROC (...) of finite scores (..., n) against classes (..., n), of which there are both in each."""
    n, n_pos = scores.shape[-1], positive.sum(axis=-1)
    order = scores.argsort(axis=-1)
    ordered = np.take_along_axis(scores, order, axis=-1)
    if (ordered[..., 1:] == ordered[..., :-1]).any():
        ranks = np.where(positive, rankdata(scores, axis=-1), 0).sum(axis=-1)
    else:  # four times as fast
        ranks = np.take_along_axis(positive, order, axis=-1) @ np.arange(1.0, n + 1)
    return np.asarray((ranks - n_pos * (n_pos + 1) / 2) / (n_pos * (n - n_pos)))


def mean_ranks(values: NDArray[np.floating]) -> Scores:
    """Ranks (n,) of numbers (n,) from 1, equal ones sharing their mean; all NaN where one value is.

    As `scipy.stats.rankdata`, which takes four times as long for a few hundred.
    """
    order = values.argsort(kind="stable")
    ordered = values[order]
    if np.isnan(ordered[-1:]).any():
        return np.full(len(values), np.nan)
    new = np.ones(len(values) + 1, dtype=bool)  # where another value begins, and the end
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:-1])
    begins = np.flatnonzero(new)
    ranks = np.empty(len(values))
    ranks[order] = np.repeat((begins[1:] + begins[:-1] + 1) / 2, np.diff(begins))
    return ranks
