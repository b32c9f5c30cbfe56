"""Exact Euclidean nearest neighbours: a row is never its own neighbour, and ties go to the lower row index."""

from collections.abc import Callable, Sequence
from operator import index as index_of
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..memory_limit import empty_rows, room
from ..progress import report
from ..rows.duplicates import equal_rows
from ..tensors import as_numpy
from .exhaustive import ROWS_SEARCHED, SPARE, FlatSearch, RoughIndex, faiss_index
from .far_first import far_first
from .far_rows import Spread, centred_squares
from .final_order import SearchRows, settled, squared_norms, taken
from .graph import Neighbors
from .ragged import tables
from .row_blocks import BlockIndex
from .screening import DEAR, Precision, Screen, full_precision, low_precision

FEWEST, NARROWEST = 2048, 256  # rows and width from which screening has paid
PRODUCTS = 128  # width from which NumPy's products have cost less than faiss's search: 1/2 to 1/3 of it at 1,024
PRECISIONS = (low_precision, full_precision)  # the first that there is, and that pays
BLOCK = 1 << 24  # numbers held at once
SCREENED = 200  # bytes for each neighbour asked for, of pairs that may be one
LARGEST_NORM = 1e18  # the square of twice as much is still a float32
FEW_FAR = 1 / 8  # of the rows: so many far ones are left out of a screen, which would keep all of their pairs
MANY = 1 << 26  # numbers of which an exhaustive search makes no copies: a quarter of a gigabyte


def nearest(
    X: NDArray[np.float32],
    k: int,
    queries: NDArray[np.float32] | None = None,
    *,
    index: Callable[[NDArray[np.float32]], RoughIndex] | None = None,
) -> Neighbors:
    """The k nearest rows of X (n, d) to each query (m, d), or to each row of X itself, which is then left out.

    Rows are left out by index: an exact duplicate of a row is its neighbour like any other. The search is
    float32 on centred data, since a large common offset would otherwise drown the differences; candidates are
    measured again from the differences of the rows as given, in float64 where they are too close to order, so that
    equal rows are at equal distances. Equal rows are searched once, since none of them can be told apart by looking
    further. O(m n d); a graph of many rows is screened (`screening`) for half of that, or less. `index` gives the
    rough distances in place of faiss, and is asked about everything.

    Raises InputError if k is not in 1..n (with queries) or 1..n-1 (without).
    """
    X, k = as_rows(X), as_int(k, "k")
    queries = None if queries is None else as_rows(queries, X.shape[1])
    n, among_themselves = len(X), queries is None
    if k < 1 or k > n - among_themselves:
        raise InputError(f"k={k} needs at least {max(k, 1) + among_themselves} rows, got {n}: lower k or add data")
    group = equal_rows(X)
    distinct = len(group) - int((np.bincount(group) - 1).sum())
    if distinct == n:
        return Neighbors(*_distinct(X, k, queries, index))
    first = np.full(distinct, n)
    np.minimum.at(first, group, np.arange(n))
    base = taken(X, first)
    if queries is not None:
        return _members(Neighbors(*_distinct(base, min(distinct, k), queries, index)), group, k)
    neighbors = _members(_with_themselves(base, min(distinct, k + 1), index), group, k + 1)
    indices, distances = neighbors.indices[group], neighbors.distances[group]
    # A row with more than k lower duplicates is not among the first k + 1: then the last one goes instead.
    itself = indices == np.arange(n)[:, None]
    itself[~itself.any(axis=1), -1] = True
    return Neighbors(indices[~itself].reshape(n, k), distances[~itself].reshape(n, k))


def as_rows(X: NDArray[Any], width: int | None = None) -> NDArray[np.float32]:
    """X as faiss reads it: C-contiguous float32 (n, d); InputError if it is no such matrix."""
    X = as_numpy(X)
    if X.ndim != 2 or (width is not None and X.shape[1] != width):
        raise InputError(f"rows of shape {X.shape}: a matrix (rows, {width or 'width'}) is needed")
    return np.ascontiguousarray(X, dtype=np.float32)


def as_int(value: Any, name: str) -> int:
    """A number such as k as Python's int; InputError if it is none."""
    try:
        return index_of(value)
    except TypeError as error:
        raise InputError(f"{name}={value!r} must be a whole number") from error


