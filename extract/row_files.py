"""Rows to extract: a table with a text and an id each."""

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from w2s_probes.errors import InputError, preview
from w2s_probes.io.plain_values import is_missing
from w2s_probes.io.tables import read_table
from w2s_probes.rows.conversations import MESSAGES, as_one_text, conversation_of
from w2s_probes.rows.ids import with_ids

from .positions import MARK


def read_rows(*paths: Path | str, fields: Collection[str] = (), conversations: bool = False) -> pd.DataFrame:
    """Row files (JSONL, CSV or Parquet with `text`, and `id` where present) as one table with both.

    `fields` are kept beside them, where a file has them. Where rows may be `conversations`, files have `text` or
    `messages`.
    """
    how = {"conversations": conversations}
    tables = [checked_rows(read_table(path), str(path), **how) for path in paths]
    kept = ("id", "text", *([MESSAGES] if conversations else []), *fields)
    tables = [table[[name for name in dict.fromkeys(kept) if name in table]] for table in tables]
    return checked_rows(pd.concat(tables, ignore_index=True), " and ".join(map(str, paths)), **how)


def checked_rows(table: pd.DataFrame, where: str, *, conversations: bool = False) -> pd.DataFrame:
    """The table with an `id` column (a hash of the text where there was none).

    Where it may be of `conversations`, `messages` are checked, and `text` is their JSON. InputError if `text` is
    missing, is empty somewhere, or if rows without ids have equal texts, and for other texts beside messages.
    """
    if conversations and MESSAGES in table:
        table = _conversations(table, where)
    elif MESSAGES in table and "text" not in table:
        raise InputError(f"{where}: its rows are conversations, and here texts are read: give them as 'text'")
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


def _conversations(table: pd.DataFrame, where: str) -> pd.DataFrame:
    names = (
        [f"row {name!r}" for name in table["id"]] if "id" in table else [f"row {n}" for n in range(1, len(table) + 1)]
    )
    said = zip(table[MESSAGES], names, strict=True)
    conversations = [conversation_of(value, f"{where}: {name}") for value, name in said]
    texts = [as_one_text(conversation) for conversation in conversations]
    if "text" in table and table["text"].tolist() != texts:
        raise InputError(f"{where}: has both 'text' and 'messages', and one of them is read: drop the other")
    own = {MESSAGES: pd.Series(conversations, index=table.index, dtype=object)}
    return table.assign(**own, text=pd.Series(texts, index=table.index, dtype=object))


def rows_hash(table: pd.DataFrame) -> str:
    """The number of rows and a hash of their ids and texts, and of what marks a position in them, in order."""
    digest = hashlib.sha256()
    for row_id, text in zip(table["id"], table["text"], strict=True):
        digest.update(f"{len(row_id)} {row_id} {len(text)} {text}".encode())
    for begin, end in table.get(MARK, ()):
        digest.update(f" {begin}-{end}".encode())
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
