"""The contrast-consistent probe in closed form, of rows that come as two sides: "... Yes" and "... No"."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh
from scipy.special import expit

from ..errors import InputError
from ..randomness import stream
from ..tensors import as_numpy
from .base import Probe
from .logistic import LogisticProbe

FLAT = 1e-6  # a column whose deviation is below this, times the largest of its side, is left out: blown up noise
ROUNDING = 1e-5  # a deviation of standardised differences that float32 alone can make: the two sides are one
L2 = 1e-3  # of the calibration's slope, on projections of deviation 1: finite where weak labels are separable


class ContrastProbe(Probe):
    """CRC-TPC of Burns et al. (2022, arXiv:2212.03827): no label chooses the direction.

    A row of X (n, 2d) is [x⁺, x⁻], the activations of its two sides, where the row's label is said to be 1 and to be 0.
    Each side is standardised by itself, x̃ = (x - μ) / σ with μ and σ of that side's training rows, which takes away
    what tells "Yes" from "No". The direction θ is the top principal component of the differences x̃⁺ - x̃⁻,

        θ = argmax over ‖θ‖ = 1 of  Var(θ·(x̃⁺ - x̃⁻)) - consistency · Var(θ·(x̃⁺ + x̃⁻)),

    the leading eigenvector of Cov(x̃⁺ - x̃⁻) - consistency · Cov(x̃⁺ + x̃⁻). With `consistency` 0 this is CRC-TPC; above,
    directions are punished in which both sides agree, as by the consistency loss of CCS and the negative covariance of
    VINC (Cov of the difference is Σ⁺ + Σ⁻ less twice the symmetric part of the cross-covariance). Columns that do not
    vary on one of the sides are left out.

    Weak labels choose two numbers alone: P(1) = σ(a s + b), s the projection over its deviation, a and b those of a
    logistic regression of the weak labels y on s. The sign of a is the probe's sign, which no contrast tells. Where
    another feature flips between the sides and varies more than the truth, θ finds that one instead.

    >>> sides = np.array([[2.0, -2.1], [1.9, -2.0], [-2.0, 2.0], [-2.1, 1.9]])
    >>> ContrastProbe().fit(sides, [0.9, 0.7, 0.2, 0.4]).predict(sides).tolist()
    [1, 1, 0, 0]
    """

    def __init__(self, consistency: float = 0.0) -> None:
        self.consistency = consistency  # at least 0

    def _fit(self, X: NDArray[np.float32], p: NDArray[np.float64]) -> None:
        if not (np.isfinite(self.consistency) and self.consistency >= 0):
            raise InputError(f"consistency={self.consistency}: give 0, which is CRC-TPC, or more")
        half = _width(X)
        self.means_ = X.mean(axis=0, dtype=np.float64)
        deviations = X.std(axis=0, dtype=np.float64)
        varies = np.logical_and(*(side > FLAT * side.max() for side in np.split(deviations, 2)))
        if not varies.any():
            raise InputError(f"no column varies on both sides of {len(X)} rows: is one side a single text?")
        self.scales_ = np.divide(1, deviations, out=np.zeros(2 * half), where=np.tile(varies, 2))
        self.direction_, self.explained_ = _direction(*self._sides(X), float(self.consistency))
        projected = self._projected(X)
        self.deviation_ = float(projected.std())
        if not self.deviation_ > ROUNDING:
            raise InputError(
                f"the two sides of all {len(X)} rows differ alike: is it one text twice, or does the model not know "
                "what tells them apart?"
            )
        fitted = LogisticProbe(L2).fit((projected / self.deviation_)[:, None], p)
        self.slope_, self.intercept_ = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log-odds (m,) of the second class, of rows X (m, 2d)."""
        return self._log_odds(self._checked(X))

    def _score(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(expit(self._log_odds(X)), dtype=np.float64)

    def _log_odds(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(self.slope_ * self._projected(X) / self.deviation_ + self.intercept_)

    def _projected(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        plus, minus = self._sides(X)
        return np.asarray((plus - minus) @ self.direction_)

    def _sides(self, X: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        standard = X - self.means_
        standard *= self.scales_  # in place: pairs are wide
        return standard[:, : _width(X)], standard[:, _width(X) :]


def paired_sides(plus: ArrayLike, minus: ArrayLike) -> NDArray[np.float32]:
    """X (n, 2d) for `ContrastProbe`, of the sides x⁺ (n, d) and x⁻ (n, d) of the same rows in one order."""
    sides = [np.asarray(as_numpy(side), dtype=np.float32) for side in (plus, minus)]
    if sides[0].ndim != 2 or sides[0].shape != sides[1].shape:
        shapes = " and ".join(str(side.shape) for side in sides)
        raise InputError(f"the two sides have shapes {shapes}: give the same rows and columns of both")
    return np.hstack(sides)


def shuffled_sides(X: ArrayLike, *, seed: int = 0) -> NDArray[np.float32]:
    """The control: the x⁻ of X (n, 2d) dealt out at random among the rows, so that no pair is one."""
    matrix = np.asarray(as_numpy(X), dtype=np.float32)
    half = _width(matrix)
    order = stream(seed, "shuffled sides").permutation(len(matrix))
    return np.hstack([matrix[:, :half], matrix[order, half:]])


def swapped_sides(X: ArrayLike, *, seed: int = 0) -> NDArray[np.float32]:
    """The control: x⁺ and x⁻ of each pair of X (n, 2d) change places if a coin says so, so that no side has a sense."""
    matrix = np.array(as_numpy(X), dtype=np.float32)
    half = _width(matrix)
    swapped = stream(seed, "swapped sides").random(len(matrix)) < 0.5
    matrix[swapped] = np.roll(matrix[swapped], half, axis=1)
    return matrix


def _width(X: NDArray[Any]) -> int:
    """The width of one side; InputError where there are not two."""
    if X.ndim != 2 or X.shape[1] % 2 or not X.shape[1]:
        raise InputError(f"contrast pairs are [x⁺, x⁻], an even number of columns; got shape {X.shape}")
    return int(X.shape[1]) // 2


def _direction(
    plus: NDArray[np.float64], minus: NDArray[np.float64], consistency: float
) -> tuple[NDArray[np.float64], float]:
    """The leading eigenvector (d,) of Cov(x⁺ - x⁻) - consistency · Cov(x⁺ + x⁻), and its share of Var(x⁺ - x⁻)."""
    difference = plus - minus
    n, d = difference.shape
    variance = float((difference**2).sum() / n)
    if consistency == 0 and n < d:  # the same by the smaller Gram matrix (n, n)
        weights = _leading(difference @ difference.T)
        found = difference.T @ weights
        length = float(np.linalg.norm(found))
        found = found / length if length > 0 else found
    else:
        matrix = difference.T @ difference
        if consistency > 0:
            total = plus + minus
            matrix -= consistency * (total.T @ total)
        found = _leading(matrix)
    share = float(((difference @ found) ** 2).mean() / variance) if variance > 0 else 0.0
    return np.asarray(found), share


def _leading(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The eigenvector (m,) of the largest eigenvalue of a symmetric matrix (m, m)."""
    last = len(matrix) - 1
    return np.asarray(eigh(matrix, subset_by_index=[last, last])[1][:, 0])
