"""Checks of every probe's inputs: finite activations, and labels that are P(label = 1) or two classes."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.utils import column_or_1d

from ..errors import InputError
from ..rows.row_parts import row_parts
from ..tensors import as_numpy
from ..ties import above_half

# The end of a sentence about whole numbers in the place of labels.
NUMBERED = (
    ". If yours are soft, scikit-learn has numbered their values before the probe saw them (cross_val_predict does for "
    'method="predict_proba"): relabel(probe, X, y) gives such scores, LogisticProbe.path and sweep compare values'
)


def check_activations(X: ArrayLike) -> NDArray[np.float32]:
    """X as C-contiguous float32 (n, d); InputError if it is not a finite matrix."""
    if issparse(X):
        raise InputError("sparse input is not supported: activations are dense; give X.toarray()")
    array = np.asarray(as_numpy(X))
    if array.ndim != 2:
        raise InputError(
            f"activations must be a matrix (rows, width), got shape {array.shape}. Reshape your data: "
            "X.reshape(1, -1) if it is a single row"
        )
    if array.shape[0] == 0 or array.shape[1] == 0:
        raise InputError(
            f"activations are empty: {array.shape[0]} sample(s) and {array.shape[1]} feature(s) "
            f"(shape={array.shape}) while a minimum of 1 is required."
        )
    if np.iscomplexobj(array):
        raise InputError("Complex data not supported: activations are real numbers")
    with np.errstate(over="ignore"):
        matrix = np.ascontiguousarray(array, dtype=np.float32)
    finite = np.empty(len(matrix), dtype=bool)
    for part in row_parts(*matrix.shape):
        finite[part] = np.isfinite(matrix[part]).all(axis=1)
    if not finite.all():
        raise InputError(
            f"activations of {int((~finite).sum())} rows contain NaN or infinity, first row {int(finite.argmin())}: "
            "drop these rows or extract with another dtype"
        )
    return matrix


def soft_labels(y: ArrayLike, rows: int, *, one_sided: bool = False) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Labels as P(second class), float64 (n,), and the two classes.

    Numbers in [0, 1] are P(label = 1) and the classes are 0 and 1, in whatever dtype they come: objects, decimals,
    or the text of a file. Any other two values are hard classes in sorted order. InputError if the length is wrong,
    a label is missing, some but not all are numbers, numbers are neither in [0, 1] nor two, or one class is empty (a
    label belongs to class 1 when it is above one half); with `one_sided` soft labels may be of one class as long as
    they differ.
    """
    if y is None:
        raise InputError("a probe requires y to be passed, but the target y is None")
    y = as_numpy(y)
    if np.iscomplexobj(np.asarray(y)):
        raise InputError("labels are complex numbers: they must be P(label = 1) in [0, 1], or two classes")
    values = column_or_1d(y, warn=True)
    if values.shape != (rows,):
        raise InputError(f"labels have shape {values.shape}, but there are {rows} rows of activations")
    p = _numbers(values)
    if p is not None:
        if not np.isfinite(p).all():
            raise InputError(f"labels contain NaN or infinity, first in row {int(np.isfinite(p).argmin())}")
        if ((p >= 0) & (p <= 1)).all():
            return p if one_sided and np.ptp(p) > 0 else _two_sided(p), np.array([0, 1])
        # Of text, "10" comes after "9": sorted as the numbers they are, and called what they were called.
        first = np.unique(p, return_index=True)[1]
        classes, values = values[first], values[first][np.unique(p, return_inverse=True)[1]]
    else:
        classes = _names(values)
    if len(classes) == 2:
        return (values == classes[1]).astype(np.float64), classes
    if len(classes) == 1:
        raise InputError(f"one class only: every label is {classes[0]!r}; a probe needs rows of both classes")
    numbered = p is not None and bool((p >= 0).all() and (p == np.round(p)).all())
    kinds = f"{len(classes)} values from {classes[0]} to {classes[-1]}"
    raise InputError(
        f"Unknown label type: {kinds}. Only binary classification is supported: labels must be P(label = 1) in "
        f"[0, 1], or two classes{NUMBERED if numbered else ''}"
    )


