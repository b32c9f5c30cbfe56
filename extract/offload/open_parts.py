"""A part of a store while its batches pass through the blocks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_probes.checkpoints.batches import batches
from w2s_probes.checkpoints.tokens import Tokens
from w2s_probes.rows.offsets import offsets_of
from w2s_probes.store.dtypes import WORDS, StoredDtype

from ..forward.engine import refuse_non_finite
from ..forward.part_reading import ReadPart, TokenizedPart
from ..forward.switches import Mode


class OpenPart:
    """The words of a part's rows, and of its checked rows alone, as far as they have been read.

    There are `a_row` vectors of each row, or, with None, one of each token.
    """

    def __init__(
        self, part: TokenizedPart, layers: Sequence[int], width: int, dtype: StoredDtype, *, a_row: int | None
    ) -> None:
        self.part, self._dtype, self.batches_left = part, dtype, 0
        self.lengths = [len(row) for row in part.tokens]
        self._words = _Words(self.lengths, layers, width, dtype, a_row=a_row)
        self._alone = {row: _Words([self.lengths[row]], layers, width, dtype, a_row=a_row) for row in part.checked}

    @property
    def size(self) -> int:
        """Bytes of the words."""
        return sum(words.size for words in (self._words, *self._alone.values()))

    def batches(self, budget: int, mode: Mode) -> Iterator["Batch"]:
        """The part's rows in the batches of the ordinary engine, then each checked row by itself."""
        dealt = [Batch(self, rows) for rows in batches(self.lengths, budget, mode=mode)]
        dealt += [Batch(self, [row], alone=True) for row in self.part.checked]
        self.batches_left = len(dealt)
        yield from dealt

    def place(self, batch: "Batch", layer: int, words: NDArray[Any], finite: NDArray[np.bool_]) -> None:
        """Put a batch's words (vectors, width) of a layer to their rows; InputError for numbers that are none."""
        rows, kept = ([0], self._alone[batch.rows[0]]) if batch.alone else (batch.rows, self._words)
        at = np.concatenate([np.arange(kept.places[row], kept.places[row + 1]) for row in rows])
        if not finite.all():
            row = rows[int(np.searchsorted(np.cumsum(np.diff(kept.places)[rows]), finite.argmin(), side="right"))]
            refuse_non_finite(layer, self.part.names[batch.rows[0] if batch.alone else row], self._dtype)
        assert words.dtype == WORDS[self._dtype]
        kept.layers[layer][at] = words

    def read_part(self) -> ReadPart:
        """The finished part."""
        alone = {self.part.names[row]: words.layers for row, words in self._alone.items()}
        return ReadPart(self.part, self._words.layers, _Alone(alone))


@dataclass(eq=False)
class Batch:
    """Rows of a part that pass together, or one row that is read again alone."""

    of: OpenPart
    rows: list[int]
    alone: bool = False

    @property
    def tokens(self) -> list[Tokens]:
        """The token ids of each row."""
        return [self.of.part.tokens[row] for row in self.rows]

    @property
    def at(self) -> NDArray[np.int64] | None:
        """The tokens (rows, marks) at marked positions."""
        return None if self.of.part.at is None else self.of.part.at[self.rows]

    @property
    def length(self) -> int:
        """Tokens of all rows, without padding."""
        return sum(self.of.lengths[row] for row in self.rows)


class _Words:
    """Words of rows at each layer, and the place of each row's first."""

    def __init__(
        self, lengths: Sequence[int], layers: Sequence[int], width: int, dtype: StoredDtype, *, a_row: int | None
    ) -> None:
        self.places = offsets_of(lengths if a_row is None else np.full(len(lengths), a_row))
        self.layers = {layer: np.empty((int(self.places[-1]), width), WORDS[dtype]) for layer in layers}
        self.size = sum(words.nbytes for words in self.layers.values())


@dataclass(frozen=True)
class _Alone:
    """Gives the words of rows that were read alone, one at a time."""

    rows: Mapping[str, dict[int, NDArray[Any]]]

    def read(
        self, tokens: Sequence[Tokens], names: Sequence[str], *, at: NDArray[np.int64] | None = None
    ) -> dict[int, NDArray[Any]]:
        """The words of the one row of this name."""
        (name,) = names
        return self.rows[name]
