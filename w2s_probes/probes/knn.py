"""k nearest neighbours: the mean soft label of the k rows whose activations are closest."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..neighbors import Neighbors, nearest
from .base import Probe


class KNNProbe(Probe):
    """P(label = 1) is the mean soft label of the k nearest training rows (Euclidean, exact).

    Scoring m rows against n costs one search, O(m n d). `out_of_sample_` (n,) scores each training row without
    itself; `predict_proba` on a training row counts that row as its own nearest neighbour, which is how the
    published study scored, and near-perfect by construction at small k.
    """

    def __init__(self, k: int = 50) -> None:
        self.k = k  # neighbours; at most n - 1

    def _fit(self, X: NDArray[np.float32], p: NDArray[np.float64]) -> None:
        self.__dict__.pop("neighbors_", None)
        self.X_, self.p_ = X, p
        nearest(X[: self.k + 1], self.k)  # refuses a k that the rows cannot serve before anything is searched

    def _score(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(self.p_[nearest(self.X_, self.k, X).indices].mean(axis=1))

    @cached_property
    def neighbors_(self) -> Neighbors:
        """The graph of the training rows, each without itself; searched when first asked for."""
        return nearest(self.X_, self.k)

    @property
    def out_of_sample_(self) -> NDArray[np.float64]:
        """P(label = 1) of each training row (n,) from its neighbours, without itself."""
        return np.asarray(self.p_[self.neighbors_.indices].mean(axis=1))
