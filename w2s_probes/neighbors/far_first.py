"""Far rows are searched among each other first, about a center of their own, if that is proven to miss no neighbour."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..progress import heard, prefixed, silent
from .exhaustive import SPARE
from .far_rows import Spread, lower_norms
from .final_order import LEAST, SearchRows

TRIED = 128  # far rows that show whether the others are worth searching so


class Searched(Protocol):
    """Any search for neighbours (m, k) and their squared distances in the unit of the rows."""

    def __call__(
        self, rows: SearchRows, k: int, among_themselves: bool, /
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...


def far_first(
    rows: SearchRows,
    spread: Spread,
    squares: NDArray[np.float64],
    k: int,
    among_themselves: bool,
    search: Searched,
) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.float64]]:
    """Queries (q,) whose neighbours are all far rows, those (q, k) and their squared distances.

    `squares` (m,) are of the queries without the center. By the triangle inequality no row within r of the center is
    nearer to a query than its norm less r: whose k-th far row is nearer than that has found its neighbours.
    """
    width, far, radius = rows.base.shape[1], spread.far, spread.without(spread.far)
    reach = lower_norms(squares, width) - radius
    asked = far if among_themselves else np.flatnonzero(reach > radius)
    nothing = asked[:0], np.empty((0, k), dtype=np.int64), np.empty((0, k))
    if not len(asked) or len(far) < k + among_themselves + SPARE:
        return nothing

    def found(distances: NDArray[np.float64], queries: NDArray[np.intp]) -> NDArray[np.bool_]:
        farthest = np.sqrt(distances[:, -1] * (1 + 8 * rows.blur) + 2 * width * LEAST)
        return np.asarray(farthest < reach[queries])

    if len(asked) > TRIED:
        tried = np.sort(np.random.default_rng(0).permutation(asked)[:TRIED])
        with heard(silent):
            _, distances = search(rows.part(tried, far), k + among_themselves, False)
        if found(distances, tried).mean() < 0.5:
            return nothing
    with prefixed("far rows: "):
        indices, distances = search(rows.part(None if among_themselves else asked, far), k, among_themselves)
    sure = found(distances, asked)
    return asked[sure], far[indices[sure]], distances[sure]
