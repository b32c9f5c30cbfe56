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
