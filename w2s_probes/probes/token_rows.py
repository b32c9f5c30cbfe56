"""Rows of tokens as attention probes read them: a few at a time, by a budget of tokens, and their means and moments."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..store.token_activations import TokenActivations, Tokens

PASS_TOKENS = 16_384  # that go through a matrix product at once
MOST_TOKENS = 131_072  # of one row, which is never cut: 2 GB at a width of 4,096
KEPT_BYTES = 1 << 30  # of activations that a training keeps in memory; more is read part by part, in each epoch
FLOAT = 4  # bytes


def checked_tokens(tokens: Any, skip_first: bool, width: int | None = None) -> Tokens:
    """The rows themselves; InputError for what is no tokens, another width, an empty row, or one beyond the budget."""
    if not all(hasattr(tokens, name) for name in ("offsets", "token_ids", "take", "width")):
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
    return rows


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
    for part in parts(np.diff(tokens.offsets)[chosen], PASS_TOKENS):
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
    """The means of rows, and the moments of all their tokens, first ones left out where they are skipped."""

    means: NDArray[np.float32]  # (rows, width)
    mean: NDArray[np.float64]  # (width,)
    scale: NDArray[np.float64]  # (width,) standard deviations; 1 where a column is constant

    @classmethod
    def of(cls, tokens: Tokens, skip_first: bool) -> "TokenMoments":
        """Read all rows once."""
        rows, width = len(tokens.offsets) - 1, tokens.width
        means = np.empty((rows, width), np.float32)
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
            means[at] = sums / counts[:, None] + shift
            total += sums.sum(axis=0)
            squares += np.einsum("td,td->d", values, values)
            count += int(counts.sum())
        mean = total / count
        spread = np.sqrt(np.maximum(squares / count - mean**2, 0))
        return cls(means, mean + shift, np.where(spread > 0, spread, 1.0))
