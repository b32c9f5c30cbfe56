"""Checks of vectors with one number a row: probabilities and truths."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError
from .tensors import as_numpy
from .ties import above_half


def probabilities(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """The values as float64 (n,); InputError unless they are a vector of numbers in [0, 1]."""
    numbers = np.asarray(as_numpy(values), dtype=np.float64)
    if numbers.ndim != 1 or not ((numbers >= 0) & (numbers <= 1)).all():
        raise InputError(f"{name} must be a vector of probabilities in [0, 1]")
    return numbers


def truth_sides(truth: ArrayLike, rows: int) -> NDArray[np.bool_]:
    """Whether each truth (n,), P(label = 1), is above ½. Unlike labels, truths may be of one class.

    InputError for numbers that are no probabilities, and for a length other than `rows`.
    """
    values = probabilities(truth, "truth")
    if len(values) != rows:
        raise InputError(f"{len(values)} truths but {rows} rows: one number a row is needed")
    return above_half(values)


def scaled_weights(sample_weight: ArrayLike, rows: int) -> NDArray[np.float32]:
    """Weights (n,) scaled to mean 1; InputError unless they are finite, not negative and not all zero."""
    weights = np.asarray(as_numpy(sample_weight), dtype=np.float64)
    if weights.shape != (rows,) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise InputError(
            f"sample_weight of shape {weights.shape} for {rows} rows: one finite weight >= 0 a row is needed, not all 0"
        )
    return np.asarray(weights / weights.mean(), dtype=np.float32)
