"""Rows of tokens as attention probes read them: a few at a time, by a budget of tokens, and their means and moments."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError
from ..memory_limit import SHARE, empty_rows, has_room
from ..store.token_activations import TokenActivations, Tokens

PASS_TOKENS = 16_384  # that go through a matrix product at once ...
PASS_NUMBERS = 1 << 24  # ... or as many as hold so many numbers, 64 MB
MOST_TOKENS = 131_072  # of one row, which is never cut: 2 GB at a width of 4,096
KEPT_BYTES = 1 << 30  # of activations that a training keeps in memory; more is read part by part, in each epoch
FLOAT = 4  # bytes


def checked_tokens(tokens: Any, skip_first: bool, width: int | None = None, columns: int = 0) -> Tokens:
    """The rows themselves; InputError for what is no tokens, another width, an empty row, or one beyond the budget.

    `columns` is how many numbers are computed of each token beside its activation: under a memory limit a row has to
    have room for both.
    """
    if not all(hasattr(tokens, name) for name in ("offsets", "take", "width")):
        raise InputError(
            f"an attention probe reads tokens, got {type(tokens).__name__}: store.tokens(layer) of a store that was "
            "extracted with --position all"
        )
    rows: Tokens = tokens
    if width is not None and rows.width != width:
        raise InputError(f"the probe was fitted on {width} columns, these tokens have {rows.width}: give its own layer")
    lengths = np.diff(rows.offsets)
    if not len(lengths):
        raise InputError("there are no rows of tokens")
    short = lengths - skip_first < 1
    if short.any():
        left = " after its first, which skip_first leaves out" if skip_first else ""
        raise InputError(f"{_named(rows, int(short.argmax()))} has no token{left}: leave the row out")
    if (lengths > MOST_TOKENS).any():
        row = int(lengths.argmax())
        raise InputError(
            f"{_named(rows, row)} has {lengths[row]:,} tokens, a row may have {MOST_TOKENS:,}: extract with a smaller "
            "--max-length"
        )
    _refuse_beyond_limit(rows, lengths, columns)
    return rows


def _refuse_beyond_limit(rows: Tokens, lengths: NDArray[np.int64], columns: int) -> None:
    """InputError naming the longest row where it has no room in memory: it is read whole."""
    size = int(lengths.max()) * (rows.width + columns) * FLOAT
    if not has_room(size):
        row = int(lengths.argmax())
        raise InputError(
            f"{_named(rows, row)} has {lengths[row]:,} tokens, {size / 1e6:,.0f} MB that are read at once: give at "
            f"least --max-memory {math.ceil(size * SHARE / 1e6)}MB, or extract with a smaller --max-length"
        )


def _named(tokens: Tokens, row: int) -> str:
    return f"row {row}" if tokens.ids is None else f"row {str(tokens.ids[row])!r}"


def parts(lengths: NDArray[np.int64], budget: int) -> Iterator[slice]:
    """Rows that follow one another, of `budget` tokens at most, or a longer one alone."""
    start, filled = 0, 0
    for row, length in enumerate(lengths.tolist()):
        if filled and filled + length > budget:
            yield slice(start, row)
            start, filled = row, 0
        filled += length
    yield slice(start, len(lengths))


def blocks(tokens: Tokens, rows: NDArray[np.intp] | None = None) -> Iterator[tuple[NDArray[np.intp], TokenActivations]]:
    """Some rows (all), a pass at a time: their numbers, and what they hold. Values are finite, or an InputError."""
    chosen = np.arange(len(tokens.offsets) - 1) if rows is None else rows
    for part in parts(np.diff(tokens.offsets)[chosen], min(PASS_TOKENS, max(1, PASS_NUMBERS // tokens.width))):
        block = tokens.take(chosen[part])
        finite = np.isfinite(block.values).all(axis=1)
        if not finite.all():
            row = int(np.searchsorted(block.offsets, int(finite.argmin()), side="right")) - 1
            raise InputError(
                f"activations of {int((~finite).sum())} tokens are not finite, first in {_named(block, row)}: drop "
                "these rows or extract with another dtype"
            )
        yield chosen[part], block


@dataclass(frozen=True)
class TokenMoments:
    """The moments of all tokens of some rows, first ones left out where they are skipped, and the rows' means."""

    equal: NDArray[np.intp]  # (rows,) a code that rows of equal means share: 0, 1, ... by first occurrence
    means: NDArray[np.float32] | None  # (rows, width) where they are asked for
    mean: NDArray[np.float64]  # (width,)
    scale: NDArray[np.float64]  # (width,) standard deviations; 1 where a column is constant

    @classmethod
    def of(cls, tokens: Tokens, skip_first: bool, *, means: bool = False) -> "TokenMoments":
        """Read all rows once; without `means` what is kept does not grow with the width."""
        rows, width = len(tokens.offsets) - 1, tokens.width
        kept: NDArray[np.float32] | None = empty_rows((rows, width), np.float32) if means else None
        hashes: list[bytes] = []
        total, squares, shift = np.zeros(width), np.zeros(width), np.zeros(width)
        count = 0
        for at, block in blocks(tokens):
            values = block.values.astype(np.float64)
            shift = shift if count else values.mean(axis=0)  # so that squares of a large mean cancel nothing
            values -= shift
            starts, lengths = block.offsets[:-1], np.diff(block.offsets)
            if skip_first:
                values[starts] = 0
            sums = np.add.reduceat(values, starts, axis=0)
            counts = lengths - skip_first
            mean_rows = (sums / counts[:, None] + shift).astype(np.float32)
            hashes += [blake2b(row, digest_size=16).digest() for row in mean_rows + np.float32(0)]  # -0 is 0
            if kept is not None:
                kept[at] = mean_rows
            total += sums.sum(axis=0)
            squares += np.einsum("td,td->d", values, values)
            count += int(counts.sum())
        mean = total / count
        spread = np.sqrt(np.maximum(squares / count - mean**2, 0))
        equal = np.asarray(pd.factorize(np.array(hashes, dtype=object))[0], dtype=np.intp)
        return cls(equal, kept, mean + shift, np.where(spread > 0, spread, 1.0))
