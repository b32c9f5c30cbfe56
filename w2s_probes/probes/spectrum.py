"""The leading eigenpairs of a layer's covariance, which tell a solver how long each direction's step may be."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from ..randomness import stream

EXACT = 1536  # columns up to which all eigenpairs are computed (1,024: .2 s); by random projections from there on
RANK = 512  # eigenpairs beyond: a transformer's outlier dimensions and most of what varies
PASSES = 3  # over the matrix by random projections (two power iterations and the projection itself)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Covariance XᵀX/n ≈ U diag(S) Uᵀ + rest·(I - UUᵀ) of a centred matrix X (n, d)."""

    values: NDArray[np.float64]  # S (r,), ascending, at least 0
    vectors: NDArray[Any]  # U (d, r), in the dtype of X
    rest: float  # the mean of the other eigenvalues; 0 where r = d

    @classmethod
    def of(cls, X: NDArray[Any]) -> "Spectrum":
        """All eigenpairs where d ≤ `EXACT`: O(n d² + d³); else the first `RANK`: O(n d RANK)."""
        n, d = X.shape
        if d <= EXACT:
            # The decomposition is float64: one outlier dimension of scale 3000 would drown the small eigenvalues.
            return cls.from_gram((X.T @ X).astype(np.float64) / n, X.dtype)
        rank = min(RANK, *X.shape)
        values, vectors = _leading(X, rank)
        total = float(np.einsum("nd,nd->d", X, X).sum(dtype=np.float64)) / n
        return cls(values, vectors, max(total - float(values.sum()), 0.0) / (d - rank))

    @classmethod
    def from_gram(cls, gram: NDArray[np.float64], dtype: Any = np.float64) -> "Spectrum":
        """All eigenpairs of a covariance (d, d), which is overwritten."""
        values, vectors = eigh(gram, driver="evd", overwrite_a=True, check_finite=False)
        return cls(np.maximum(values, 0), vectors.astype(dtype), 0.0)

    def cautious(self) -> "Spectrum":
        """With eigenvalues as small as rounding of the largest lets them be: steps by it are rather too long."""
        rounding = float(np.finfo(self.vectors.dtype).eps) * self.values[-1]
        return Spectrum(np.maximum(self.values - rounding, 0), self.vectors, self.rest)

    def solve(self, g: NDArray[Any], l2: NDArray[np.float64], curvature: NDArray[np.float64]) -> NDArray[Any]:
        """(curvature · covariance + 2 l2 I)⁻¹ g for gradients g (k, d), each with its penalty and curvature (k,).

        O(k d r).
        """
        inside = self._inverse(self.values[None, :], l2, curvature)
        if self.rest == 0 and len(self.values) == len(self.vectors):
            return np.asarray(((g @ self.vectors) * inside.astype(g.dtype)) @ self.vectors.T)
        outside = self._inverse(np.array([[self.rest]]), l2, curvature)
        leading = ((g @ self.vectors) * (inside - outside).astype(g.dtype)) @ self.vectors.T
        return np.asarray(leading + outside.astype(g.dtype) * g)

    def _inverse(
        self, values: NDArray[np.float64], l2: NDArray[np.float64], curvature: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        # Directions in which nothing varies, without a penalty: any step does, but none may overflow.
        least = 10 * len(self.vectors) * np.finfo(np.float64).eps * max(float(self.values[-1]), self.rest)
        return np.asarray(1 / (curvature[:, None] * np.maximum(values, least or 1.0) + 2 * l2[:, None]))


def _leading(X: NDArray[Any], rank: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Eigenvalues (rank,), ascending, and eigenvectors (d, rank) of XᵀX/n by randomised subspace iteration.

    Halko, Martinsson, Tropp 2011, algorithms 4.4 and 5.3. The basis is made orthonormal between passes, so that
    float32 does not lose the small directions beside an outlier's.
    """
    n, d = X.shape
    basis = stream(0, "spectrum").standard_normal((d, rank), dtype=np.float32).astype(X.dtype)
    for _ in range(PASSES - 1):
        basis = np.linalg.qr(X.T @ (X @ basis))[0]
    image = (X @ basis).astype(np.float64)
    values, rotation = eigh(image.T @ image / n, driver="evd")
    return np.maximum(values, 0), basis @ rotation.astype(X.dtype)
