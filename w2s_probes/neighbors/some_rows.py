"""Exact neighbours of some rows, outside of each row's own group."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..rows.groups import largest_group
from .exact import nearest
from .exhaustive import RoughIndex
from .graph import Neighbors

LARGEST = 1024  # of a group that is searched with the others; each larger one is searched by itself


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


def refuse_too_few(X: NDArray[np.float32], group_ids: NDArray[np.intp], k: int) -> None:
    largest = largest_group(group_ids)
    if k < 1 or len(X) - largest < k:
        raise InputError(
            f"k={k} needs at least {max(k, 1) + largest} rows, got {len(X)}: lower k or add data"
            + (f" (a row's own group, of up to {largest} equal or related rows, does not count)" if largest > 1 else "")
        )
