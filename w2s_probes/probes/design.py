"""A layer's activations, prepared once for any number of logistic fits."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import lstsq

from ..memory_limit import empty_rows
from ..rows.duplicates import equal_rows
from .matrices import in_eights
from .spectrum import EXACT, Spectrum
from .validation import check_activations

SMALL = 1_000_000  # numbers up to which float64 costs nothing worth saving
BLOCK = 1 << 18  # numbers converted to float64 at once: they stay in the cache
PRODUCTS = 1 << 21  # numbers multiplied at once in float32
HELD_OUT = 1 << 24  # numbers scored at once in float64
POWERS = 8  # iterations, after which the largest eigenvalue is known to a few parts in ten
HUGE = 1e38  # a third of the largest float32
FARTHEST = 1e30  # of a penalty in the design's units, so that float32 can hold it: all weights are 0 well before

Centred = tuple[
    NDArray[np.float32], NDArray[np.float64], float, NDArray[Any], NDArray[np.float64] | None
]  # the rows as given, their centre, the scale, the matrix and the basis of a `Design`


@dataclass(frozen=True, eq=False)
class Design:
    """Activations X (n, d), centred, scaled by a power of two, and the spectrum of their covariance.

    Give it to `LogisticProbe.path` or `paths` in place of X: a second label set then does not pay for it again.
    `X` is referred to, not copied: do not change it afterwards. Fits are parameters θ = [w, b] on `matrix`.

    >>> from w2s_probes import LogisticProbe
    >>> design = Design.of([[-2.0], [-1.0], [1.0], [2.0]])
    >>> [path.best for path in LogisticProbe.paths(design, [[0, 0, 1, 1], [1, 1, 0, 0]], l2=[0.1, 10], cv=2)]
    [0.1, 0.1]
    """

    X: NDArray[np.float32]
    center: NDArray[np.float64]  # (d,)
    scale: float
    matrix: NDArray[Any]  # (n, r): (X - center) / scale in float32; in float64 where it is small or basis is given
    basis: NDArray[np.float64] | None  # (d, r): orthonormal columns that span the rows of matrix; None where r = d
    spectrum: Spectrum

    @classmethod
    def of(cls, X: ArrayLike) -> "Design":
        """Prepare activations X (n, d); see `Spectrum.of` for the cost. InputError if they are not a finite matrix.

        The minimum lies in the span of the rows: fewer rows than columns (and at most `EXACT`) are rotated into n
        dimensions by a QR decomposition, O(n² d), and fits then cost the same for any width. `DeviceDesign.of` is for
        fits on a GPU.
        """
        rows, center, scale, matrix, basis = cls._centred(X)
        return Design(rows, center, scale, matrix, basis, Spectrum.of(matrix))

    @staticmethod
    def _centred(X: ArrayLike) -> Centred:
        """All of a design but its spectrum."""
        rows = check_activations(X)
        n, d = rows.shape
        # A centre that float32 can hold is subtracted without conversions; the bias takes up what it is off the mean.
        center = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        across = n < d and n <= EXACT
        matrix = empty_rows((n, d), np.float64 if across or n * d <= SMALL else np.float32)
        # Two numbers at the ends of float32 are farther apart than it can say.
        unit = 1.0 if max(float(rows.max()), -float(rows.min())) < HUGE else 4.0
        divided = rows if unit == 1 else rows / np.float32(unit)
        np.subtract(divided, center / np.float32(unit), out=matrix, dtype=matrix.dtype)
        largest = max(float(matrix.max()), -float(matrix.min()))
        scale = 2.0 ** np.floor(np.log2(largest)) if largest > 0 else 1.0  # a power of two rounds nothing
        matrix /= matrix.dtype.type(scale)
        basis = None
        if across:
            basis, triangle = np.linalg.qr(matrix.T)
            matrix = np.ascontiguousarray(triangle.T)
        return rows, center.astype(np.float64), float(scale * unit), matrix, basis

    @cached_property
    def equal(self) -> NDArray[np.intp]:
        """A number for each row (n,) that rows share when they are equal."""
        return equal_rows(self.X)

    @cached_property
    def precise(self) -> Spectrum:
        """The spectrum from sums in float64, where all of it is computed: for what float32 could not settle.

        Directions that are small beside an outlier's are measured by themselves (`Spectrum.refined`).
        """
        d = self.matrix.shape[1]
        if self.matrix.dtype == np.float64 or d > EXACT:
            return self.spectrum

        gram = self._squares()
        variance = np.diag(gram).copy()
        return Spectrum.from_gram(gram).refined(self._squares, variance)

    def _squares(self, directions: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """(XV)ᵀXV/n of directions V (d, m), in float64; of all columns without."""
        width = self.matrix.shape[1] if directions is None else directions.shape[1]
        gram = np.zeros((width, width))
        for block in self._exactly():
            along = block if directions is None else block @ directions
            gram += along.T @ along
        return gram / len(self.matrix)

    @cached_property
    def columns(self) -> tuple[NDArray[np.float64], float]:
        """Variances (r,) of the columns, and the largest eigenvalue of their correlations, by power iteration."""
        variance = np.einsum("nd,nd->d", self.matrix, self.matrix, dtype=np.float64) / len(self.matrix)
        unit = np.divide(1, np.sqrt(variance), out=np.zeros(len(variance)), where=variance > 0)
        v, largest = np.ones(len(variance)), 1.0
        for _ in range(POWERS):
            v = unit * (self.matrix.T @ (self.matrix @ (unit * v).astype(self.matrix.dtype))) / len(self.matrix)
            largest = float(np.linalg.norm(v)) or 1.0
            v /= largest
        return variance, max(1.0, largest)

    def __repr__(self) -> str:
        n, d = self.X.shape
        return f"Design({n} x {d}, {self.matrix.dtype}, {len(self.spectrum.values)} eigenpairs)"

    def penalty(self, l2: NDArray[np.float64]) -> NDArray[np.float64]:
        """The penalties in units of the scaled matrix."""
        return np.minimum(l2 / self.scale**2, FARTHEST)

    @property
    def xp(self) -> Any:
        """The library of the solver's matrices: NumPy, or torch."""
        return np

    def computing(self) -> AbstractContextManager[None]:
        """What a solver computes in."""
        return nullcontext()

    def has_room_after(self, error: BaseException) -> bool:
        """Whether fewer fits at once may still fit into memory: False, as numbers of the processor's are planned."""
        return False

    def put(self, values: NDArray[Any]) -> Any:
        """A matrix as the solver computes with it."""
        return values

    def solve(self, spectrum: Spectrum, g: Any, l2: NDArray[np.float64], curvature: NDArray[np.float64]) -> Any:
        """`Spectrum.solve`."""
        return spectrum.solve(g, l2, curvature)

    def at(self, theta: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Log-odds (k, r) of some rows (r,) at parameters θ (k, r + 1), in float64."""
        found, step = np.empty((len(theta), len(rows))), max(1, HELD_OUT // self.matrix.shape[1])
        for part in (slice(start, start + step) for start in range(0, len(rows), step)):
            held_out = self.matrix[rows[part]].astype(np.float64)
            found[:, part] = theta[:, :-1] @ held_out.T + theta[:, -1:]
        return found

    def forward(self, theta: NDArray[Any], exact: bool = False) -> NDArray[Any]:
        """Log-odds (k, n) at parameters θ (k, r + 1)."""
        if not exact:
            # In this order, in such blocks, BLAS takes two thirds of the time for few fits; rows of fits again, or all
            # that follows is slower.
            directions, found = np.ascontiguousarray(theta[:, :-1].T), np.empty((len(self.X), len(theta)), theta.dtype)
            step = max(1, PRODUCTS // len(directions))
            for start in range(0, len(found), step):
                np.matmul(self.matrix[start : start + step], directions, out=found[start : start + step])
            return np.asarray(np.ascontiguousarray(found.T) + theta[:, -1:])
        return np.hstack([theta[:, :-1] @ block.T + theta[:, -1:] for block in self._exactly()])

    def backward(self, residual: NDArray[Any], exact: bool = False) -> NDArray[Any]:
        """Gradients (k, r + 1) of a loss whose derivatives by the log-odds are `residual` (k, n)."""
        fits = residual if exact or self.matrix.dtype == np.float64 else in_eights(residual)
        out = np.empty((len(fits), self.matrix.shape[1] + 1), residual.dtype)
        out[:, -1] = fits.sum(axis=1)
        if not exact:
            np.matmul(fits, self.matrix, out=out[:, :-1])
            return out[: len(residual)]
        out[:, :-1], start = 0, 0
        for block in self._exactly():
            out[:, :-1] += residual[:, start : start + len(block)] @ block
            start += len(block)
        return out

    def _exactly(self) -> Iterator[NDArray[np.float64]]:
        """The matrix in float64, some rows at a time: the whole would be twice the memory of X."""
        if self.matrix.dtype == np.float64:
            yield self.matrix
            return
        step = max(1, BLOCK // self.X.shape[1])
        for start in range(0, len(self.X), step):
            block = self.X[start : start + step].astype(np.float64)
            block -= self.center
            block *= 1 / self.scale
            yield block

    def exact_columns(self, rows: NDArray[np.intp], columns: slice) -> NDArray[np.float64]:
        """Some columns of some rows of the matrix (m, c) in float64, in Fortran's order."""
        if self.matrix.dtype == np.float64:
            return np.asfortranarray(self.matrix[rows, columns])
        part = self.X[rows, columns].astype(np.float64, order="F")
        part -= self.center[columns]
        part *= 1 / self.scale
        return part

    def smallest(self, theta: NDArray[np.float64], rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The parameters θ (k, r + 1) with the smallest weights that give the same log-odds on some rows (n,)."""
        some = self.matrix[rows].astype(np.float64)
        center = some.mean(axis=0)
        weights = lstsq(some - center, (some - center) @ theta[:, :-1].T, lapack_driver="gelsy")[0].T
        bias = theta[:, -1] + (theta[:, :-1] - weights) @ center
        return np.column_stack([weights, bias])

    def raw(self, theta: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weights (k, d) and intercepts (k,) on X itself of parameters θ (k, r + 1)."""
        weights = theta[:, :-1] if self.basis is None else theta[:, :-1] @ self.basis.T
        weights = weights / self.scale
        return weights, theta[:, -1] - weights @ self.center
