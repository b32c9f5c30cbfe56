"""The leading eigenpairs of a layer's covariance, which tell a solver how long each direction's step may be."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, eigh, qr

from ..randomness import stream
from .matrices import in_eights

EXACT = 1536  # columns up to which all eigenpairs are computed (1,024: .2 s); by random projections from there on
RANK = 512  # eigenpairs beyond: a transformer's outlier dimensions and most of what varies
FINE = 1e-8  # of the largest eigenvalue: below, those of a covariance in float64 are its rounding, or nearly
APART = (1e-3, 1e-4, 2e-5)  # least eigenvalues of a correlation matrix that float32 can vouch for, tried in turn
TINY = (4 * float(np.finfo(np.float64).eps)) ** 2  # of an eigenvalue, by the largest and for each column: rounding
PASSES = 3  # over the matrix by random projections (two power iterations and the projection itself)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Covariance XᵀX/n ≈ U diag(S) Uᵀ + rest·(I - UUᵀ) of a centred matrix X (n, d)."""

    values: NDArray[np.float64]  # S (r,), ascending, at least 0
    vectors: NDArray[Any]  # U (d, r), in the dtype of X
    rest: float  # the mean of the other eigenvalues; 0 where r = d
    surely: float = 0.0  # eigenvalues are not below it, but for constant columns; 0 where nothing is known
    least: float | NDArray[np.float64] | None = None  # eigenvalues, or each (r,), up to it are 0 to rounding
    measured: bool = False  # whether those above are known to some digits (`refined`)

    @classmethod
    def of(cls, X: NDArray[Any]) -> "Spectrum":
        """All eigenpairs where d ≤ `EXACT`: O(n d² + d³); else the first `RANK`: O(n d RANK)."""
        n, d = X.shape
        if d <= EXACT:
            # The decomposition is float64: one outlier dimension of scale 3000 would drown the small eigenvalues.
            gram = (X.T @ X).astype(np.float64) / n
            if X.dtype == np.float64:
                variance = np.diag(gram).copy()
                return cls.from_gram(gram).refined(lambda V: (X @ V).T @ (X @ V) / n, variance)
            return cls.rounded(gram, X.dtype)
        rank = min(RANK, *X.shape)
        values, vectors = _leading(X, rank)
        total = float(np.einsum("nd,nd->d", X, X).sum(dtype=np.float64)) / n
        return cls(values, vectors, max(total - float(values.sum()), 0.0) / (d - rank))

    @classmethod
    def from_gram(cls, gram: NDArray[np.float64], dtype: Any = np.float64) -> "Spectrum":
        """All eigenpairs of a covariance (d, d), which is overwritten."""
        values, vectors = eigh(gram, driver="evd", overwrite_a=True, check_finite=False)
        return cls(np.maximum(values, 0), vectors.astype(dtype), 0.0)

    @classmethod
    def rounded(cls, gram: NDArray[np.float64], dtype: Any) -> "Spectrum":
        """All eigenpairs of a covariance (d, d) from float32 products, and what float32 can vouch for."""
        surely = _surely(gram)
        return replace(cls.from_gram(gram, dtype), surely=surely)

    def cautious(self) -> "Spectrum":
        """With eigenvalues as small as rounding of the largest lets them be: steps by it are rather too long.

        Where columns of very different scales, or nearly dependent ones, leave open how small they are, as small as any
        that float64 could tell: without a penalty, what such a spectrum says of a fit then never passes.
        """
        rounding = float(np.finfo(self.vectors.dtype).eps) * self.values[-1]
        values = np.maximum(self.values - rounding, 0)
        known = len(self.values) < len(self.vectors) or self.surely >= self._rounding(self.values[-1])
        least = None if known else len(self.vectors) * TINY * float(self.values[-1])
        return Spectrum(values, self.vectors, self.rest, self.surely, least)

    def refined(
        self, squares: Callable[[NDArray[np.float64]], NDArray[np.float64]], variance: NDArray[np.float64]
    ) -> "Spectrum":
        """With small eigenvalues from the matrix itself, where those of a covariance (d, d) are its rounding.

        `squares` gives (XV)ᵀXV/n of some directions V (d, m). Rounding is by the largest eigenvalue left, so that those
        of a part without the large ones are known to as many digits again. `variance` (d,) of the columns says what is
        0 but for the rounding of a row's product with a direction.
        """
        values, vectors = self.values.copy(), self.vectors.astype(np.float64)
        level, m = FINE * float(values[-1]), len(values)
        while 0 < (few := int((values < level).sum())) < m:
            m = few
            # The large directions' part in the small ones, a rounding, is as much as those vary by themselves.
            shared = squares(vectors)[m:, :m]
            vectors[:, :m] -= vectors[:, m:] @ (shared / values[m:, None])
            small, turn = eigh(squares(vectors[:, :m]), driver="evd", check_finite=False)
            values[:m], vectors[:, :m] = np.maximum(small, 0), vectors[:, :m] @ turn
            level = FINE * float(values[m - 1])
        # What is left of the large directions in the small ones is a rounding of a rounding.
        tiny = len(vectors) * TINY
        least = tiny * (variance @ vectors**2 + tiny * float(values[-1]))
        return Spectrum(values, vectors, self.rest, self.surely, least, measured=True)

    def solve(self, g: NDArray[Any], l2: NDArray[np.float64], curvature: NDArray[np.float64]) -> NDArray[Any]:
        """(curvature · covariance + 2 l2 I)⁻¹ g for gradients g (k, d), each with its penalty and curvature (k,).

        O(k d r).
        """
        inside, outside = self.inverses(l2, curvature)
        if outside is None:
            return np.asarray(((g @ self.vectors) * inside.astype(g.dtype)) @ self.vectors.T)
        fits = in_eights(g)
        along = fits @ self.vectors
        along[: len(g)] *= inside - outside
        leading = (along @ self.vectors.T)[: len(g)]
        leading += outside.astype(g.dtype) * g
        return np.asarray(leading)

    def inverses(
        self, l2: NDArray[np.float64], curvature: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """1 / (curvature · eigenvalue + 2 l2) along each eigenvector (k, r), and elsewhere (k, 1); None where r = d."""
        inside = self._inverse(self.values[None, :], l2, curvature)
        if self.rest == 0 and len(self.values) == len(self.vectors):
            return inside, None
        return inside, self._inverse(np.array([[self.rest]]), l2, curvature)

    def _inverse(
        self, values: NDArray[np.float64], l2: NDArray[np.float64], curvature: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        # Directions in which nothing varies, without a penalty: any step does, but none may overflow.
        least = np.asarray(self._rounding(max(float(self.values[-1]), self.rest)) if self.least is None else self.least)
        flat = np.maximum(values, np.where(least > 0, least, 1))
        inverse = 1 / (curvature[:, None] * flat + 2 * l2[:, None])
        if self.measured:  # none is needed there, and the gradient's rounding would be all that asks for one
            inverse[(values <= least) & (2 * l2[:, None] <= curvature[:, None] * flat)] = 0
        return np.asarray(inverse)

    def _rounding(self, largest: float) -> float:
        return float(10 * len(self.vectors) * np.finfo(np.float64).eps * largest)


def _surely(gram: NDArray[np.float64]) -> float:
    """A bound below all eigenvalues of a float32 covariance (d, d) but those of constant columns; 0 if none is known.

    Its own eigenvalues are rounded by that of an outlier dimension. The correlations know no such scale: if theirs are
    at least t, those of the covariance are at least t times the smallest variance.
    """
    variance = np.diag(gram)
    varying = np.flatnonzero(variance > 0)
    if not len(varying):
        return 0.0
    deviation = np.sqrt(variance[varying])
    alike = (gram if len(varying) == len(gram) else gram[np.ix_(varying, varying)]) / deviation
    alike /= deviation[:, None]
    for t in APART:
        less = alike.copy()
        less[np.diag_indices(len(varying))] -= t
        try:
            cholesky(less.T, overwrite_a=True, check_finite=False)  # of Fortran's order, so that nothing is copied
        except LinAlgError:
            continue
        return t / 2 * float(variance[varying].min())  # half of it may be the rounding of the correlations
    return 0.0


def _leading(X: NDArray[Any], rank: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Eigenvalues (rank,), ascending, and eigenvectors (d, rank) of XᵀX/n by randomised subspace iteration.

    Halko, Martinsson, Tropp 2011, algorithms 4.4 and 5.3. The basis is made orthonormal between passes, so that
    float32 does not lose the small directions beside an outlier's.
    """
    n, d = X.shape
    basis = stream(0, "spectrum").standard_normal((d, rank), dtype=np.float32).astype(X.dtype)
    for _ in range(PASSES - 1):
        # Of Fortran's order, and by SciPy: a third of the time of NumPy's QR.
        basis = qr(((X @ basis).T @ X).T, mode="economic", overwrite_a=True, check_finite=False)[0]
    image = (X @ basis).astype(np.float64)
    values, rotation = eigh(image.T @ image / n, driver="evd")
    return np.maximum(values, 0), basis @ rotation.astype(X.dtype)
