"""The mean-difference probe: along the line from the mean of one class to that of the other."""

from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import get_blas_funcs
from scipy.special import expit

from ..errors import InputError
from ..rows.groups import group_numbers
from ..rows.linear_scores import linear_scores
from .base import Probe
from .class_moments import CACHED, Array, ClassMoments, TakenOut, left_out

FLAT = 1e-12  # of the squared gap: the least variance along the line, so that log-odds stay finite
SMALL = 1 << 20  # numbers of X up to which all is computed in float64
FAR = 1e-4  # of a sum's terms: what is left of less, without a group, has lost too many digits


class MeanDifferenceProbe(Probe):
    """Log-odds along the difference of the two class means, from one pass over the rows.

    A row belongs to class 1 with the weight of its label y, to class 0 with 1 - y. Along the direction μ₁ - μ₀ each
    class is taken for a normal distribution around its mean, both of the pooled variance v of the rows' projections
    around the means of their classes, and class 1 for as common as the mean label says: log-odds are
    (gap / v) (x - (μ₀ + μ₁)/2)·(μ₁ - μ₀) + log(ȳ / (1 - ȳ)), with gap = ‖μ₁ - μ₀‖². The direction is that of Marks and
    Tegmark (2023, "The Geometry of Truth", arXiv 2310.06824), who call it mass-mean; the scale and offset are what
    makes it a probability. Fitting reads X (n, d) a few times. `out_of_sample_` (n,) is exact: each row is scored as if
    the probe had been fitted without it and its group. Nothing is swept.

    >>> probe = MeanDifferenceProbe().fit([[0.0], [1.0], [3.0], [4.0]], [0.0, 0.1, 0.9, 1.0])
    >>> probe.predict([[1.5], [2.5]]).tolist()
    [0, 1]
    """

    def fit(self, X: ArrayLike, y: ArrayLike, group_ids: ArrayLike | None = None) -> Self:
        """Learn from activations X (n, d) and labels y (n,).

        Rows that share a number in `group_ids` (n,) (`rows.groups.group_ids`) are taken out together in
        `out_of_sample_`; without it each row alone is. InputError where the means of the classes are equal.
        """
        matrix, p = self._read(X, y)
        self.__dict__.pop("out_of_sample_", None)
        self._moments = ClassMoments.of(matrix, p)
        ids = group_numbers(group_ids, len(matrix))
        self._ids = np.arange(len(matrix), dtype=np.intp) if ids is None else ids
        direction, offset = self._line(self._moments)
        self.coef_ = direction[None]
        self.intercept_ = np.array([offset - float(direction @ self._moments.centre)])
        return self

    @cached_property
    def out_of_sample_(self) -> NDArray[np.float64]:
        """P(label = 1) of each training row (n,) by the probe fitted without it and its group.

        InputError for a probe that was loaded: it has left its rows.
        """
        if not hasattr(self, "_moments"):
            raise InputError("a probe that was saved has left its training rows: fit it again for out-of-sample scores")
        return np.asarray(expit(self._log_odds_left_out(self._moments, self._ids)))

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log-odds (m,) of the second class."""
        return self._log_odds(self._checked(X))

    def _score(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(expit(self._log_odds(X)))

    def _log_odds(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return linear_scores(X, self.coef_[0], self.intercept_[0])

    def _line(self, moments: ClassMoments) -> tuple[Array, float]:
        """Weights (d,) on rows about the mean of all, and the offset."""
        u = moments.difference
        gap = float(u @ u)
        self._along = _Scatter(moments).along(u)
        variance = max(float(u @ self._along) / len(moments.p), FLAT * gap**2)
        direction = gap / variance * u
        return direction, moments.prior - float(direction @ moments.means.mean(axis=0))

    def _log_odds_left_out(self, moments: ClassMoments, ids: NDArray[np.intp]) -> NDArray[np.float64]:
        """Log-odds (n,) of each row without the rows of its code in `ids` (n,)."""
        scatter = _Scatter(moments)
        found = np.empty(len(moments.p))
        for out in left_out(moments, ids):
            found[out.rows], far = _without(out, moments, scatter, self._along)
            for group in np.flatnonzero(far):
                rows = out.rows[out.of_rows == group]
                found[rows] = self._fitted_without(moments, rows)
        return found

    def _fitted_without(self, moments: ClassMoments, rows: NDArray[np.intp]) -> Array:
        """Log-odds (m,) of rows by a fit to the others: of groups beside which all others are small."""
        others = ClassMoments.of(np.delete(moments.X, rows, axis=0), np.delete(moments.p, rows))
        direction, offset = type(self)()._line(others)
        return np.asarray((moments.X[rows].astype(np.float64) - others.centre) @ direction + offset)


class _Scatter:
    """Σ of the squares of rows around the means of their classes, S (d, d), which is made where that costs less."""

    def __init__(self, moments: ClassMoments) -> None:
        self._moments = moments
        n, width = moments.X.shape
        # What is squared here is a group's share of the means: float32 leaves it seven digits, the sum many more.
        self._kind: Any = np.float64 if n * width <= SMALL else np.float32
        self._half: NDArray[Any] | None = None  # S below the diagonal, and half of that
        self._rows: NDArray[Any] | None = None

    def along(self, u: Array) -> Array:
        """S u (d,), in float64."""
        moments = self._moments
        found = moments.spread * moments.difference * float(moments.difference @ u)
        for part in moments.parts(CACHED):
            rows = moments.residuals(part)
            found += (rows @ u) @ rows
        return np.asarray(found)

    def squares(self, vectors: Array) -> Array:
        """v·S v (g,) of vectors (g, d)."""
        moments = self._moments
        own = float(np.abs(vectors).max()) or 1.0
        scaled = (vectors / own).astype(self._kind)
        if self._half is None and self._rows is None:
            self._make()
        found: Any
        if self._half is not None:
            multiply = get_blas_funcs("trmm", (self._half,))  # half of a product with S
            found = 2 * np.einsum("gd,gd->g", multiply(1, self._half, scaled.T, trans_a=1).T, scaled)
        else:
            assert self._rows is not None
            projected = scaled @ self._rows.T
            found = np.einsum("gn,gn->g", projected, projected)
        along_u = (vectors @ moments.difference) ** 2
        return np.asarray(found.astype(np.float64) * (own * moments.scale) ** 2 + moments.spread * along_u)

    def _make(self) -> None:
        """Rows around their means, scaled so that no square of theirs can overflow; or the sum of their squares."""
        moments = self._moments
        n, width = moments.X.shape
        parts = ((moments.residuals(part) / moments.scale).astype(self._kind) for part in moments.parts())
        if 2 * n < 3 * width:
            self._rows = np.concatenate(list(parts))
            return
        square = np.zeros((width, width), dtype=self._kind)
        for rows in parts:
            square += rows.T @ rows
        square[np.diag_indices(width)] /= 2
        self._half = square.T  # of Fortran's order, as BLAS reads it; one half of it is read


def _without(out: TakenOut, moments: ClassMoments, scatter: _Scatter, along: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Log-odds (m,) of the rows of some groups, each by the other groups' rows; and which groups (g,) are too far off.

    Taking rows out takes Σ weight a aᵀ and b bᵀ / left from the scatter of a class, a being a row around the mean
    that it had and b the sum of weight a.
    """
    u, grown = moments.difference, 1 + out.beta
    if out.alone:
        vectors, scale = out.around, out.alpha
        own = scale * np.einsum("md,md->m", vectors, vectors)  # a row by its group's vector
    else:
        vectors, scale = np.add.reduceat(out.alpha[:, None] * out.around, out.starts), np.ones(len(out.starts))
        own = np.einsum("md,md->m", out.around, vectors[out.of_rows])
    by_u, by_along = (vectors @ np.stack([u, along], axis=1)).T * scale
    squared = own * scale if out.alone else np.einsum("gd,gd->g", vectors, vectors)
    gap = grown**2 * (u @ u) + 2 * grown * by_u + squared
    squares = scale**2 * scatter.squares(vectors)
    inside = grown**2 * (u @ along) + 2 * grown * by_along + squares
    of_u = grown * (u @ u) + by_u  # the old difference along the new one
    of = out.of_rows
    ones = grown[of] * (out.around @ u) + own  # rows less the mean of class 1, along the new difference
    zeros = ones + of_u[of]
    inside -= out.total((1 - out.p) * zeros**2 + out.p * ones**2)
    moved = np.stack([out.total((1 - out.p) * zeros), out.total(out.p * ones)]) / out.left
    inside -= (moved**2 * out.left).sum(axis=0)
    far = (inside < FAR * (grown**2 * (u @ along) + squares)) | (gap < FAR * (grown**2 * (u @ u) + squared))
    variance = np.maximum(inside / out.left.sum(axis=0), FLAT * gap**2)
    slope = np.divide(gap, variance, out=np.zeros_like(gap), where=variance > 0)
    middle = (zeros + ones) / 2 + moved.mean(axis=0)[of]  # from the midpoint of the means that are left
    return np.asarray(slope[of] * middle + np.log(out.left[1] / out.left[0])[of]), far
