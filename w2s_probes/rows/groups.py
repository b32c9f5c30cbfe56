"""Groups: the user's, read from a table, and the integer codes in which exact duplicates count as related, too."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..tensors import as_numpy
from .duplicates import equal_rows

GROUP = "group"  # the column: rows of one group are related, a row without one stands alone


def groups_of(table: pd.DataFrame) -> NDArray[np.object_] | None:
    """The user's groups of a table's rows (n,), None or NaN for a row without one; None where no two rows share one."""
    if GROUP not in table or not table[GROUP].dropna().duplicated().any():
        return None
    return table[GROUP].to_numpy(dtype=object)


def group_numbers(groups: ArrayLike | None, rows: int) -> NDArray[np.intp] | None:
    """The user's groups (n,) as numbers from 0, or None; a row whose group is None or NaN gets a number of its own.

    InputError where their number is not that of the rows.
    """
    if groups is None:
        return None
    array = np.asarray(as_numpy(groups), dtype=object)
    if array.shape != (rows,):
        raise InputError(f"groups have shape {array.shape} but there are {rows} rows: one group a row is needed")
    numbers = np.array(pd.factorize(array)[0], dtype=np.intp)
    alone = np.flatnonzero(numbers < 0)
    numbers[alone] = numbers.max(initial=-1) + 1 + np.arange(len(alone))
    return numbers


def group_ids(X: NDArray[np.float32], groups: ArrayLike | None = None) -> NDArray[np.intp]:
    """A code for each row of X (n, d) that related rows share: equal rows, rows of one group, and those linked by them.

    What was learned from one of them is known about the others, so none may judge another. `groups` (n,) are the
    user's; a row whose group is None or NaN has none.
    """
    equal, numbers = equal_rows(X), group_numbers(groups, len(X))
    return equal if numbers is None else linked(equal, numbers)


def linked(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.intp]:
    """The finest codes (n,) that rows share wherever they share one in `first` (n,) or in `second` (n,)."""
    from scipy.sparse import coo_array  # a quarter of a second that commands which only refuse a file need not wait
    from scipy.sparse.csgraph import connected_components

    shift = int(first.max()) + 1
    nodes = shift + int(second.max()) + 1
    links = coo_array((np.ones(len(first), dtype=np.int8), (first, second + shift)), shape=(nodes, nodes))
    return np.asarray(connected_components(links, directed=False)[1][first], dtype=np.intp)


def largest_group(ids: NDArray[np.intp]) -> int:
    """The number of rows of the largest group in codes (n,)."""
    return int(np.bincount(ids).max())


def most_neighbors(ids: NDArray[np.intp] | None, rows: int) -> int:
    """The largest k that each of n `rows` can have: n less the largest group of codes (n,), or less 1 without codes.

    >>> most_neighbors(np.array([0, 0, 0, 1, 2]), 5)
    2
    """
    return rows - (1 if ids is None else largest_group(ids))
