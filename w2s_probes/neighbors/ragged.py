"""Entries that belong to rows, as many to each as there are, laid out in tables."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

ROWS, CELLS = 1024, 1 << 22  # of one table


def row_order(row: NDArray[np.integer], n: int) -> NDArray[np.intp]:
    """The stable order of row numbers below n, 16 bits at a time: numpy sorts those in linear time."""
    order = np.argsort(row.astype(np.uint16), kind="stable")
    if n > 1 << 16:
        order = order[np.argsort((row >> 16).astype(np.uint16)[order], kind="stable")]
    return order


def tables(row: NDArray[np.integer], n: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]]:
    """Rows (r,) that have entries, the entries (r, w) of each, and which of these places (r, w) hold one.

    `row` (e,) is the row, below n, of each entry. Rows of like numbers of entries come together, so that few places
    are empty; those hold an arbitrary entry.
    """
    by_row = row_order(row, n)
    counts = np.bincount(row, minlength=n)
    starts = np.cumsum(counts) - counts
    left = np.argsort(counts, kind="stable")[int((counts == 0).sum()) :]
    while len(left):
        size = max(1, min(ROWS, CELLS // int(counts[left[-1]])))
        part, left = left[:size], left[size:]
        places = np.arange(counts[part[-1]])
        there = places < counts[part][:, None]
        yield part, by_row[np.where(there, starts[part][:, None] + places, 0)], there
