"""Rows to extract: a table with a text and an id each."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from w2s_probes.errors import InputError, preview
from w2s_probes.io.plain_values import is_missing
from w2s_probes.io.tables import read_table
from w2s_probes.rows.ids import with_ids


def read_rows(*paths: Path | str) -> pd.DataFrame:
    """Row files (JSONL, CSV or Parquet with `text`, and `id` where present) as one table with both."""
    tables = [checked_rows(read_table(path), str(path))[["id", "text"]] for path in paths]
    return checked_rows(pd.concat(tables, ignore_index=True), " and ".join(map(str, paths)))


def checked_rows(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """The table with an `id` column (a hash of the text where there was none).

    InputError if `text` is missing, is empty somewhere, or if rows without ids have equal texts.
    """
    if "text" not in table:
        raise InputError(f"{where}: no field 'text'; it has {preview(list(table.columns), 8)}")
    if "id" in table:
        table = with_ids(table, where)
    texts = table["text"]
    empty = ~texts.map(lambda text: isinstance(text, str) and bool(text.strip())).astype(bool)
    if empty.any():
        row = int(empty.argmax())
        name = f"row {table['id'].iloc[row]!r}" if "id" in table else f"row {row + 1}"
        value = texts.iloc[row]
        if not isinstance(value, str) and not is_missing(value):
            raise InputError(f"{where}: the text of {name} is a {type(value).__name__}, not a string: quote or drop it")
        raise InputError(f"{where}: {name} has an empty text; drop it ({int(empty.sum())} such rows)")
    return table if "id" in table else with_ids(table, where)


def rows_hash(table: pd.DataFrame) -> str:
    """The number of rows and a hash of their ids and texts, in order."""
    digest = hashlib.sha256()
    for row_id, text in zip(table["id"], table["text"], strict=True):
        digest.update(f"{len(row_id)} {row_id} {len(text)} {text}".encode())
    return f"{len(table)} rows, {digest.hexdigest()[:32]}"


def texts_of(ids: Sequence[str], rows: pd.DataFrame, where: str) -> pd.Series:
    """The texts of a store's rows, in its order, by id; `rows` may hold more. InputError where some are missing."""
    by_id = rows.set_index("id")["text"]
    if missing := [name for name in ids if name not in by_id.index]:
        raise InputError(
            f"{where}: {len(missing)} of its {len(ids)} rows are not among those given ({preview(missing, 6)}): give "
            "the rows that it was made from"
        )
    if len(ids) < 2:
        raise InputError(f"{where}: holds {len(ids)} row: at least 2 are needed, whose distance is the measure")
    return by_id.loc[list(ids)]
