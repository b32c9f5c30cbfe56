"""The undirected graph of nearest neighbours."""

import numpy as np
from numpy.typing import NDArray


def symmetric_edges(indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """The edges (m, 2), each in both directions once, of rows of which one is among the nearest (n, k) of the other."""
    n, k = indices.shape
    first, second = np.repeat(np.arange(n), k), indices.ravel()
    both = np.unique(np.concatenate([first * n + second, second * n + first]))
    return np.column_stack([both // n, both % n])
