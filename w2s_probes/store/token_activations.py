"""Activations of every token of some rows, in memory or left on disk: ragged, one row after another, never padded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..rows.offsets import offsets_of


class Tokens(Protocol):
    """Rows of tokens: row i has tokens offsets[i] up to offsets[i + 1]."""

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where each row begins and ends (rows + 1,)."""
        ...

    @property
    def token_ids(self) -> NDArray[np.int32]:
        """The id of each token (tokens,)."""
        ...

    @property
    def ids(self) -> NDArray[np.object_] | None:
        """The rows' ids (rows,), where they have any."""
        ...

    @property
    def width(self) -> int:
        """Columns of an activation."""
        ...

    def take(self, rows: NDArray[np.intp]) -> "TokenActivations":
        """Some rows, in the order asked, with their activations in memory."""
        ...


@dataclass(frozen=True)
class TokenActivations:
    """Activations of every token of some rows: row i has values[offsets[i] : offsets[i + 1]].

    >>> import numpy as np
    >>> tokens = TokenActivations(np.eye(3, dtype=np.float32), np.array([0, 1, 3]), np.array([7, 8, 9]))
    >>> tokens.take(np.array([1])).token_ids.tolist()
    [8, 9]
    """

    values: NDArray[np.float32]  # (tokens, width)
    offsets: NDArray[np.int64]  # (rows + 1,)
    token_ids: NDArray[np.int32]  # (tokens,)
    ids: NDArray[np.object_] | None = None  # (rows,) where the rows have any

    @property
    def width(self) -> int:
        """Columns of an activation."""
        return int(self.values.shape[1])

    def take(self, rows: NDArray[np.intp]) -> "TokenActivations":
        """Some rows, in the order asked; nothing is copied where they follow one another."""
        lengths = np.diff(self.offsets)[rows]
        ends = offsets_of(lengths)
        names = None if self.ids is None else self.ids[rows]
        if len(rows) and (np.diff(rows) == 1).all():
            part = slice(int(self.offsets[rows[0]]), int(self.offsets[rows[-1] + 1]))
            return TokenActivations(self.values[part], ends, self.token_ids[part], names)
        at = np.repeat(self.offsets[rows] - ends[:-1], lengths) + np.arange(ends[-1])
        return TokenActivations(self.values[at], ends, self.token_ids[at], names)


@dataclass(frozen=True)
class StoredTokens:
    """The tokens of some rows of a store, whose activations stay on disk until rows are taken."""

    offsets: NDArray[np.int64]  # (rows + 1,)
    token_ids: NDArray[np.int32]  # (tokens,)
    ids: NDArray[np.object_]  # (rows,)
    width: int
    read: Callable[[NDArray[np.object_]], TokenActivations]  # rows by id

    def take(self, rows: NDArray[np.intp]) -> TokenActivations:
        """Some rows, in the order asked, read from disk; InputError where their values are not finite."""
        each, place = np.unique(rows, return_inverse=True)
        if len(each) == len(rows):
            return self.read(self.ids[rows])
        return self.read(self.ids[each]).take(place)  # of rows that are asked for twice one is read


@dataclass(frozen=True)
class JoinedTokens:
    """Rows of several stores as one: row i is row places[i, 1] of part places[i, 0]."""

    parts: Sequence[Tokens]
    places: NDArray[np.intp]  # (rows, 2)

    @property
    def width(self) -> int:
        """Columns of an activation."""
        return self.parts[0].width

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where each row begins and ends (rows + 1,)."""
        lengths = [np.diff(part.offsets) for part in self.parts]
        return offsets_of([lengths[part][row] for part, row in self.places])

    @cached_property
    def ids(self) -> NDArray[np.object_] | None:
        """The rows' ids (rows,), where all parts have them."""
        names = [part.ids for part in self.parts]
        if any(one is None for one in names):
            return None
        return np.array([names[part][row] for part, row in self.places], dtype=object)

    @cached_property
    def token_ids(self) -> NDArray[np.int32]:
        """The id of each token (tokens,)."""
        parts = [(part.offsets, part.token_ids) for part in self.parts]
        rows = [parts[part][1][parts[part][0][row] : parts[part][0][row + 1]] for part, row in self.places]
        return np.concatenate(rows).astype(np.int32)

    def take(self, rows: NDArray[np.intp]) -> TokenActivations:
        """Some rows, in the order asked, with their activations in memory."""
        places = self.places[rows]
        if len(self.parts) == 1:
            return self.parts[0].take(places[:, 1])
        lengths = np.diff(self.offsets)[rows]
        ends = offsets_of(lengths)
        values, token_ids = np.empty((int(ends[-1]), self.width), np.float32), np.empty(int(ends[-1]), np.int32)
        for number, part in enumerate(self.parts):
            here = np.flatnonzero(places[:, 0] == number)
            if len(here):
                block = part.take(places[here, 1])
                at = np.repeat(ends[here] - block.offsets[:-1], lengths[here]) + np.arange(block.offsets[-1])
                values[at], token_ids[at] = block.values, block.token_ids
        return TokenActivations(values, ends, token_ids, None if self.ids is None else self.ids[rows])
