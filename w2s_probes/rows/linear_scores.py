"""Log-odds of rows by a direction, some thousand rows at a time."""

import numpy as np
from numpy.typing import NDArray

from .row_parts import row_parts


def linear_scores(X: NDArray[np.float32], weights: NDArray[np.float64], intercept: float) -> NDArray[np.float64]:
    """X w + b (n,) of rows X (n, d), which may be a memory map, in float64.

    numpy would first make a copy of all rows in float64.

    >>> linear_scores(np.float32([[1, 2], [3, 4]]), np.array([0.5, 1.0]), 1.0).tolist()
    [3.5, 6.5]
    """
    found = np.empty(len(X))
    for part in row_parts(*X.shape):
        found[part] = X[part] @ weights + intercept
    return found
