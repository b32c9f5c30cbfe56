"""The exact search among distinct rows: far rows first, a screen where that pays, the rest exhaustively."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..memory_limit import empty_rows, room
from ..progress import report
from .exhaustive import ROWS_SEARCHED, FlatSearch, RoughIndex, faiss_index
from .far_first import far_first
from .far_rows import Spread, centred_squares
from .final_order import SearchRows
from .row_blocks import BlockIndex
from .screened_search import PRECISIONS, has_room, may_screen, screened

PRODUCTS = 128  # width from which NumPy's products have cost less than faiss's search: 1/2 to 1/3 of it at 1,024
LARGEST_NORM = 1e18  # the square of twice as much is still a float32
FEW_FAR = 1 / 8  # of the rows: so many far ones are left out of a screen, which would keep all of their pairs
MANY = 1 << 26  # numbers of which an exhaustive search makes no copies: a quarter of a gigabyte


def search_distinct(
    rows: SearchRows,
    k: int,
    among_themselves: bool,
    index: Callable[[NDArray[np.float32]], RoughIndex] | None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Neighbours (m, k) and their squared distances in the rows' unit; no two of the rows are equal.

    `among_themselves`: the queries are the rows, and none is its own neighbour. `index` as in `nearest`. InputError
    where squares of the rows are too large for float32.
    """
    m, (n, d) = len(rows.queries), rows.base.shape
    spread = Spread.of(rows.base)
    squares = spread.squares if among_themselves else centred_squares(rows.queries, spread.center)
    _refuse_huge(rows, spread, squares)

    def part_searched(part: SearchRows, k: int, themselves: bool) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        return search_distinct(part, k, themselves, index)

    done, *of_far = far_first(rows, spread, squares, k, among_themselves, part_searched)
    left, result = np.arange(m), None
    if among_themselves and index is None and may_screen(n, d, k) and has_room(n, d, k):
        apart = spread.far if len(done) * 2 > len(spread.far) or len(spread.far) <= n * FEW_FAR else done
        result = screened(rows, spread.center, k, PRECISIONS, apart)
        left = left if result is None else apart
    indices, distances = result or (empty_rows((m, k), np.int64), empty_rows((m, k), np.float64))
    indices[done], distances[done] = of_far
    left = np.setdiff1d(left, done)
    if len(left):
        largest = float(np.sqrt(spread.squares.max()))
        flat = FlatSearch(rows, spread.center, squares, largest, _rough_index(rows, spread.center, index))
        flat.run(left, among_themselves, indices, distances)
    elif len(done):
        report(ROWS_SEARCHED, m, m)
    return indices, distances


def _refuse_huge(rows: SearchRows, spread: Spread, squares: NDArray[np.float64]) -> None:
    largest = float(np.sqrt(max(spread.squares.max(), squares.max(initial=0)))) * rows.unit
    if not largest <= LARGEST_NORM:
        raise InputError(f"activations of norm {largest:.1e} are too large for distances in float32: scale them")


def _rough_index(
    rows: SearchRows, center: NDArray[np.float32], index: Callable[[NDArray[np.float32]], RoughIndex] | None
) -> RoughIndex:
    """The index that is asked for, or the one that costs least time and has room."""
    if index is None and (rows.base.shape[1] >= PRODUCTS or rows.base.size >= MANY or room() is not None):
        return BlockIndex(rows.base, center)
    return (index or faiss_index)(rows.base - center)
