"""Parts of a store between their tokens and their vectors, as every engine takes and gives them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from w2s_probes.checkpoints.tokens import Tokens


class ReadsRows(Protocol):
    """Whatever gives the words of rows by their tokens and names."""

    def read(
        self, tokens: Sequence[Tokens], names: Sequence[str], *, at: NDArray[np.int64] | None = None
    ) -> dict[int, NDArray[Any]]:
        """For each layer the words of the rows, of marked positions at these tokens (rows, marks)."""


@dataclass(frozen=True)
class TokenizedPart:
    """A part of a store before it is read."""

    number: int
    names: list[str]  # ids of the rows
    tokens: list[Tokens]
    cut: int  # texts that lost their end
    checked: Sequence[int] = ()  # rows that are read once more, alone
    at: NDArray[np.int64] | None = None  # (rows, marks) the tokens at marked positions


@dataclass(frozen=True)
class ReadPart:
    """A part's words at each layer, and who tells those of its checked rows alone."""

    part: TokenizedPart
    layers: Mapping[int, NDArray[Any]]
    alone: ReadsRows
