"""Comparisons of computed probabilities: numbers that are equal but for rounding are equal.

|1 - 5/15| and |0 - 10/15| are one number, but not in floating point: sorted as they stand, rows of class 1 would come
before rows of class 0 that disagree as much.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .tensors import as_numpy

# Means of some thousand labels are rounded by 1e-15 or so; different votes of a million neighbours are 1e-6 apart.
ROUNDING = 1e-12


def levels(values: ArrayLike) -> NDArray[np.intp]:
    """The rank (n,) of values (n,) in ascending order, from 0; values that differ by rounding alone share a rank.

    Values are compared with their neighbours in the order and not put on a grid, whose edges would part equals. A NaN
    is a level by itself, above all others.
    """
    numbers = np.asarray(as_numpy(values), dtype=np.float64)
    order = np.argsort(numbers, kind="stable")
    with np.errstate(invalid="ignore"):  # inf - inf
        steps = ~(np.diff(numbers[order]) <= ROUNDING)
    places = np.zeros(len(numbers), dtype=np.intp)
    places[order[1:]] = np.cumsum(steps)
    return places


def above_half(p: ArrayLike) -> NDArray[np.bool_]:
    """Whether each probability (any shape) is above ½ by more than rounding: class 1; ½ itself is class 0."""
    return np.asarray(np.asarray(as_numpy(p), dtype=np.float64) - 0.5 > ROUNDING)