def labels_to_score(y: ArrayLike, rows: int, classes: NDArray[Any]) -> NDArray[np.float64]:
    """Labels to measure a fitted probe by, as P(second of its classes), float64 (n,); they may be of one class.

    InputError if the length is wrong, or a label is neither in [0, 1] (where the classes are 0 and 1) nor one of them.
    """
    values = column_or_1d(as_numpy(y), warn=True)
    if values.shape != (rows,):
        raise InputError(f"labels have shape {values.shape}, but there are {rows} rows of activations")
    if classes.tolist() == [0, 1]:
        p = _numbers(values)
        if p is None or not ((p >= 0) & (p <= 1)).all():
            raise InputError("labels to score must be P(label = 1) in [0, 1], as those that the probe learned from")
        return p
    other: NDArray[np.bool_] = ~np.isin(values, classes)
    if other.any():
        raise InputError(
            f"the label of row {int(other.argmax())} is {str(values[other][0])[:40]!r}, but the probe has learned the "
            f"classes {classes[0]!r} and {classes[1]!r}"
        )
    return np.asarray(values == classes[1], dtype=np.float64)


def checked_weights(sample_weight: ArrayLike | None, n: int) -> NDArray[np.float64]:
    """Row weights (n,) that sum to 1, or InputError."""
    if sample_weight is None:
        return np.full(n, 1 / n)
    weights = np.asarray(as_numpy(sample_weight), dtype=np.float64)
    if weights.shape != (n,):
        raise InputError(f"sample_weight has shape {weights.shape}, but there are {n} rows of activations")
    if not np.isfinite(weights).all() or (weights < 0).any():
        row = int((np.isfinite(weights) & (weights >= 0)).argmin())
        raise InputError(f"sample_weight must be finite and at least 0, but row {row} has {weights[row]:g}")
    largest = weights.max()
    if largest == 0:
        raise InputError(f"sample_weight is zero in all {n} rows: give rows of both classes a weight")
    weights = weights / largest  # first, so that the sum cannot overflow
    return np.asarray(weights / weights.sum())


def is_soft(p: NDArray[np.float64]) -> bool:
    """Whether any of the labels (n,) is neither 0 nor 1."""
    return bool(((p != 0) & (p != 1)).any())


def _numbers(values: NDArray[Any]) -> NDArray[np.float64] | None:
    """The labels as float64 (n,), whatever their dtype; None where none of them is a number."""
    if values.dtype.kind in "fiub":
        return values.astype(np.float64)
    if values.dtype.kind in "Mm":
        return None
    objects = values.astype(object)
    absent = np.array([bool(pd.api.types.is_scalar(value) and pd.isna(value)) for value in objects])
    if absent.any():
        raise InputError(f"labels contain NaN or are missing, first in row {int(absent.argmax())}")
    found = [_number(value) for value in objects]
    named = np.array([number is None for number in found])
    if named.all():
        return None
    if named.any():
        row = int(named.argmax())
        raise InputError(
            f"{int((~named).sum())} of {len(named)} labels are numbers, but not that of row {row}, "
            f"{str(objects[row])[:40]!r}: give P(label = 1) in [0, 1] to all rows, or two classes"
        )
    return np.array(found, dtype=np.float64)


def _number(value: Any) -> float | None:
    """A label as a number, if it is one: of any type, or its text."""
    if isinstance(value, complex | np.complexfloating | np.datetime64 | np.timedelta64):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
    except OverflowError:
        return float("inf")


def _names(values: NDArray[Any]) -> NDArray[Any]:
    """The names of classes, sorted."""
    try:
        return np.unique(values)
    except TypeError as error:
        raise InputError(f"labels of several types cannot be sorted into two classes ({error})") from error


def _two_sided(p: NDArray[np.float64]) -> NDArray[np.float64]:
    above = int(above_half(p).sum())
    if above in (0, len(p)):
        side = "above" if above else "at most"
        raise InputError(
            f"one class only: all {len(p)} labels are {side} 0.5 ({p.min():g} to {p.max():g}); "
            "a probe needs rows of both classes"
        )
    return p
