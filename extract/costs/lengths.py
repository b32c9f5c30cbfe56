"""The tokens of rows: counted by the model's tokenizer, in a sample where rows are many, or given as a number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.checkpoints.tokens import window
from w2s_probes.errors import InputError
from w2s_probes.randomness import stream
from w2s_probes.rows.conversations import MESSAGES

from ..encoding import Encoding
from ..marking import CutOff
from ..models.source import ModelSource
from ..planned_rows import rows_at
from ..positions import MARK
from ..site import site_of
from ..templates import OWN
from .given_rows import given_rows

SAMPLE = 2000  # rows: the mean of lengths that spread as much as they measure is then known to some 2 %
MOST = 10_000_000  # rows, or tokens of one, beyond which a plan would itself be work; costs are proportional


@dataclass(frozen=True)
class Lengths:
    """The lengths of rows for a model, and the number that lose text at its limit."""

    tokens: NDArray[np.int64]  # (rows,), as the extractor would cut them; of a sample's distribution, not row by row
    cut: int  # rows with more tokens than `limit`, which lose their end; of a sample, its share of all rows
    limit: int | None  # tokens: the model's window, or less where that was asked for; None: there is none
    sampled: bool = False  # whether but some rows were tokenized
    assumed: bool = False  # whether lengths were given as a number, and no text was read
    left_out: int = 0  # rows in which a position is nowhere, which are not among these

    @classmethod
    def joined(cls, parts: Sequence["Lengths"]) -> "Lengths":
        """The lengths of several row sets together, for one model."""
        tokens = np.concatenate([part.tokens for part in parts])
        flags = (any(part.sampled for part in parts), any(part.assumed for part in parts))
        return cls(tokens, sum(part.cut for part in parts), parts[0].limit, *flags)


def count_tokens(
    source: ModelSource,
    rows: pd.DataFrame,
    *,
    max_length: int | None = None,
    chat_template: str | None = None,
    truncation: str = "right",
    site: str = "residual",
    positions: Sequence[str] = (),
    missing: str = "refuse",
    seed: int = 0,
) -> Lengths:
    """Lengths of rows with `id` and `text`, or `messages`, counted by the model's tokenizer.

    Options are those of `Extraction.plan`, and what it refuses in a tokenizer and rows is refused: rows in which one
    of the `positions` is nowhere, unless they are left out, or is cut off, and words of a `site` that are no tokens.
    Of more than `SAMPLE` rows a random sample is tokenized, whose distribution then stands for all; the others are
    looked at only where a position of the sample is cut off. InputError where there is no tokenizer to count with.
    """
    try:
        tokenizer = source.tokenizer
    except InputError as error:
        raise InputError(f"{error}: give --tokens-per-row") from error
    template = OWN if chat_template is None and MESSAGES in rows else chat_template
    encoding = Encoding.plan(source, max_length, truncation, template)
    site_of(site, source, encoding)  # which refuses words that are no tokens
    left_out: list[str] = []
    marks: list[tuple[str, pd.Series]] = []
    if positions:
        tables, left_out = rows_at(rows, positions, source, encoding, missing)
        rows = tables[0]
        marks = [(name, table[MARK]) for name, table in zip(positions, tables, strict=True) if MARK in table]
    chosen = np.sort(stream(seed, "rows to tokenize").permutation(len(rows))[:SAMPLE])
    try:
        encoded = encoding.encode_rows(tokenizer, rows.iloc[chosen], [own.iloc[chosen].tolist() for _, own in marks])
    except CutOff as error:
        raise _cut_off(encoding, tokenizer, rows, marks) from error
    counts = np.sort([len(tokens) for tokens in encoded.rows])
    tokens = counts[np.arange(len(rows)) * len(counts) // len(rows)].astype(np.int64)
    cut = round(encoded.cut * len(rows) / len(counts))
    return Lengths(tokens, cut, encoding.max_length, sampled=len(counts) < len(rows), left_out=len(left_out))


def _cut_off(encoding: Encoding, tokenizer: Any, rows: pd.DataFrame, marks: Sequence[tuple[str, pd.Series]]) -> CutOff:
    """What an extraction says of all rows where some are known to be marked beyond what is read of them."""
    errors = []
    for begin in range(0, len(rows), SAMPLE):
        part = slice(begin, begin + SAMPLE)
        try:
            encoding.encode_rows(tokenizer, rows.iloc[part], [own.iloc[part].tolist() for _, own in marks])
        except CutOff as error:
            errors.append(error)
    return CutOff.joined(errors, [name for name, _ in marks])


def token_lengths(
    source: ModelSource, rows: pd.DataFrame, *, max_length: int | None = None, seed: int = 0
) -> NDArray[np.int64]:
    """Tokens (rows,) of `count_tokens` alone."""
    return count_tokens(source, rows, max_length=max_length, seed=seed).tokens


def assumed_lengths(source: ModelSource, rows: int, tokens_per_row: int, *, max_length: int | None = None) -> Lengths:
    """As many rows of this many tokens, or of the model's window where that is less."""
    for name, value in (("rows", rows), ("tokens_per_row", tokens_per_row), ("max_length", max_length)):
        if value is not None and not 1 <= value <= MOST:
            raise InputError(f"{name}={value} must be at least 1 and at most {MOST:,}")
    limit = min((most for most in (max_length, _window(source)) if most is not None), default=None)
    cut = rows if limit is not None and tokens_per_row > limit else 0
    length = tokens_per_row if limit is None else min(tokens_per_row, limit)
    return Lengths(np.full(rows, length, dtype=np.int64), cut, limit, assumed=True)


def _window(source: ModelSource) -> int | None:
    """The most tokens that the model reads; without a tokenizer, by its config alone."""
    try:
        return source.window
    except InputError:
        return window(None, source.text_config, source.skeleton)


def equal_lengths(
    source: ModelSource, rows: int, tokens_per_row: int, *, max_length: int | None = None
) -> NDArray[np.int64]:
    """Tokens (rows,) of `assumed_lengths` alone."""
    return assumed_lengths(source, rows, tokens_per_row, max_length=max_length).tokens


def given_lengths(
    source: ModelSource,
    rows: Sequence[str] | int | pd.DataFrame,
    *,
    tokens_per_row: int | None = None,
    max_length: int | None = None,
    **counting: Any,
) -> Lengths:
    """Lengths of rows as a user gives them (see `given_rows`), or as these have been read.

    `counting` are further options of `count_tokens`, of no account where the tokens of a row are said.
    """
    read = rows if isinstance(rows, int | pd.DataFrame) else given_rows(rows, tokens_per_row=tokens_per_row)
    if isinstance(read, pd.DataFrame):
        return count_tokens(source, read, max_length=max_length, **counting)
    assert tokens_per_row is not None
    return assumed_lengths(source, read, tokens_per_row, max_length=max_length)
