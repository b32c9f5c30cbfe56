"""The one search that every probe makes: exact or not, with rows of one group never neighbours of each other."""

import numpy as np
from numpy.typing import NDArray

from ..rows.groups import largest_group
from .approximate import SPARE, approximate
from .exact import as_int, as_rows, nearest
from .graph import Neighbors
from .index_names import APPROXIMATE, EXACT, IndexName
from .other_indexes import on_device
from .some_rows import outside, refuse_too_few, search_some

FEW = 2048  # rows, below which "approximate" is exact, such as in the components that TopoCC keeps: cells gain nothing


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
        return approximate(X, k, queries, group_ids, name)
    rough = None if few or index == EXACT else on_device(index)
    if queries is not None or group_ids is None:
        return nearest(X, k, queries, index=rough)
    refuse_too_few(X, group_ids, k)
    width = k + min(largest_group(group_ids) - 1, SPARE)
    wider = nearest(X, min(width, len(X) - 1), index=rough)
    graph, short = outside(wider, np.arange(len(X)), group_ids, k)
    if len(short):
        rest = search_some(X, short, k, group_ids=group_ids, rough=rough)
        graph.indices[short], graph.distances[short] = rest.indices, rest.distances
    return graph
