"""Exact neighbours among rows by way of a screen: of all pairs, those that may be of neighbours are measured."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..memory_limit import room
from ..progress import report
from .exhaustive import ROWS_SEARCHED, SPARE
from .final_order import SearchRows, settled, squared_norms
from .ragged import tables
from .screening import DEAR, Precision, Screen, full_precision, low_precision

FEWEST, NARROWEST = 2048, 256  # rows and width from which screening has paid
PRECISIONS = (low_precision, full_precision)  # the first that there is, and that pays
SCREENED = 200  # bytes for each neighbour asked for, of pairs that may be one


def may_screen(n: int, d: int, k: int) -> bool:
    """Whether pairs of n rows of width d are screened for k neighbours; of fewer rows too many would be left."""
    return n >= max(FEWEST, int(DEAR * k)) and d >= NARROWEST


def has_room(n: int, d: int, k: int) -> bool:
    """Whether memory has room for the pairs that are screened, and copies of the rows (n, d)."""
    room_left = room()
    return room_left is None or n * (SCREENED * k + 8 * d) <= room_left // 2


def screened(
    rows: SearchRows,
    center: NDArray[np.float32],
    k: int,
    precisions: Sequence[Callable[[NDArray[np.float32], NDArray[np.float64]], Precision | None]] = PRECISIONS,
    apart: NDArray[np.intp] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """The k nearest rows of each row, none of them equal, by way of `Screen`; None where that does not pay.

    Rows `apart` are neighbours of others alone: their own places are left empty.
    """
    wanted = np.ones(len(rows.base), dtype=bool)
    wanted[[] if apart is None else apart] = False
    # In random order the first rows are like all others.
    order = np.random.default_rng(0).permutation(len(rows.base))
    order = order[np.argsort(~wanted[order], kind="stable")]
    mixed = rows.base[order]
    mixed -= center
    largest = max(float(mixed.max()), -float(mixed.min()))
    if not 1e-15 < largest or not largest * rows.unit < 1e15:  # squares of squares would not be float32 numbers
        return None
    squares = squared_norms(mixed)
    for precision in precisions:
        products = precision(mixed, squares)
        pairs = Screen(squares, k, products, int(wanted.sum())).run() if products else None
        if pairs is not None:
            first, second = (order[side] for side in pairs)
            return _from_pairs(rows, first, second, k, wanted)
    return None


def _from_pairs(
    rows: SearchRows, first: NDArray[np.int64], second: NDArray[np.int64], k: int, wanted: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Each wanted row's k nearest among the pairs that it is in."""
    n, done = len(rows.base), 0
    far = rows.direct(first, second)
    row, other = np.concatenate([first, second]), np.concatenate([second, first])
    if not wanted.all():
        entry = np.flatnonzero(wanted[row])
        row, other, far = row[entry], other[entry], far[entry % len(far)]
    indices, distances = np.empty((n, k), dtype=np.int64), np.empty((n, k))
    for part, entries, there in tables(row, n):
        table = np.where(there, far[entries % len(far)], np.float32(np.inf))
        nearer = np.argpartition(table, min(k + SPARE, table.shape[1]) - 1, axis=1)[:, : k + SPARE]
        near = np.take_along_axis(table, nearer, 1)
        result = settled(rows, part, other[np.take_along_axis(entries, nearer, 1)], near)
        indices[part], distances[part] = result[0][:, :k], result[1][:, :k]
        # A tie may reach beyond.
        again = near.max(axis=1) * (1 - 2 * rows.blur) - 2 * rows.lost <= result[1][:, k - 1]
        if again.any():
            result = settled(rows, part[again], other[entries[again]], table[again])
            indices[part[again]], distances[part[again]] = result[0][:, :k], result[1][:, :k]
        done += len(part)
        report(ROWS_SEARCHED, done, n)
    return indices, distances
