"""The two sides of a contrast pair, as rows: row ID is read as ID+, where label 1 is said, and as ID-, where 0 is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, preview
from .ids import Ids

PLUS, MINUS = "+", "-"
SIDES = (PLUS, MINUS)


def side_ids(ids: Ids) -> tuple[list[str], list[str]]:
    """The ids of both sides (n,) of rows with these ids (n,).

    >>> side_ids(["a", "b"])
    (['a+', 'b+'], ['a-', 'b-'])
    """
    plus, minus = ([f"{name}{side}" for name in ids] for side in SIDES)
    return plus, minus


def are_sides(ids: Ids) -> bool:
    """Whether every id is that of a side, and there are some."""
    return len(ids) > 0 and all(str(name).endswith(SIDES) for name in ids)


def pair_ids(ids: Ids, where: str) -> NDArray[np.object_]:
    """The ids of the rows whose sides these are (2n,), in the order in which they first come.

    InputError, with the first ids, for one that is no side and for a row that lacks one. `where` names them there.
    """
    names = [str(name) for name in ids]
    if others := [name for name in names if not name.endswith(SIDES)]:
        if len(others) == len(names):
            raise InputError(
                f"{where} has no contrast pairs, rows ID+ and ID-, but {preview(others)}: extract both of each row"
            )
        raise InputError(
            f"{where}: beside the sides of contrast pairs, ID+ and ID-, there are other rows: {preview(others)}: "
            "extract those apart"
        )
    rows = list(dict.fromkeys(name[:-1] for name in names))
    if lacking := _lacking(rows, names):
        count = f"{len(lacking)} of {len(rows)} contrast pairs {'lacks' if len(lacking) == 1 else 'lack'} a side"
        raise InputError(f"{where}: {count}: there is no row {preview(lacking)}")
    return np.array(rows, dtype=object)


def refuse_both_sides(ids: Ids, where: str, what: str, remedy: str) -> None:
    """InputError where these are both sides of contrast pairs, and `what` is to count each row once."""
    names = [str(name) for name in ids]
    if are_sides(names) and not _lacking(list(dict.fromkeys(name[:-1] for name in names)), names):
        raise InputError(
            f"{where}: holds both sides of contrast pairs, ID+ and ID-, and {what} counts a row once: give the labels "
            f"of the rows themselves, by ID{remedy}"
        )


def _lacking(rows: Sequence[str], names: Sequence[Any]) -> list[str]:
    have = set(names)
    return [side for pair in zip(*side_ids(rows), strict=True) for side in pair if side not in have]
