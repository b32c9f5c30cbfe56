"""Row ids: given by the user or made from the text, unique, and what rows are joined by, never by their order."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, preview
from ..io.plain_values import as_text, is_missing, plain
from .conversations import MESSAGES, as_one_text, conversation_of

Ids = Sequence[str] | NDArray[np.object_]
CONTENT = re.compile("[0-9a-f]{16}")  # what content_id makes


def content_id(text: str) -> str:
    """The id of a row that has none: a hash of its text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def with_ids(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """The table of n rows with an `id` of text for each: the row's own, or else a hash of its text (`content_id`).

    Of rows with `messages` and no text these are hashed, in one spelling. A table with none of these is returned as it
    is. `where` names it in errors. InputError, by row number, for an id that is missing, nested or stands twice, and
    for equal texts of rows without ids.
    """
    if "id" in table:
        ids = text_ids(table["id"].tolist(), where)
        return table.assign(id=pd.Series(ids, index=table.index, dtype=object))
    if "text" not in table and MESSAGES not in table:
        return table
    texts = _texts(table, where)
    doubled = np.flatnonzero(texts.duplicated(keep=False))
    if len(doubled):
        raise InputError(
            f"{where}: rows {doubled[0] + 1} and {doubled[1] + 1} have no id and the same text: give them ids"
        )
    table = table.copy()
    table.insert(0, "id", pd.Series([content_id(text) for text in texts], index=table.index, dtype=object))
    return table


def _texts(table: pd.DataFrame, where: str) -> pd.Series:
    if "text" in table:
        return table["text"].map(lambda value: value if isinstance(value, str) else str(plain(value)))
    said = enumerate(table[MESSAGES], start=1)
    texts = [as_one_text(conversation_of(value, f"{where}: row {number}")) for number, value in said]
    return pd.Series(texts, index=table.index, dtype=object)


def text_ids(values: Iterable[Any], where: str) -> list[str]:
    """Ids as text, 7 and 7.0 as "7"; InputError for an id that is missing, nested or stands twice."""
    ids = [
        value if type(value) is str and value else _text_id(value, where, row)
        for row, value in enumerate(values, start=1)
    ]
    refuse_doubled(ids, where)
    return ids


def _text_id(value: Any, where: str, row: int) -> str:
    if is_missing(value) or value == "":
        raise InputError(f"{where}: row {row} has no id")
    return as_text(value, f"{where}: the id of row {row}")


def refuse_doubled(ids: Iterable[str], where: str) -> None:
    """Raise InputError if an id stands twice."""
    listed = list(ids)
    if len(set(listed)) < len(listed):
        doubled = [row_id for row_id, count in Counter(listed).items() if count > 1]
        raise InputError(f"{where}: ids must be unique, but these stand twice: {preview(doubled)}")


def made_of_texts(ids: Ids) -> bool:
    """Whether all ids look like those of `content_id`."""
    return len(ids) > 0 and all(CONTENT.fullmatch(str(name)) for name in ids)


def _no_match(have: Ids, wanted: Ids) -> str:
    """The probable reason where no id of one side is one of the other's."""
    if f"{wanted[0]}+" in have:
        return "it has the sides of contrast pairs, and not the rows themselves, which are to be read here"
    here, there = made_of_texts(have), made_of_texts(wanted)
    if there and not here:
        return "they were made from the texts of rows without `id`, the others were given: give both the same `id`"
    if here and not there:
        return (
            "there the ids were made from the texts of rows without `id`, these were given: give `text` in place of "
            "`id`, or extract again with the `id`"
        )
    if here and there:
        return "both look made from the texts, of rows without `id`: equal texts, to the letter, have equal ids"
    return "are these labels of other rows?"


def places_of(have: NDArray[np.object_]) -> dict[str, int]:
    """Where each id stands."""
    return dict(zip(have.tolist(), range(len(have)), strict=True))


def positions(
    have: NDArray[np.object_], wanted: Ids, where: str, places: Mapping[str, int] | None = None, *, of: str = ""
) -> NDArray[np.intp]:
    """Where each wanted id stands among those at hand; InputError for ids that are missing or asked twice.

    `where` names what should have the rows, and `of` the file whose ids they are.
    The `places` of those at hand are for who asks again and again: finding them takes a while where there are many.
    """
    wanted = np.asarray(wanted, dtype=object)
    refuse_doubled(wanted, of or "the ids asked for")
    places = places_of(have) if places is None else places
    found = np.array([places.get(row_id, -1) for row_id in wanted.tolist()], dtype=np.intp)
    if (found < 0).any():
        missing = wanted[found < 0]
        none = len(missing) == len(wanted)
        why = f"none of them match: {_no_match(have, wanted)}" if none else "add these rows to it, or leave them out"
        ids = f"{len(missing)} of {len(wanted)} ids{of and f' of {of}'}"
        raise InputError(f"{where} has no row for {ids}: {preview(list(missing))} ({why})")
    return found
