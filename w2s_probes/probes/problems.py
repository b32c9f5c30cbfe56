"""Logistic fits as problems: their checked labels, weights, folds and penalties, and the form of their solutions."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..rows.folds import fold_numbers
from ..rows.groups import group_ids
from ..tensors import as_numpy
from ..ties import above_half
from .penalties import LARGEST_L2
from .validation import soft_labels

Status = Literal["converged", "separable", "stopped"]
CONVERGED, SEPARABLE, STOPPED = "converged", "separable", "stopped"


@dataclass(frozen=True, eq=False)
class Problems:
    """k fits: each is one row of `labels`, one of `weights` and a penalty."""

    labels: NDArray[np.float64]  # (L, n) in [0, 1]
    weights: NDArray[np.float64]  # (K, n), each summing to 1
    label_of: NDArray[np.intp]  # (k,)
    weight_of: NDArray[np.intp]  # (k,)
    l2: NDArray[np.float64]  # (k,)

    def __getitem__(self, fits: Any) -> "Problems":
        return Problems(self.labels, self.weights, self.label_of[fits], self.weight_of[fits], self.l2[fits])


@dataclass(frozen=True, eq=False)
class Solutions:
    """The minima of k fits, from `minimize`."""

    theta: NDArray[np.float64]  # (k, r + 1) parameters in the design's units, the bias last
    n_iter: NDArray[np.intp]  # (k,)
    excess: NDArray[np.float64]  # (k,) (objective - minimum) / objective is at most this; NaN if there is no minimum
    status: NDArray[np.str_]  # (k,) of `Status`

    @classmethod
    def begun(cls, theta: NDArray[Any]) -> "Solutions":
        """Fits that are at some parameters (k, r + 1) and have not ended; nothing is known of their excess."""
        k = len(theta)
        return cls(theta.astype(np.float64), np.zeros(k, np.intp), np.full(k, np.nan), np.full(k, STOPPED, dtype="U9"))

    def part(self, start: int, size: int) -> "Solutions":
        """The fits from `start` on, as many as `size`."""
        return Solutions(*(getattr(self, name)[start : start + size] for name in Solutions.__annotations__))


def checked_penalties(l2: ArrayLike) -> NDArray[np.float64]:
    """Penalties (P,), or InputError."""
    values = np.atleast_1d(np.asarray(as_numpy(l2), dtype=np.float64))
    if values.ndim != 1 or not len(values):
        raise InputError(f"l2 must be a list of penalties, at least one, got shape {np.shape(l2)}")
    wrong = ~((values >= 0) & (values <= LARGEST_L2))
    if wrong.any():
        raise InputError(f"l2={values[wrong][0]:g} must be in [0, {LARGEST_L2:g}]")
    return values


def both_classes(p: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    """InputError unless rows of both classes have a weight."""
    counted = weights > 0
    above = int(above_half(p[counted]).sum())
    if above in (0, int(counted.sum())):
        raise InputError(
            f"one class only: the labels of all {counted.sum()} rows with a weight are "
            f"{'above' if above else 'at most'} 0.5; a probe needs rows of both classes"
        )


def checked_label_sets(Y: ArrayLike, n: int) -> tuple[NDArray[np.float64], list[NDArray[Any]]]:
    """Label sets as P(second class) (L, n), and the two classes of each."""
    table = np.asarray([as_numpy(y) for y in Y] if isinstance(Y, list | tuple) else as_numpy(Y))
    if table.ndim != 2 or not len(table):
        raise InputError(f"label sets must be a matrix (sets, rows), at least one set, got shape {table.shape}")
    sets = [soft_labels(y, n) for y in table]
    return np.stack([p for p, _ in sets]), [classes for _, classes in sets]


def checked_folds(
    equal: NDArray[np.intp], p: NDArray[np.float64], cv: int | ArrayLike, groups: ArrayLike | None, seed: int
) -> NDArray[np.intp]:
    """The fold of each row (n,), of which equal ones share a number in `equal` (n,); InputError where `cv` is none."""
    n = len(p)
    # Rows stand for themselves by their numbers: their duplicates are then looked for once.
    stand_in = equal[:, None].astype(np.float32)
    if np.ndim(cv) == 0:
        count = np.asarray(cv)
        if count.dtype.kind not in "iu" or count < 2:
            raise InputError(f"cv={cv!r} must be a whole number of folds, at least 2, or a fold number for each row")
        return fold_numbers(stand_in, p, groups=groups, folds=int(count), seed=seed)
    numbers = np.asarray(cv)
    if numbers.shape != (n,):
        raise InputError(f"cv has shape {numbers.shape}, but there are {n} rows: give a fold number for each row")
    names, folds = np.unique(numbers, return_inverse=True)
    if len(names) < 2:
        raise InputError(f"cv puts all {n} rows into one fold: at least 2 are needed")
    ids = group_ids(stand_in, groups)
    first = np.unique(ids, return_index=True)[1][ids]
    parted = np.flatnonzero(folds != folds[first])
    if len(parted):
        raise InputError(
            f"cv parts rows {first[parted[0]]} and {parted[0]}, which are equal or of one group: keep those in one fold"
        )
    return folds.astype(np.intp)


def training_problems(
    labels: NDArray[np.float64],
    weights: NDArray[np.float64],
    folds: list[NDArray[np.intp] | None],
    l2: NDArray[np.float64],
) -> Problems:
    """Label set by label set, training set by training set (all rows, then without each fold), each penalty."""
    training: list[NDArray[np.float64]] = []
    label_of: list[int] = []
    for at, fold in enumerate(folds):
        training.append(weights)
        for number in range(0 if fold is None else int(fold.max()) + 1):
            kept = np.where(fold == number, 0, weights)
            if not kept.any():
                raise InputError(f"fold {number} holds every row with a weight: none is left to learn from without it")
            training.append(kept / kept.sum())
        label_of += [at] * (len(training) - len(label_of))
    return Problems(
        labels,
        np.stack(training),
        np.repeat(np.array(label_of, dtype=np.intp), len(l2)),
        np.repeat(np.arange(len(training)), len(l2)),
        np.tile(l2, len(training)),
    )
