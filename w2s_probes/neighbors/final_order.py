"""The final order of candidate neighbours: by true distance, then by row index."""

from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from ..memory_limit import empty_rows

BLOCK = 1 << 18  # numbers held at once while distances are computed again in float64: what a processor keeps near
UNIT = float(np.finfo(np.float32).eps) / 2  # the largest relative error of one float32 operation


# Where the largest number of the rows is within these, its square and those of what float32 tells from it are numbers.
SMALL, LARGE = 2.0**-30, 2.0**50
LEAST = float(np.finfo(np.float32).tiny)  # numbers below are 0 to some processors


@dataclass(frozen=True)
class SearchRows:
    """The two sides of a search (float32, C-contiguous): as given, and in a unit in which squares are float32 numbers.

    The unit is a power of two, which rounds nothing but numbers that are 0 beside the largest.
    """

    queries: NDArray[np.float32]  # (m, d) in the unit
    base: NDArray[np.float32]  # (n, d) what is searched
    given: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None  # both as given, if not in the unit already
    unit: float = 1.0

    @classmethod
    def of(cls, queries: NDArray[np.float32], base: NDArray[np.float32]) -> "SearchRows":
        """Queries (m, d) and rows (n, d) as given; where no unit is needed nothing is copied."""
        sides = (base,) if queries is base else (base, queries)
        largest = max(max(float(side.max(initial=0)), -float(side.min(initial=0))) for side in sides)
        if largest == 0 or SMALL <= largest <= LARGE:
            return cls(queries, base)
        unit = 2.0 ** np.floor(np.log2(largest))
        # By way of float64: 1 / unit may be no float32 number.
        scaled = [in_unit(side, unit) for side in sides]
        return cls(scaled[-1], scaled[0], (queries, base), float(unit))

    def part(self, queries: NDArray[np.intp] | None, base: NDArray[np.intp]) -> "SearchRows":
        """Some rows by number, copied, in the same unit; and some queries, or those rows themselves."""

        def sides(
            asked: NDArray[np.float32], searched: NDArray[np.float32]
        ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            some = taken(searched, base)
            return some if queries is None else taken(asked, queries), some

        given = None if self.given is None else sides(*self.given)
        return SearchRows(*sides(self.queries, self.base), given, self.unit)

    @property
    def floor(self) -> float:
        """Squared distances below which `direct` may have lost squares that are too small for float32."""
        return self.lost / UNIT

    @property
    def lost(self) -> float:
        """The loss of float32 sums of squares to numbers that are too small for it."""
        return float(2 * self.base.shape[1] * LEAST)

    @property
    def blur(self) -> float:
        """The relative error of a `direct` distance. The largest seen, up to 4,096 dimensions, was a quarter of it."""
        return float(UNIT * (8 + np.sqrt(self.base.shape[1]) / 4))

    def direct(self, query: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.float32]:
        """Squared distances of pairs (c,) in the unit, in float32 from the differences of the rows."""
        distances = np.empty(len(query), dtype=np.float32)
        pointers = (
            faiss.swig_ptr(array)
            for array in (self.queries, np.ascontiguousarray(query), self.base, np.ascontiguousarray(row), distances)
        )
        faiss.pairwise_indexed_L2sqr(self.base.shape[1], len(query), *pointers)  # type: ignore[attr-defined]
        return distances

    def exact(self, query: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.float64]:
        """The same in float64, from the rows as given."""
        queries, base = self.given or (self.queries, self.base)
        distances = np.empty(len(query))
        step = max(1, BLOCK // self.base.shape[1])
        for start in range(0, len(query), step):
            part = slice(start, start + step)
            difference = queries[query[part]].astype(np.float64)
            difference -= base[row[part]]
            distances[part] = np.einsum("ij,ij->i", difference, difference)
        return distances / self.unit**2


def taken(rows: NDArray[np.float32], numbers: NDArray[np.intp]) -> NDArray[np.float32]:
    """The rows (r, d) of these numbers (r,), copied to where there is room for them."""
    out = empty_rows((len(numbers), rows.shape[1]), np.float32)
    return np.take(rows, numbers, axis=0, out=out, mode="clip")  # unbuffered


def in_unit(rows: NDArray[np.float32], unit: float) -> NDArray[np.float32]:
    """Rows (n, d) divided by a power of two; themselves where that is 1."""
    if unit == 1:
        return rows
    out = np.empty_like(rows)
    step = max(1, BLOCK // rows.shape[1])
    for start in range(0, len(rows), step):
        out[start : start + step] = rows[start : start + step] / np.float64(unit)
    return out


def settled(
    rows: SearchRows, query: NDArray[np.intp], candidates: NDArray[np.int64], distances: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Candidates (q, w) of some queries (q,) in their final order, and their squared distances.

    `distances` (q, w) are `direct`, or infinite where a place holds no candidate. Where two are too close for
    their errors, or too small for float32, they are computed again in float64, so that rows at the same distance stand
    in index order.
    """
    order = np.argsort(distances, axis=1)
    candidates = np.take_along_axis(candidates, order, 1)
    far = np.take_along_axis(distances, order, 1).astype(np.float64)
    with np.errstate(invalid="ignore"):  # inf - inf
        # An empty place makes no doubt: the last of few candidates is what it is among many.
        close = (np.diff(far, axis=1) <= 2 * rows.blur * far[:, 1:]) & np.isfinite(far[:, 1:])
    doubtful = np.zeros(far.shape, dtype=bool)
    doubtful[:, 1:] |= close
    doubtful[:, :-1] |= close
    doubtful |= far < rows.floor
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
