"""The whitened mean-difference probe: linear discriminant analysis with a covariance shrunk as Ledoit and Wolf do."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk

from .class_moments import Array, ClassMoments, TakenOut, left_out
from .mean_difference import FAR, MeanDifferenceProbe

LEAST = 1e-12  # of the largest variance: what is added to each, so that a covariance of lower rank can be inverted
BATCH = 1 << 22  # numbers of the groups that are solved at once


class WhitenedMeanDifferenceProbe(MeanDifferenceProbe):
    """Log-odds along Σ⁻¹(μ₁ - μ₀): `MeanDifferenceProbe` in the metric of the rows' covariance within the classes.

    log-odds are (x - (μ₀ + μ₁)/2)·Σ⁻¹(μ₁ - μ₀) + log(ȳ / (1 - ȳ)), as of two normal distributions of one covariance
    (linear discriminant analysis). Σ = (1 - s) S + s (tr S / d) I is the covariance S within the classes, pooled by
    soft membership, shrunk by the s of Ledoit and Wolf (2004, "A well-conditioned estimator for large-dimensional
    covariance matrices"), as scikit-learn's `ledoit_wolf` has it for the rows less the means of their classes: a row of
    label y counts as one of class 1 of weight y and one of class 0 of weight 1 - y. Width may exceed the rows.

    Fitting takes an eigendecomposition of the smaller side of X (n, d). `out_of_sample_` (n,) is exact: means, s and
    the inverse without each row and its group, from the same decomposition (Woodbury's identity). Nothing is swept.

    >>> probe = WhitenedMeanDifferenceProbe().fit([[0.0, 5], [1.0, 9], [3.0, 5], [4.0, 9]], [0.0, 0.1, 0.9, 1.0])
    >>> probe.predict([[1.5, 9], [2.5, 5]]).tolist()
    [0, 1]
    """

    def _line(self, moments: ClassMoments) -> tuple[Array, float]:
        self._spectrum = spectrum = _Spectrum.of(moments)
        self.shrinkage_ = spectrum.shrinkage
        direction = spectrum.whitened
        return direction, moments.prior - float(direction @ moments.means.mean(axis=0))

    def _log_odds_left_out(self, moments: ClassMoments, ids: NDArray[np.intp]) -> NDArray[np.float64]:
        found = np.empty(len(moments.p))
        for out in left_out(moments, ids):
            found[out.rows] = self._spectrum.without(out)
            for group in np.flatnonzero(self._spectrum.far(out)):
                rows = out.rows[out.of_rows == group]
                found[rows] = self._fitted_without(moments, rows)
        return found


@dataclass(frozen=True, eq=False)
class _Spectrum:
    """The scatter within the classes, S = Σ weight a aᵀ over rows a around their means, by its r eigenvalues.

    Vectors are (..., r) in the basis of its eigenvectors, which span the rows about the mean of all.
    """

    moments: ClassMoments
    basis: Array  # (d, r) orthonormal
    values: Array  # (r,) eigenvalues, none below 0
    first: Array  # (r, r) the part of S that is of class 1
    u: Array  # (r,) the difference of the means
    fourth: Array  # (2,) Σ weight ‖a‖⁴ by class
    second: Array  # (2,) Σ weight ‖a‖²
    third: Array  # (2, r) Σ weight ‖a‖² a

    @classmethod
    def of(cls, moments: ClassMoments) -> "_Spectrum":
        """The eigendecomposition, in the space of the rows where they are fewer than their width."""
        n, width = moments.X.shape
        span = np.linalg.qr(moments.rows(slice(None)).T)[0] if n < width else None
        coordinates = [_in(span, moments.rows(part)) for part in moments.parts()]
        means = _in(span, moments.means)
        parts = [moments.p[part] for part in moments.parts()]
        size = means.shape[1]
        halves = [np.zeros((size, size), order="F") for _ in range(2)]  # of either class, below the diagonal
        fourth, second, third = np.zeros(2), np.zeros(2), np.zeros((2, size))
        for rows, p in zip(coordinates, parts, strict=True):
            for number, weight in enumerate((1 - p, p)):
                around = rows - means[number]
                weighted = around * np.sqrt(weight)[:, None]
                halves[number] = dsyrk(1.0, weighted.T, beta=1.0, c=halves[number], lower=1, overwrite_c=1)
                lengths = np.einsum("md,md->m", around, around)
                fourth[number] += weight @ lengths**2
                second[number] += weight @ lengths
                third[number] += (weight * lengths) @ around
        first = halves[1] + np.tril(halves[1], -1).T
        values, vectors = np.linalg.eigh(halves[0] + halves[1])  # which reads the lower half
        basis = vectors if span is None else span @ vectors
        u = means[1] - means[0]
        return cls(
            moments,
            basis,
            np.maximum(values, 0),
            vectors.T @ first @ vectors,
            u @ vectors,
            fourth,
            second,
            third @ vectors,
        )

    @property
    def shrinkage(self) -> float:
        """The share of the identity in the covariance."""
        n, width = self.moments.X.shape
        return float(_shrinkage(n, width, self.values.sum(), (self.values**2).sum(), self.fourth.sum()))

    @property
    def whitened(self) -> Array:
        """Σ⁻¹(μ₁ - μ₀) (d,)."""
        return np.asarray(
            self.basis @ (self.u / self._metric(*self._mixed(self.shrinkage, len(self.moments.p), self.values.sum())))
        )

    def _mixed(self, shrinkage: Array | float, n: Array | float, trace: Array | float) -> tuple[Array, Array]:
        """Factors of S and of the identity in Σ."""
        width = self.moments.X.shape[1]
        # Where there is no scatter at all any metric will do; that of the gap keeps log-odds finite.
        least = LEAST * (self.values.max() / len(self.moments.p) + self.u @ self.u)
        return np.asarray((1 - shrinkage) / n), np.asarray(shrinkage * trace / (n * width) + least)

    def _metric(self, of_scatter: Array, of_identity: Array) -> Array:
        return np.asarray(of_scatter[..., None] * self.values + of_identity[..., None])

    def without(self, out: TakenOut) -> Array:
        """Log-odds (m,) of the rows of some groups, each group by the rows outside of it."""
        found = np.empty(len(out.rows))
        around = out.around @ self.basis
        sizes = out.sizes
        for size in np.unique(sizes):
            groups = np.flatnonzero(sizes == size)
            step = max(1, BATCH // ((int(size) + 1) * len(self.u)))
            for some in (groups[start : start + step] for start in range(0, len(groups), step)):
                places = out.starts[some][:, None] + np.arange(size)
                found[places] = self._solved(out.p[places], around[places], out.left[:, some])
        return found

    def far(self, out: TakenOut) -> NDArray[np.bool_]:
        """Which groups (g,) hold nearly all of the scatter, so that what is left without them has lost its digits."""
        left = np.full(len(out.starts), self.second.sum())
        for weight, around, rest in (
            (out.p, out.around, out.left[1]),
            (1 - out.p, out.around + self.moments.difference, out.left[0]),
        ):
            weighted = weight[:, None] * around
            pulled = weighted if out.alone else np.add.reduceat(weighted, out.starts)
            left -= out.total(np.einsum("md,md->m", weighted, around)) + np.einsum("gd,gd->g", pulled, pulled) / rest
        return np.asarray(left < FAR * self.second.sum())

    def _solved(self, p: Array, around: Array, left: Array) -> Array:
        """Log-odds (g, m) of g groups of m rows: labels p (g, m), rows less the mean of class 1 (g, m, r).

        All of it is in the span of each group's rows and of u, whose coefficients are written (..., m + 1).
        """
        count, size = p.shape
        members = np.stack([1 - p, p])  # (2, g, m)
        span = np.concatenate([around, np.broadcast_to(self.u, (count, 1, len(self.u)))], axis=1)  # (g, m + 1, r)
        rows = np.zeros((2, size, size + 1))  # rows less the mean of either class
        rows[:, :, :size] = np.eye(size)
        rows[0, :, size] = 1
        pull = np.einsum("cgm,cms->cgs", members, rows)
        shift = -pull / left[:, :, None]  # of the means
        line = shift[1] - shift[0]
        line[:, size] += 1  # the difference of the means that are left
        weighted = members[..., None] * rows[:, None]  # (2, g, m, s)
        taken = np.einsum("cgms,cmt->gst", weighted, rows) - np.einsum("cgs,cgt->gst", pull, shift)
        lost = self._lost(members, rows, span, shift)
        n = left.sum(axis=0)
        gram = span @ span.swapaxes(1, 2)
        by_values = (span * self.values) @ span.swapaxes(1, 2)
        moved = taken @ gram
        trace = self.values.sum() - np.einsum("gss->g", moved)
        square = (
            (self.values**2).sum()
            - 2 * np.einsum("gst,gst->g", taken, by_values)
            + np.einsum("gst,gts->g", moved, moved)
        )
        shrinkage = _shrinkage(n, self.moments.X.shape[1], trace, square, self.fourth.sum() - lost)
        of_scatter, of_identity = self._mixed(shrinkage, n, trace)
        solved = (span / self._metric(of_scatter, of_identity)[:, None]) @ span.swapaxes(1, 2)
        # Σ⁻¹ = M⁻¹ + M⁻¹ Bᵀ (…) B M⁻¹, within the span B: B Σ⁻¹ Bᵀ = G (I - factor · taken · G)⁻¹, G = B M⁻¹ Bᵀ
        system = np.eye(size + 1) - of_scatter[:, None, None] * taken @ solved
        right = np.linalg.solve(system, line[:, :, None])
        middle = rows.mean(axis=0) - shift.mean(axis=0)[:, None]  # rows from the midpoint of the means
        log_odds = (middle @ solved @ right)[:, :, 0]
        return np.asarray(log_odds + np.log(left[1] / left[0])[:, None])

    def _lost(self, members: Array, rows: Array, span: Array, shift: Array) -> Array:
        """What Σ weight ‖a‖⁴ loses (g,) with each group, whose rows go and whose absence moves the means by `shift`."""
        moved = (shift[:, :, None] @ span)[:, :, 0]  # (2, g, r)
        if span.shape[1] == 2:  # of a row alone, whose product both classes share
            by_row = span[:, 0] @ self.first
            by_first = shift[:, :, :1] * by_row + shift[:, :, 1:] * (self.u @ self.first)
        else:
            by_first = moved @ self.first
        within = np.einsum("cgr,cgr->cg", by_first, moved)
        within[0] = np.einsum("gr,r->g", moved[0] ** 2, self.values) - within[0]
        far = np.einsum("cgr,cgr->cg", moved, moved)
        weights, second = self.moments.weights[:, None], self.second[:, None]
        gained = 4 * within + weights * far**2 + 2 * far * second - 4 * np.einsum("cgr,cr->cg", moved, self.third)
        gram = span @ span.swapaxes(1, 2)
        own = rows[:, None] - shift[:, :, None]  # (2, g, m, s) less the means that are left
        lengths = ((own @ gram) * own).sum(axis=3)
        return np.asarray(((members * lengths**2).sum(axis=2) - gained).sum(axis=0))


def _in(span: Array | None, rows: Array) -> Array:
    return rows if span is None else np.asarray(rows @ span)


def _shrinkage(
    n: Array | float, width: int, trace: Array | float, square: Array | float, fourth: Array | float
) -> Array:
    """The share of the identity by Ledoit and Wolf, of a scatter's trace, sum of squares and Σ weight ‖a‖⁴."""
    if width == 1:
        return np.zeros(np.shape(trace))
    noise = (np.asarray(fourth) / n - np.asarray(square) / np.square(n)) / (n * width)
    apart = (np.asarray(square) - np.square(trace) / width) / np.square(n) / width
    found = np.zeros(np.shape(trace))
    np.divide(noise, apart, out=found, where=apart > 0)
    return np.asarray(np.clip(found, 0, 1))
