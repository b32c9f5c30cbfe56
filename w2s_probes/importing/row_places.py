"""Where the vectors of rows stand in a file: one a row, or, by offsets, one a token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .layouts import ALL

OF_TOKENS = ("last", "first", ALL)  # positions of a file that holds a vector a token


@dataclass(frozen=True)
class RowPlaces:
    """Where the rows' vectors stand in a file, and the tokens that they are of, where it says so."""

    places: NDArray[np.int64]  # (rows,); of every token (tokens,), one row's after another's
    vectors: int  # of each layer: rows, or tokens
    counts: NDArray[np.int64] | None = None  # tokens of each row
    tokens: list[NDArray[np.int64]] | None = None

    @classmethod
    def by_offsets(
        cls,
        offsets: NDArray[np.int64],
        order: NDArray[np.int64],
        position: str,
        where: str,
        token_ids: NDArray[np.int64] | None = None,
    ) -> Self:
        """The places of rows whose tokens are offsets[i] up to offsets[i + 1], row i being `order[i]` of the file.

        InputError for another position, and for offsets that are not those of so many rows.
        """
        if position not in OF_TOKENS:
            raise InputError(f"{where}: holds a vector a token: say --position last, first or all")
        counts = np.diff(offsets)
        if len(offsets) != len(order) + 1 or offsets[0] != 0 or (counts < 1).any():
            raise InputError(
                f"{where}: offsets of {len(offsets) - 1} rows, the shortest of {counts.min() if len(counts) else 0} "
                f"tokens; there are {len(order)} rows, offsets begin with 0, and each row must have a token"
            )
        tokens = None
        if token_ids is not None:
            if len(token_ids) != offsets[-1]:
                raise InputError(
                    f"{where}: {len(token_ids)} token ids, and offsets to {offsets[-1]}: the numbers must agree"
                )
            tokens = [token_ids[offsets[row] : offsets[row + 1]] for row in order]
        if position == ALL:
            places = np.concatenate([np.arange(offsets[row], offsets[row + 1]) for row in order])
        else:
            places = (offsets[1:] - 1 if position == "last" else offsets[:-1])[order]
        return cls(places, int(offsets[-1]), counts[order], tokens)


def runs(places: NDArray[np.int64]) -> Sequence[slice]:
    """The places as slices of what stands one after another.

    >>> runs(np.array([4, 5, 6, 1, 9]))
    [slice(4, 7, None), slice(1, 2, None), slice(9, 10, None)]
    """
    if not len(places):
        return []
    begins = np.concatenate([[0], np.flatnonzero(np.diff(places) != 1) + 1])
    ends = np.concatenate([begins[1:], [len(places)]])
    return [slice(int(places[a]), int(places[b - 1]) + 1) for a, b in zip(begins, ends, strict=True)]
