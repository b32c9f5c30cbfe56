"""How many tokens rows have: counted by the model's tokenizer, in a sample where they are many, or said."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.errors import InputError
from w2s_probes.randomness import stream

from .encoding import Encoding
from .models import ModelSource
from .rows import read_rows

SAMPLE = 2000  # rows: the mean of lengths that spread as much as they measure is then known to some 2 %
MOST = 10_000_000  # rows, or tokens of one, beyond which a plan would itself be work; costs are proportional


def token_lengths(
    source: ModelSource, rows: pd.DataFrame, *, max_length: int | None = None, seed: int = 0
) -> NDArray[np.int64]:
    """Tokens (rows,) of rows with `id` and `text`, as the extractor would cut them.

    Of more than `SAMPLE` rows a random sample is tokenized, whose distribution then stands for all; the lengths are
    not those of single rows. InputError where there is no tokenizer to count with.
    """
    try:
        tokenizer = source.tokenizer
    except InputError as error:
        raise InputError(f"{error}: give --tokens-per-row") from error
    encoding = Encoding.plan(source, max_length, "right", None)
    chosen = stream(seed, "rows to tokenize").permutation(len(rows))[:SAMPLE]
    sample = rows.iloc[np.sort(chosen)]
    encoded = encoding.encode(tokenizer, sample["id"].tolist(), sample["text"].tolist())
    found = np.sort([len(tokens) for tokens in encoded.rows])
    return found[np.arange(len(rows)) * len(found) // len(rows)].astype(np.int64)


def equal_lengths(
    source: ModelSource, rows: int, tokens_per_row: int, *, max_length: int | None = None
) -> NDArray[np.int64]:
    """As many rows of this many tokens, or of the model's window where that is less."""
    for name, value in (("rows", rows), ("tokens_per_row", tokens_per_row), ("max_length", max_length)):
        if value is not None and not 1 <= value <= MOST:
            raise InputError(f"{name}={value} must be at least 1 and at most {MOST:,}")
    window = getattr(source.config.get_text_config(), "max_position_embeddings", None)
    limits = [limit for limit in (max_length, window) if isinstance(limit, int) and limit > 0]
    return np.full(rows, min([tokens_per_row, *limits]), dtype=np.int64)


def given_lengths(
    source: ModelSource, rows: Sequence[str], *, tokens_per_row: int | None = None, max_length: int | None = None
) -> NDArray[np.int64]:
    """Tokens (rows,) of `rows` as a user gives them: one number, or the paths of row files."""
    if not rows:
        raise InputError("no rows: give --rows, a number of them or a file of texts")
    count = _count(rows[0]) if len(rows) == 1 else None
    if tokens_per_row is not None:
        known = count if count is not None else len(read_rows(*rows))
        return equal_lengths(source, known, tokens_per_row, max_length=max_length)
    if count is not None:
        raise InputError(f"--rows {rows[0]}: a number has no texts to count: give --tokens-per-row, or a file")
    return token_lengths(source, read_rows(*rows), max_length=max_length)


def _count(text: str) -> int | None:
    """The whole number that a text is; None where it is none at all; InputError for numbers that count nothing."""
    try:
        value = float(text)
    except ValueError:
        return None
    if not value.is_integer() or value < 1:
        raise InputError(f"--rows {text}: give a whole number of at least 1, or a file")
    return int(value)
