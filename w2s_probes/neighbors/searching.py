"""The one search that every probe makes: exact or not, with rows of one group never neighbours of each other."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..memory_limit import empty_rows
from ..progress import report
from ..randomness import stream
from ..rows.groups import largest_group
from ..rows.row_parts import row_parts
from .exact import as_int, as_rows, nearest
from .exhaustive import ROWS_SEARCHED, RoughIndex
from .graph import Neighbors
from .index_names import APPROXIMATE, EXACT, IndexName
from .other_indexes import ApproximateIndex, CellIndex, on_device

SPARE = 16  # neighbours searched beyond k, from which rows of a row's own group are taken out
LARGEST = 1024  # of a group that is searched with the others; each larger one is searched by itself
FEW = 2048  # rows, below which "approximate" is exact, such as in the components that TopoCC keeps: cells gain nothing
SAMPLE = 256  # rows on which the recall of an approximate index is measured
MOST_CELLS = 0.25  # of the cells, from which an approximate search is refused


def search(
    X: NDArray[np.float32],
    k: int,
    queries: NDArray[np.float32] | None = None,
    *,
    group_ids: NDArray[np.intp] | None = None,
    index: str = EXACT,
    inner: bool = False,
) -> Neighbors:
    """The k nearest rows of X (n, d) to each query (m, d), or to each row of X itself, which is then left out.

    Without queries, rows that share a code in `group_ids` (n,) are not each other's neighbours either: groups, and
    duplicates (`rows.groups.group_ids`). `index` is "exact", the name of a torch device such as "cuda" (exact, the
    same result), "approximate" (cells of which as many are searched as the recall needs; below FEW rows exactly) or a
    faiss factory string: then `recall` says which share of the true neighbours of 256 rows was found. InputError where
    that is below .98, or what a name such as "approximate:recall=0.9" asks; if there are too few rows; and for no
    such index. `inner`: X is what a probe has kept of rows that an index was named for, and below FEW rows is then
    searched exactly whatever its name: one with its cells asks for more rows than may be left.
    """
    X, k = as_rows(X), as_int(k, "k")
    queries = None if queries is None else as_rows(queries, X.shape[1])
    name = IndexName.parse(index)
    few = not name.is_exact and len(X) < FEW and (name.name == APPROXIMATE or inner)
    if not (name.is_exact or few):
        return _approximate(X, k, queries, group_ids, name)
    rough = None if few or index == EXACT else on_device(index)
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
    X: NDArray[np.float32],
    k: int,
    queries: NDArray[np.float32] | None,
    group_ids: NDArray[np.intp] | None,
    name: IndexName,
) -> Neighbors:
    n = len(X)
    ids = np.arange(n) if group_ids is None else group_ids
    if queries is None:
        _refuse_too_few(X, ids, k)
    elif not 1 <= k <= n:
        raise InputError(f"k={k} needs at least {max(k, 1)} rows, got {n}: lower k or add data")
    sample = (
        np.arange(min(SAMPLE, len(queries))) if queries is not None else stream(0, "recall").permutation(n)[:SAMPLE]
    )
    if queries is None:
        true = search_some(X, sample, k, group_ids=ids).indices
    else:
        true = nearest(X, k, queries[sample]).indices
    asked = X if queries is None else queries
    index = ApproximateIndex(X, name.name) if name.name != APPROXIMATE else _cells(X, asked[sample], true, name)
    graph, short = _found(index, k, queries, ids)
    searched = ~np.isin(sample, short)
    recall = (_recall(graph.indices[sample[searched]], true[searched]) + float((~searched).sum())) / len(sample)
    if recall < name.least_recall:
        raise InputError(
            f"index={name.name!r} finds {recall:.1%} of the true neighbours of {len(sample)} rows, and "
            f"{name.least_recall:.1%} are asked: use 'approximate', which looks as far as that needs, or 'exact', or "
            f"take it as it is: '{name.name}:recall={_below(recall)}'"
        )
    if len(short):  # the index found too few: these rows are searched exactly
        exact = search_some(X, short, k, group_ids=ids) if queries is None else nearest(X, k, queries[short])
        graph.indices[short], graph.distances[short] = exact.indices, exact.distances
    return Neighbors(graph.indices, graph.distances, recall)


def _cells(X: NDArray[np.float32], queries: NDArray[np.float32], true: NDArray[np.int64], name: IndexName) -> CellIndex:
    """An index of X (n, d) of which as many cells are searched as the true neighbours (m, k) of queries (m, d) need.

    InputError where these are so many that an exact search costs no more.
    """
    index = CellIndex(X)
    recalls = index.recalls(queries, true)
    goal = name.least_recall + (1 - name.least_recall) / 4  # bytes in place of numbers lose some neighbours more
    needed, most = int(np.searchsorted(recalls, goal)) + 1, max(1, int(MOST_CELLS * len(recalls)))
    if needed > most:
        within = recalls[most - 1]
        raise InputError(
            f"index={name.name!r}: {most} of {len(recalls)} cells hold {within:.1%} of the true neighbours of "
            f"{len(true)} rows, and {name.least_recall:.1%} are asked; to look further costs more than 'exact': use "
            f"that, or ask for less: '{name.name}:recall={_below((4 * within - 1) / 3)}'"
        )
    index.probe(needed)
    return index


def _found(
    index: ApproximateIndex, k: int, queries: NDArray[np.float32] | None, ids: NDArray[np.intp]
) -> tuple[Neighbors, NDArray[np.intp]]:
    """What an index finds for each query, or each row outside of its own group, and for which it finds too few.

    Some thousand rows at a time, each a little wider than it needs; rows of large groups again, wider.
    """
    asked, among_themselves = index.X if queries is None else queries, queries is None
    graph = Neighbors(empty_rows((len(asked), k), np.int64), empty_rows((len(asked), k), np.float64))
    left, most, again = np.arange(len(asked)), len(index.X), False
    largest = largest_group(ids) if among_themselves else 0
    width = min(most, k + SPARE)
    while True:
        short = []
        for part in row_parts(len(left), max(width, asked.shape[1])):
            rows = left[part]
            found = Neighbors(*index.search(width, asked[rows]))
            if among_themselves:
                found, few = outside(found, rows, ids, k)
            else:
                found = Neighbors(found.indices[:, :k], found.distances[:, :k])
                few = rows[(found.indices < 0).any(axis=1)]
            graph.indices[rows], graph.distances[rows] = found.indices, found.distances
            if not again:
                report(ROWS_SEARCHED, part.stop, len(asked))
            short.append(few)
        left = np.concatenate(short) if short else left[:0]
        if not len(left) or width >= min(most, k + min(largest, LARGEST)):
            return graph, left
        width, again = min(4 * width, most, k + LARGEST), True


def _below(recall: float) -> str:
    """A share of two digits that is not above this one."""
    return f"{max(0.0, np.floor(100 * recall) / 100):g}"


def _recall(result: NDArray[np.int64], true: NDArray[np.int64]) -> float:
    """The shares of the true neighbours (m, k) that were found (m, k), added up over the rows."""
    return sum(float(np.isin(right, row).mean()) for row, right in zip(result, true, strict=True))
