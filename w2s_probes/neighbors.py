"""Exact Euclidean nearest neighbours: a row is never its own neighbour, and ties go to the lower row index."""

from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from .errors import InputError

SPARE = 8  # candidates searched beyond k, so that rounding at the k-th place can usually be settled among them
BLOCK = 1 << 24  # numbers held at once while distances are computed again


@dataclass(frozen=True)
class Neighbors:
    """For each of n query rows its k nearest rows, nearest first; a prefix of columns is the answer for a lower k."""

    indices: NDArray[np.int64]  # (n, k) rows of the searched array
    distances: NDArray[np.floating]  # (n, k) squared Euclidean distances

    @property
    def k(self) -> int:
        """How many neighbours each row has."""
        return int(self.indices.shape[1])


def nearest(X: NDArray[np.float32], k: int, queries: NDArray[np.float32] | None = None) -> Neighbors:
    """The k nearest rows of X (n, d) to each query (m, d), or to each row of X itself, which is then left out.

    Rows are left out by index: an exact duplicate of a row is its neighbour like any other. The search is
    float32 on centred data, since a large common offset would otherwise drown the differences; where distances
    are too close for faiss's expansion |x|² + |y|² - 2xy to order them, they are computed again in float64 from
    the differences of the rows as given, so that equal rows are at equal distances.

    Raises InputError if k is not in 1..n (with queries) or 1..n-1 (without).
    """
    n, own = len(X), queries is None
    if k < 1 or k > n - own:
        raise InputError(f"k={k} needs at least {max(k, 1) + own} rows, got {n}: lower k or add data")
    search = _Search(X, X if queries is None else queries, own)
    rows = np.arange(len(search.queries))
    indices = np.empty((len(rows), k), dtype=np.int64)
    distances = np.empty((len(rows), k), dtype=np.float32)
    width = min(n, k + own + SPARE)
    while len(rows):
        found, reach = search.candidates(rows, width)
        indices[rows], distances[rows] = found.indices[:, :k], found.distances[:, :k]
        # A row beyond the candidates could still tie with, or in truth precede, the k-th: look further.
        unsettled = found.distances[:, k - 1] >= reach if width < n else np.zeros(len(rows), dtype=bool)
        rows, width = rows[unsettled], min(n, 4 * width)
    return Neighbors(indices, distances)


class _Search:
    """An index over centred rows, beside the rows as given."""

    def __init__(self, X: NDArray[np.float32], queries: NDArray[np.float32], own: bool) -> None:
        self.X, self.queries, self.own = X, queries, own
        self.center = X.mean(axis=0, dtype=np.float64).astype(np.float32)
        base = np.ascontiguousarray(X - self.center, dtype=np.float32)
        self.largest = float(np.einsum("ij,ij->i", base, base).max())
        self.index = faiss.IndexFlatL2(base.shape[1])
        self.index.add(base)

    def candidates(self, rows: NDArray[np.intp], width: int) -> tuple[Neighbors, NDArray[np.float64]]:
        """`width` candidates of some query rows in final order (distance, then row index), self last.

        Beside them, for each of these rows, the distance below which no row outside the candidates lies.
        """
        asked = np.ascontiguousarray(self.queries[rows] - self.center, dtype=np.float32)
        rough, indices = self.index.search(asked, width)
        distances = rough.astype(np.float64)
        # Rounding of the expansion grows with the norms. sqrt(d) is how errors of independent sign add up; 8 is
        # slack over the largest error seen on data with outlier dimensions.
        norms = np.einsum("ij,ij->i", asked, asked, dtype=np.float64) + self.largest
        error = 8 * np.finfo(np.float32).eps * np.sqrt(asked.shape[1]) * norms
        reach = distances[:, -1] - error
        close = (np.diff(distances, axis=1) <= error[:, None]).any(axis=1)
        for part in _blocks(np.flatnonzero(close), width * asked.shape[1]):
            difference = self.X[indices[part]].astype(np.float64) - self.queries[rows[part]][:, None, :]
            distances[part] = np.einsum("ijk,ijk->ij", difference, difference)
        if self.own:
            distances[indices == rows[:, None]] = np.inf
        order = np.lexsort((indices, distances), axis=1)
        return Neighbors(np.take_along_axis(indices, order, 1), np.take_along_axis(distances, order, 1)), reach


def _blocks(rows: NDArray[np.intp], numbers_a_row: int) -> list[NDArray[np.intp]]:
    size = max(1, BLOCK // numbers_a_row)
    return [rows[start : start + size] for start in range(0, len(rows), size)]
