"""What numbers and names given one a row have to be."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from .errors import InputError
from .ties import above_half


def probabilities(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """The values as float64 (n,); InputError unless they are a vector of numbers in [0, 1]."""
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not ((numbers >= 0) & (numbers <= 1)).all():
        raise InputError(f"{name} must be a vector of probabilities in [0, 1]")
    return numbers


def truth_sides(truth: ArrayLike, rows: int) -> NDArray[np.bool_]:
    """Which of the truths (n,), P(label = 1), are above ½. Unlike labels they may be of one class."""
    values = probabilities(truth, "truth")
    if len(values) != rows:
        raise InputError(f"{len(values)} truths but {rows} rows: one number a row is needed")
    return above_half(values)


def group_numbers(groups: ArrayLike | None, rows: int) -> NDArray[np.intp] | None:
    """The groups (n,) as numbers from 0, or None; a row whose group is None or NaN is in one of its own.

    InputError where their number is not that of the rows.
    """
    if groups is None:
        return None
    array = np.asarray(groups, dtype=object)
    if array.shape != (rows,):
        raise InputError(f"groups have shape {array.shape} but there are {rows} rows: one group a row is needed")
    numbers = np.array(pd.factorize(array)[0], dtype=np.intp)
    alone = np.flatnonzero(numbers < 0)
    numbers[alone] = numbers.max(initial=-1) + 1 + np.arange(len(alone))
    return numbers
