"""Exact Euclidean nearest neighbours: a row is never its own neighbour, and ties go to the lower row index."""

from collections.abc import Callable
from operator import index as index_of
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..rows.duplicates import equal_rows
from ..tensors import as_numpy
from .distinct import search_distinct
from .exhaustive import RoughIndex
from .final_order import SearchRows, taken
from .graph import Neighbors

BLOCK = 1 << 24  # numbers held at once


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
    indices, distances = search_distinct(rows, k, queries is None, index)
    return indices, distances * rows.unit**2


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
