"""The final order of candidate neighbours: by true distance, then by row index."""

from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 18  # numbers held at once while distances are computed again in float64: what a processor keeps near
UNIT = float(np.finfo(np.float32).eps) / 2  # the largest relative error of one float32 operation


@dataclass(frozen=True)
class Rows:
    """The two sides of a search, as given (float32, C-contiguous)."""

    queries: NDArray[np.float32]  # (m, d)
    base: NDArray[np.float32]  # (n, d) what is searched

    @property
    def blur(self) -> float:
        """The relative error of a `direct` distance. The largest seen, up to 4,096 dimensions, was a quarter of it."""
        return float(UNIT * (8 + np.sqrt(self.base.shape[1]) / 4))

    def direct(self, query: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.float32]:
        """Squared distances of pairs (c,), in float32 from the differences of the rows."""
        distances = np.empty(len(query), dtype=np.float32)
        pointers = (
            faiss.swig_ptr(array)
            for array in (self.queries, np.ascontiguousarray(query), self.base, np.ascontiguousarray(row), distances)
        )
        faiss.pairwise_indexed_L2sqr(self.base.shape[1], len(query), *pointers)  # type: ignore[attr-defined]
        return distances

    def exact(self, query: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.float64]:
        """The same in float64."""
        distances = np.empty(len(query))
        step = max(1, BLOCK // self.base.shape[1])
        for start in range(0, len(query), step):
            part = slice(start, start + step)
            difference = self.queries[query[part]].astype(np.float64)
            difference -= self.base[row[part]]
            distances[part] = np.einsum("ij,ij->i", difference, difference)
        return distances


def settled(
    rows: Rows, query: NDArray[np.intp], candidates: NDArray[np.int64], distances: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Candidates (q, w) of some queries (q,) in their final order, and their squared distances.

    `distances` (q, w) are `direct`, or infinite where a place holds no candidate. Where two are too close for
    their errors, both are computed again in float64, so that rows at the same distance stand in index order.
    """
    order = np.argsort(distances, axis=1)
    candidates = np.take_along_axis(candidates, order, 1)
    far = np.take_along_axis(distances, order, 1).astype(np.float64)
    with np.errstate(invalid="ignore"):  # inf - inf
        close = np.diff(far, axis=1) <= 2 * rows.blur * far[:, 1:]
    doubtful = np.zeros(far.shape, dtype=bool)
    doubtful[:, 1:] |= close
    doubtful[:, :-1] |= close
    doubtful &= np.isfinite(far)
    line, place = np.nonzero(doubtful)
    far[line, place] = rows.exact(query[line], candidates[line, place])
    again = np.flatnonzero(doubtful.any(axis=1))
    order = np.lexsort((candidates[again], far[again]), axis=1)
    candidates[again] = np.take_along_axis(candidates[again], order, 1)
    far[again] = np.take_along_axis(far[again], order, 1)
    return candidates, far


def squared_norms(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """|x|² of each row (n,): sums of 256 squares at a time in float32, and of those in float64."""
    norms = np.zeros(len(rows))
    for start in range(0, rows.shape[1], 256):
        part = rows[:, start : start + 256]
        norms += np.einsum("ij,ij->i", part, part)
    return norms
