"""Rows as a user of `w2s plan` gives them: one number, or the paths of row files."""

from collections.abc import Collection, Sequence

import pandas as pd

from w2s_probes.errors import InputError

from ..row_files import read_rows


def given_rows(
    rows: Sequence[str], *, tokens_per_row: int | None = None, fields: Collection[str] = ()
) -> int | pd.DataFrame:
    """The number of rows, where the tokens of each are said, or the rows, whose tokens are to be counted.

    `fields` of the rows are kept beside the text.
    """
    if not rows:
        raise InputError("no rows: give --rows, a number of them or a file of texts")
    count = _count(rows[0]) if len(rows) == 1 else None
    if tokens_per_row is not None:
        return count if count is not None else len(read_rows(*rows, conversations=True))
    if count is not None:
        raise InputError(f"--rows {rows[0]}: a number has no texts to count: give --tokens-per-row, or a file")
    return read_rows(*rows, fields=fields, conversations=True)


def _count(text: str) -> int | None:
    """The whole number that a text is; None where it is none at all; InputError for numbers that count nothing."""
    try:
        value = float(text)
    except ValueError:
        return None
    if not value.is_integer() or value < 1:
        raise InputError(f"--rows {text}: give a whole number of at least 1, or a file")
    return int(value)
