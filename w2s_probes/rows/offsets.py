"""Where rows of several vectors each begin and end, one row after another."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def offsets_of(lengths: ArrayLike) -> NDArray[np.int64]:
    """Where each of n rows of these lengths (n,) begins and ends (n + 1,).

    >>> offsets_of([2, 1]).tolist()
    [0, 2, 3]
    """
    counts = np.asarray(lengths, dtype=np.int64)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
