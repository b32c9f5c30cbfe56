"""An approximate search: as far as its recall needs, which is measured on a sample, and refused where it is too low."""

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..memory_limit import empty_rows
from ..progress import report
from ..randomness import stream
from ..rows.groups import largest_group
from ..rows.row_parts import row_parts
from .exact import nearest
from .exhaustive import ROWS_SEARCHED
from .graph import Neighbors
from .index_names import APPROXIMATE, IndexName
from .other_indexes import ApproximateIndex, CellIndex
from .some_rows import LARGEST, outside, refuse_too_few, search_some

SPARE = 16  # neighbours searched beyond k, from which rows of a row's own group are taken out
SAMPLE = 256  # rows on which the recall is measured
MOST_CELLS = 0.25  # of the cells, from which an approximate search is refused


def approximate(
    X: NDArray[np.float32],
    k: int,
    queries: NDArray[np.float32] | None,
    group_ids: NDArray[np.intp] | None,
    name: IndexName,
) -> Neighbors:
    n = len(X)
    ids = np.arange(n) if group_ids is None else group_ids
    if queries is None:
        refuse_too_few(X, ids, k)
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
        other = "" if name.name == APPROXIMATE else "'approximate', which looks as far as that needs, or "
        raise InputError(
            f"index={name.name!r} finds {recall:.1%} of the true neighbours of {len(sample)} rows, and "
            f"{name.least_recall:.1%} are asked: use {other}'exact', or take it as it is: "
            f"'{name.name}:recall={_below(recall)}'"
        )
    if len(short):  # the index has too few neighbours of these rows, which are searched exactly
        exact = search_some(X, short, k, group_ids=ids) if queries is None else nearest(X, k, queries[short])
        graph.indices[short], graph.distances[short] = exact.indices, exact.distances
    return Neighbors(graph.indices, graph.distances, recall)


def _cells(X: NDArray[np.float32], queries: NDArray[np.float32], true: NDArray[np.int64], name: IndexName) -> CellIndex:
    """An index of X (n, d) of which as many cells are searched as the true neighbours (m, k) of queries (m, d) need.

    InputError where these are so many that an exact search costs no more.
    """
    index = CellIndex(X)
    within = ~index.beyond(queries, true.shape[1])
    if not within.any():  # then it is asked for nothing
        return index
    recalls = index.recalls(queries[within], true[within])
    goal = name.least_recall + (1 - name.least_recall) / 4  # bytes in place of numbers lose some neighbours more
    needed, most = int(np.searchsorted(recalls, goal)) + 1, max(1, int(MOST_CELLS * len(recalls)))
    if needed > most:
        share = recalls[most - 1]
        raise InputError(
            f"index={name.name!r}: {most} of {len(recalls)} cells hold {share:.1%} of the true neighbours of "
            f"{within.sum()} rows, and {name.least_recall:.1%} are asked; to look further costs more than 'exact': use "
            f"that, or ask for less: '{name.name}:recall={_below((4 * share - 1) / 3)}'"
        )
    index.probe(needed)
    return index


def _found(
    index: ApproximateIndex, k: int, queries: NDArray[np.float32] | None, ids: NDArray[np.intp]
) -> tuple[Neighbors, NDArray[np.intp]]:
    """What an index finds for each query, or each row outside of its own group, and for which it finds too few.

    For those that are beyond its rows it is not asked. Some thousand rows at a time, each a little wider than it needs;
    rows of large groups again, wider.
    """
    asked, among_themselves = index.X if queries is None else queries, queries is None
    graph = Neighbors(empty_rows((len(asked), k), np.int64), empty_rows((len(asked), k), np.float64))
    beyond = index.beyond(asked, k)
    left, most, again = np.flatnonzero(~beyond), index.size, False
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
                report(ROWS_SEARCHED, len(asked) - len(left) + part.stop, len(asked))
            short.append(few)
        left = np.concatenate(short) if short else left[:0]
        if not len(left) or width >= min(most, k + min(largest, LARGEST)):
            return graph, np.sort(np.concatenate([np.flatnonzero(beyond), left]))
        width, again = min(4 * width, most, k + LARGEST), True


def _below(recall: float) -> str:
    """A share of two digits that is not above this one."""
    return f"{max(0.0, np.floor(100 * recall) / 100):g}"


def _recall(result: NDArray[np.int64], true: NDArray[np.int64]) -> float:
    """The shares of the true neighbours (m, k) that were found (m, k), added up over the rows."""
    return sum(float(np.isin(right, row).mean()) for row, right in zip(result, true, strict=True))
