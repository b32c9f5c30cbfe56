"""The one search that every probe makes: exact or not, with rows of one group never neighbours of each other."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..randomness import stream
from ..rows.groups import largest_group
from .exact import as_int, as_rows, nearest
from .exhaustive import RoughIndex
from .graph import Neighbors
from .other_indexes import ApproximateIndex, on_device

EXACT = "exact"
SPARE = 16  # neighbours searched beyond k, from which rows of a row's own group are taken out
LARGEST = 1024  # of a group that is searched with the others; each larger one is searched by itself
SAMPLE = 256  # rows on which the recall of an approximate index is measured


def search(
    X: NDArray[np.float32],
    k: int,
    queries: NDArray[np.float32] | None = None,
    *,
    group_ids: NDArray[np.intp] | None = None,
    index: str = EXACT,
) -> Neighbors:
    """The k nearest rows of X (n, d) to each query (m, d), or to each row of X itself, which is then left out.

    Without queries, rows that share a code in `group_ids` (n,) are not each other's neighbours either: groups, and
    duplicates (`rows.groups.group_ids`). `index` is "exact", the name of a torch device such as "cuda" (exact, the
    same result), or a faiss factory string: then `recall` says which share of the true neighbours of 256 rows was
    found. InputError if there are too few rows, or no such index.
    """
    X, k = as_rows(X), as_int(k, "k")
    queries = None if queries is None else as_rows(queries, X.shape[1])
    if index != EXACT and not is_device(index):
        return _approximate(X, k, queries, group_ids, index)
    rough = None if index == EXACT else on_device(index)
    if queries is not None or group_ids is None:
        return nearest(X, k, queries, index=rough)
    _refuse_too_few(X, group_ids, k)
    width = k + min(largest_group(group_ids) - 1, SPARE)
    wider = nearest(X, min(width, len(X) - 1), index=rough)
    graph, short = outside(wider, np.arange(len(X)), group_ids, k)
    if len(short):
        rest = search_some(X, short, k, group_ids=group_ids, rough=rough)
        graph.indices[short], graph.distances[short] = rest.indices, rest.distances
    return graph


def is_device(index: str) -> bool:
    """Whether an index is the name of a torch device."""
    return index.partition(":")[0] in ("cpu", "cuda", "mps")


def search_some(
    X: NDArray[np.float32],
    rows: NDArray[np.intp],
    k: int,
    *,
    among: NDArray[np.intp] | None = None,
    group_ids: NDArray[np.intp] | None = None,
    rough: Callable[[NDArray[np.float32]], RoughIndex] | None = None,
) -> Neighbors:
    """Exact neighbours (r, k) of some rows (r,) of X (n, d), themselves and their groups left out.

    Neighbours come from the rows `among`, or from all. InputError if these are too few.
    """
    base = np.arange(len(X)) if among is None else among
    group = np.arange(len(X)) if group_ids is None else group_ids
    sizes = np.bincount(group[base], minlength=int(group.max()) + 1)[group[rows]]
    if len(base) - sizes.max() < k:
        raise InputError(
            f"k={k}, but of the {len(base)} rows that may be neighbours only {len(base) - sizes.max()} are outside of "
            "a row's own group: lower k (or k_zeta), or add data"
        )
    indices, distances = np.empty((len(rows), k), dtype=np.int64), np.empty((len(rows), k))
    modest = sizes <= LARGEST
    large = [group[rows] == number for number in np.unique(group[rows[~modest]])]
    for part in (np.flatnonzero(chosen) for chosen in (modest, *large)):
        if not len(part):
            continue
        one_group = sizes[part[0]] > LARGEST  # then all of part are of one group, whose rows are not searched at all
        inside = base[group[base] != group[rows[part[0]]]] if one_group else base
        width = k if one_group else min(len(inside), k + int(sizes[part].max()))
        wider = nearest(X if among is None and not one_group else X[inside], width, X[rows[part]], index=rough)
        result, _ = outside(Neighbors(inside[wider.indices], wider.distances), rows[part], group, k)
        indices[part], distances[part] = result.indices, result.distances
    return Neighbors(indices, distances)


def outside(
    candidates: Neighbors, rows: NDArray[np.intp], group_ids: NDArray[np.intp], k: int
) -> tuple[Neighbors, NDArray[np.intp]]:
    """The first k of the candidates (r, w) of some rows (r,) outside of each row's group, and the rows with fewer."""
    excluded = (group_ids[candidates.indices] == group_ids[rows][:, None]) | (candidates.indices < 0)
    return first_of(candidates, ~excluded, k), rows[(~excluded).sum(axis=1) < k]


def first_of(candidates: Neighbors, wanted: NDArray[np.bool_], k: int) -> Neighbors:
    """The first k neighbours (n, k) that are wanted (n, w); where there are fewer, unwanted ones follow."""
    order = np.argsort(~wanted, axis=1, kind="stable")[:, :k]
    indices = np.take_along_axis(candidates.indices, order, 1)
    return Neighbors(indices, np.take_along_axis(candidates.distances, order, 1))


def _refuse_too_few(X: NDArray[np.float32], group_ids: NDArray[np.intp], k: int) -> None:
    largest = largest_group(group_ids)
    if k < 1 or len(X) - largest < k:
        raise InputError(
            f"k={k} needs at least {max(k, 1) + largest} rows, got {len(X)}: lower k or add data"
            + (f" (a row's own group, of up to {largest} equal or related rows, does not count)" if largest > 1 else "")
        )


def _approximate(
    X: NDArray[np.float32], k: int, queries: NDArray[np.float32] | None, group_ids: NDArray[np.intp] | None, index: str
) -> Neighbors:
    n = len(X)
    ids = np.arange(n) if group_ids is None else group_ids
    if queries is None:
        _refuse_too_few(X, ids, k)
    elif not 1 <= k <= n:
        raise InputError(f"k={k} needs at least {max(k, 1)} rows, got {n}: lower k or add data")
    approximate = ApproximateIndex(X, index)
    if queries is None:
        width = min(n, k + min(largest_group(ids), LARGEST))
        result, short = outside(Neighbors(*approximate.search(width, X)), np.arange(n), ids, k)
        sample = stream(0, "recall").permutation(n)[:SAMPLE]
        recall = _recall(result.indices[sample], search_some(X, sample, k, group_ids=ids).indices)
        exact = search_some(X, short, k, group_ids=ids) if len(short) else None
    else:
        result = Neighbors(*approximate.search(k, queries))
        recall = _recall(result.indices[:SAMPLE], nearest(X, k, queries[:SAMPLE]).indices)
        short = np.flatnonzero((result.indices < 0).any(axis=1))
        exact = nearest(X, k, queries[short]) if len(short) else None
    if exact is not None:  # the index found too few: these rows are searched exactly
        result.indices[short], result.distances[short] = exact.indices, exact.distances
    return Neighbors(result.indices, result.distances, recall)


def _recall(result: NDArray[np.int64], true: NDArray[np.int64]) -> float:
    """The share of the true neighbours (m, k) that was found (m, k)."""
    return float(np.mean([np.isin(right, row).mean() for row, right in zip(result, true, strict=True)]))