def _with_themselves(
    X: NDArray[np.float32], k: int, index: Callable[[NDArray[np.float32]], RoughIndex] | None
) -> Neighbors:
    """k neighbours of distinct rows X (n, d), the first of each being itself."""
    itself, zero = np.arange(len(X))[:, None], np.zeros((len(X), 1))
    if k == 1:
        return Neighbors(itself, zero)
    indices, distances = _distinct(X, k - 1, None, index)
    return Neighbors(np.hstack([itself, indices]), np.hstack([zero, distances]))


def _distinct(
    X: NDArray[np.float32],
    k: int,
    queries: NDArray[np.float32] | None,
    index: Callable[[NDArray[np.float32]], RoughIndex] | None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The search among rows X (n, d) of which no two are equal."""
    rows = SearchRows.of(X if queries is None else queries, X)
    indices, distances = _searched(rows, k, queries is None, index)
    return indices, distances * rows.unit**2


def _searched(
    rows: SearchRows,
    k: int,
    among_themselves: bool,
    index: Callable[[NDArray[np.float32]], RoughIndex] | None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Neighbours and their squared distances in the rows' unit.

    `among_themselves`: the queries are the rows, and none is its own neighbour.
    """
    m, (n, d) = len(rows.queries), rows.base.shape
    spread = Spread.of(rows.base)
    squares = spread.squares if among_themselves else centred_squares(rows.queries, spread.center)
    largest = float(np.sqrt(spread.squares.max()))
    huge = max(largest, float(np.sqrt(squares.max(initial=0)))) * rows.unit
    if not huge <= LARGEST_NORM:
        raise InputError(f"activations of norm {huge:.1e} are too large for distances in float32: scale them")

    asked, result = np.ones(m, dtype=bool), None
    done, *of_far = far_first(
        rows, spread, squares, k, among_themselves, lambda part, k, themselves: _searched(part, k, themselves, index)
    )
    if among_themselves and index is None and may_screen(n, d, k) and _has_room(n, d, k):
        apart = spread.far if len(done) * 2 > len(spread.far) or len(spread.far) <= n * FEW_FAR else done
        result = screened(rows, spread.center, k, PRECISIONS, apart)
        asked[:] = result is None
        asked[apart] = True
    indices, distances = result or (empty_rows((m, k), np.int64), empty_rows((m, k), np.float64))
    asked[done] = False
    indices[done], distances[done] = of_far
    if not asked.any():
        if len(done):
            report(ROWS_SEARCHED, m, m)
        return indices, distances
    if index is None and (d >= PRODUCTS or rows.base.size >= MANY or room() is not None):
        rough: RoughIndex = BlockIndex(rows.base, spread.center)
    else:
        rough = (index or faiss_index)(rows.base - spread.center)
    flat = FlatSearch(rows, spread.center, squares, largest, rough)
    flat.run(np.flatnonzero(asked), among_themselves, indices, distances)
    return indices, distances


def may_screen(n: int, d: int, k: int) -> bool:
    """Whether pairs of n rows of width d are screened for k neighbours; of fewer rows too many would be left."""
    return n >= max(FEWEST, int(DEAR * k)) and d >= NARROWEST


def _has_room(n: int, d: int, k: int) -> bool:
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


def _members(groups: Neighbors, group: NDArray[np.intp], k: int) -> Neighbors:
    """The k nearest rows, given the nearest groups of equal rows and each row's group; ties by row index."""
    rows = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[rows], np.arange(group.max() + 2))
    depth = min(k, int(np.diff(starts).max()))  # no more than k members of a group can be among k neighbours
    indices = np.empty((len(groups.indices), k), dtype=np.int64)
    distances = np.empty((len(groups.indices), k))
    step = max(1, BLOCK // (groups.k * depth))
    for part in (slice(start, start + step) for start in range(0, len(indices), step)):
        slots = starts[groups.indices[part]][:, :, None] + np.arange(depth)
        there = slots < starts[groups.indices[part] + 1][:, :, None]
        candidates = np.where(there, rows[np.minimum(slots, len(rows) - 1)], len(rows)).reshape(len(slots), -1)
        far = np.where(there, groups.distances[part][:, :, None], np.inf).reshape(len(slots), -1)
        order = np.lexsort((candidates, far), axis=1)[:, :k]
        indices[part] = np.take_along_axis(candidates, order, 1)
        distances[part] = np.take_along_axis(far, order, 1)
    return Neighbors(indices, distances)
