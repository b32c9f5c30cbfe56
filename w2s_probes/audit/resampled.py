"""The bootstrap of an audit: counts of rows, or of whole groups, without moving any."""

import numpy as np
from numpy.typing import NDArray

from ..metrics.resampling import WEIGHTS_AT_ONCE


def resampled_counts(
    marks: NDArray[np.bool_], groups: NDArray[np.intp] | None, draws: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Rows with each of m marks (n, m) in resamples (draws, m) of the rows, or of their groups (n,).

    Rows of the same marks are alike, and so are groups of as many rows with each: what is drawn is how often each kind
    occurs.
    """
    counts = marks.astype(np.int64)
    if groups is not None:
        of_groups = [np.bincount(groups, weights=column) for column in counts.T]
        counts = np.stack(of_groups, axis=1).astype(np.int64)
    base = int(counts.max(initial=0)) + 1
    codes, times = np.unique(counts @ base ** np.arange(counts.shape[1]), return_counts=True)
    kinds = codes[:, None] // base ** np.arange(counts.shape[1]) % base
    units, at_once = int(times.sum()), max(1, WEIGHTS_AT_ONCE // len(times))
    blocks = [
        rng.multinomial(units, times / units, size=min(at_once, draws - start)) @ kinds
        for start in range(0, draws, at_once)
    ]
    return np.asarray(np.concatenate(blocks), dtype=np.int64)
