"""Exact Euclidean nearest neighbours: a row is never its own neighbour, and ties go to the lower row index."""

from dataclasses import dataclass

import faiss
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .errors import InputError

SPARE = 8  # candidates searched beyond k, so that rounding at the k-th place can usually be settled among them
LARGEST_NORM = 1e18  # the square of twice as much is still a float32
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
    the differences of the rows as given, so that equal rows are at equal distances. Rows that are equal bit for
    bit are searched once, since none of them can be told apart by looking further.

    Raises InputError if k is not in 1..n (with queries) or 1..n-1 (without).
    """
    n, own = len(X), queries is None
    if k < 1 or k > n - own:
        raise InputError(f"k={k} needs at least {max(k, 1) + own} rows, got {n}: lower k or add data")
    group, first = _distinct(X)
    if len(first) == n:
        return _Search(X).run(X if queries is None else queries, k, own)
    distinct = np.ascontiguousarray(X[first])
    # Each group holds a row at least, so k + 1 groups hold k rows beside the query itself.
    groups = _Search(distinct).run(distinct if queries is None else queries, min(len(first), k + own), own=False)
    if queries is not None:
        return _members(groups, group, k)
    found = _members(groups, group, k + 1)
    indices, distances = found.indices[group], found.distances[group]
    # A row with more than k lower duplicates is not among the first k + 1: then the last one goes instead.
    itself = indices == np.arange(n)[:, None]
    itself[~itself.any(axis=1), -1] = True
    return Neighbors(indices[~itself].reshape(n, k), distances[~itself].reshape(n, k))


class _Search:
    """An index over centred rows, beside the rows as given."""

    def __init__(self, X: NDArray[np.float32]) -> None:
        self.X = X
        self.center = X.mean(axis=0, dtype=np.float64).astype(np.float32)
        base = np.ascontiguousarray(X - self.center, dtype=np.float32)
        self.largest = float(np.sqrt(np.einsum("ij,ij->i", base, base, dtype=np.float64).max()))
        if self.largest > LARGEST_NORM:
            raise InputError(
                f"activations of norm {self.largest:.1e} are too large for distances in float32: scale them"
            )
        self.index = faiss.IndexFlatL2(base.shape[1])
        self.index.add(base)

    def run(self, queries: NDArray[np.float32], k: int, own: bool) -> Neighbors:
        """The k nearest rows to each query (m, d); with `own`, queries are the rows themselves, left out."""
        indices = np.empty((len(queries), k), dtype=np.int64)
        distances = np.empty((len(queries), k), dtype=np.float32)
        rows, width = np.arange(len(queries)), min(len(self.X), k + own + SPARE)
        while len(rows):
            unsettled = []
            for part in _blocks(rows, width):
                found, reach = self._candidates(queries, part, width, own)
                indices[part], distances[part] = found.indices[:, :k], found.distances[:, :k]
                if width < len(self.X):
                    # A row beyond the candidates could still tie with, or in truth precede, the k-th.
                    unsettled.append(part[found.distances[:, k - 1] >= reach])
            rows = np.concatenate(unsettled) if unsettled else rows[:0]
            width = min(len(self.X), 4 * width)
        return Neighbors(indices, distances)

    def _candidates(
        self, queries: NDArray[np.float32], rows: NDArray[np.intp], width: int, own: bool
    ) -> tuple[Neighbors, NDArray[np.float64]]:
        """`width` candidates of some queries in final order (distance, then row index), self last.

        Beside them, for each of these queries, the distance below which no row outside the candidates lies.
        """
        asked = np.ascontiguousarray(queries[rows] - self.center, dtype=np.float32)
        rough, indices = self.index.search(asked, width)
        distances = rough.astype(np.float64)
        # Rounding of the expansion grows with the norms |q|² + |x|². Only rows about as near as the last candidate
        # matter, and by the triangle inequality none of those is longer than |q| + its distance. sqrt(d) is how
        # errors of independent sign add up; the largest seen, on 16 to 8192 dimensions with outliers, was .9 of it.
        norms = np.sqrt(np.einsum("ij,ij->i", asked, asked, dtype=np.float64))
        longest = np.minimum(self.largest, norms + np.sqrt(np.maximum(2 * distances[:, -1], 0)))
        error = 2 * np.finfo(np.float32).eps * np.sqrt(asked.shape[1]) * (norms**2 + longest**2)
        reach = distances[:, -1] - error
        close = np.diff(distances, axis=1) <= 2 * error[:, None]
        doubtful = np.pad(close, ((0, 0), (0, 1))) | np.pad(close, ((0, 0), (1, 0)))
        query, place = np.nonzero(doubtful)
        for part in _blocks(np.arange(len(query)), asked.shape[1]):
            pairs = query[part], place[part]
            difference = self.X[indices[pairs]].astype(np.float64) - queries[rows[pairs[0]]]
            distances[pairs] = np.einsum("ij,ij->i", difference, difference)
        if own:
            distances[indices == rows[:, None]] = np.inf
        order = np.lexsort((indices, distances), axis=1)
        return Neighbors(np.take_along_axis(indices, order, 1), np.take_along_axis(distances, order, 1)), reach


def _distinct(X: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Groups of rows that are equal bit for bit: each row's group (n,), and each group's first row, ascending."""
    group, _ = pd.factorize(pd.Series([row.tobytes() for row in X]))
    _, first = np.unique(group, return_index=True)
    return np.asarray(group, dtype=np.intp), first


def _members(groups: Neighbors, group: NDArray[np.intp], k: int) -> Neighbors:
    """The k nearest rows, given the nearest groups of equal rows and each row's group; ties by row index."""
    rows = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[rows], np.arange(group.max() + 2))
    depth = min(k, int(np.diff(starts).max()))  # no more than k members of a group can be among k neighbours
    indices = np.empty((len(groups.indices), k), dtype=np.int64)
    distances = np.empty((len(groups.indices), k), dtype=groups.distances.dtype)
    for part in _blocks(np.arange(len(indices)), groups.k * depth):
        slots = starts[groups.indices[part]][:, :, None] + np.arange(depth)
        there = slots < starts[groups.indices[part] + 1][:, :, None]
        found = np.where(there, rows[np.minimum(slots, len(rows) - 1)], len(rows)).reshape(len(part), -1)
        far = np.where(there, groups.distances[part][:, :, None], np.inf).reshape(len(part), -1)
        order = np.lexsort((found, far), axis=1)[:, :k]
        indices[part] = np.take_along_axis(found, order, 1)
        distances[part] = np.take_along_axis(far, order, 1)
    return Neighbors(indices, distances)


def _blocks(rows: NDArray[np.intp], numbers_a_row: int) -> list[NDArray[np.intp]]:
    size = max(1, BLOCK // numbers_a_row)
    return [rows[start : start + size] for start in range(0, len(rows), size)]
