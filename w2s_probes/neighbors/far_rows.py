"""Rows far away from most others, as a first token's is: a center that they do not pull, and which rows they are.

Errors of products grow with the norms of centred rows. The mean of rows of which a few are a thousand times as long
as the others lies far from all of these, so their norms, and with them the errors, would be many times what they
need be. And rows of a far cluster are told apart only about a center of their own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..rows.row_parts import row_parts
from .final_order import LEAST, squared_norms

SAMPLE = 256  # rows by which a center is found: its error adds a 256th to the squared norms
STEPS = 2  # from the mean towards where half of the rows lie; one does unless far rows are nearly half
ORDINARY = 4.0  # norms, of the median of all: the mean of rows up to there is the center
GAP = 3.0  # norms beyond such a gap are far: equally wide clusters so far apart have no neighbours in each other
ROUNDED = 1e-3  # relative error of computed squared norms, many times over


@dataclass(frozen=True)
class Spread:
    """How rows (n, d) lie about a center (d,): their squared norms (n,) without it, and the numbers of far rows."""

    center: NDArray[np.float32]
    squares: NDArray[np.float64]
    far: NDArray[np.intp]

    @classmethod
    def of(cls, rows: NDArray[np.float32]) -> "Spread":
        """O(n d): a sample gives the center, then all rows are measured once."""
        center = robust_center(rows)
        squares = centred_squares(rows, center)
        return cls(center, squares, far_rows(squares))

    def without(self, rows: NDArray[np.intp]) -> float:
        """A norm that no other row than these exceeds, whatever the rounding."""
        others = np.ones(len(self.squares), dtype=bool)
        others[rows] = False
        return upper_norm(float(self.squares[others].max(initial=0)), len(self.center))


def robust_center(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """About the mean (d,) of rows (n, d), but of those alone that are not far from where most of them lie."""
    some = rows
    if len(rows) > SAMPLE:
        # In ascending order: they may be a memory map.
        some = rows[np.sort(np.random.default_rng(0).permutation(len(rows))[:SAMPLE])]
    half = (len(some) + 1) // 2
    center = _mean(some)
    for _ in range(STEPS):
        center = _mean(some[np.argsort(centred_squares(some, center), kind="stable")[:half]])
    squares = centred_squares(some, center)
    # Of two clusters of equal size one has the center: the middle of both is far from all rows.
    return _mean(some[squares <= ORDINARY**2 * np.partition(squares, half - 1)[half - 1]])


def far_rows(squares: NDArray[np.float64]) -> NDArray[np.intp]:
    """The rows beyond the first gap in the norms, of those longer than the median, given their squares (n,)."""
    order = np.argsort(squares, kind="stable")
    half = (len(squares) + 1) // 2
    ascending = squares[order[half - 1 :]]
    gaps = np.flatnonzero(ascending[1:] > GAP**2 * ascending[:-1])
    return np.sort(order[half + gaps[0] :]) if len(gaps) else order[:0]


def centred_squares(rows: NDArray[np.float32], center: NDArray[np.float32]) -> NDArray[np.float64]:
    """|x|² of each row (n,) without the center."""
    parts = row_parts(len(rows), rows.shape[1])
    return np.concatenate([squared_norms(rows[part] - center) for part in parts] or [np.empty(0)])


def upper_norm(square: float, width: int) -> float:
    """The largest norm that a computed square of one may stand for."""
    return float(np.sqrt(square * (1 + ROUNDED) + 2 * width * LEAST))


def lower_norms(squares: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """The smallest norms (n,) that computed squares of them may stand for."""
    return np.asarray(np.sqrt(np.maximum(squares * (1 - ROUNDED) - 2 * width * LEAST, 0)))


def _mean(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows.mean(axis=0, dtype=np.float64).astype(np.float32))
