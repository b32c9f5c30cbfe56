"""Rows with the characters that mark their positions, found before anything is tokenized or loaded."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from w2s_probes.errors import InputError, did_you_mean, preview
from w2s_probes.rows.conversations import MESSAGES

from .encoding import Encoding
from .models.source import ModelSource
from .positions import MARK, Mark, mark_of
from .rendering import Span

MISSING = ("refuse", "skip")


def rows_at(
    rows: pd.DataFrame, positions: Sequence[str], source: ModelSource, encoding: Encoding, missing: str = "refuse"
) -> tuple[list[pd.DataFrame], list[str]]:
    """The rows for each position, with what marks it, and the ids of rows that were left out of all.

    A row in which a position is nowhere is refused, with its id and the number of such rows, or, with `missing` "skip",
    left out. InputError for rows that cannot have such a position.
    """
    if missing not in MISSING:
        raise InputError(f"missing {missing!r}: {did_you_mean(missing, MISSING)}")
    rows = rows.drop(columns=MARK, errors="ignore")
    marks = [mark_of(position) for position in positions]
    if not any(marks):
        return [rows for _ in positions], []
    for mark in marks:
        if mark is not None:
            _refuse_unmarkable(mark, rows, encoding)
    rendered = encoding.rendered(source.tokenizer, rows, located=True)
    names = rows["id"].tolist()
    found: list[list[Span | None]] = []
    for mark in marks:
        if mark is None:
            found.append([(0, 0)] * len(rows))
            continue
        values: list[Any] = [None] * len(rows) if mark.field is None else rows[mark.field].tolist()
        said = zip(rendered, values, names, strict=True)
        found.append([mark.find(one, value, f"row {name!r}") for one, value, name in said])
    kept = [all(spans[row] is not None for spans in found) for row in range(len(rows))]
    left_out = [name for name, keep in zip(names, kept, strict=True) if not keep]
    if left_out and (missing == "refuse" or len(left_out) == len(names)):
        remedy = "mend or drop them, or leave them out by --missing skip" if len(left_out) < len(names) else "check it"
        raise InputError(f"position {_lacking(positions, found, names)}: {remedy}")
    chosen = rows[kept].reset_index(drop=True)
    return [_marked(chosen, mark, spans, kept) for mark, spans in zip(marks, found, strict=True)], left_out


def _lacking(positions: Sequence[str], found: Sequence[Sequence[Span | None]], names: Sequence[str]) -> str:
    """The positions that are nowhere in some rows, with their rows, in words."""
    said: list[str] = []
    for position, spans in zip(positions, found, strict=True):
        lacking = [name for name, span in zip(names, spans, strict=True) if span is None]
        if lacking:
            begin = f"is nowhere in {len(lacking)} of {len(names)} rows" if not said else f"in {len(lacking)}"
            said.append(f"{position[:60]!r} {begin} ({preview(lacking, 6)})")
    return ", ".join(said)


def _marked(rows: pd.DataFrame, mark: Mark | None, spans: Sequence[Span | None], kept: Sequence[bool]) -> pd.DataFrame:
    if mark is None:
        return rows
    own = [span for span, keep in zip(spans, kept, strict=True) if keep]
    return rows.assign(**{MARK: pd.Series(own, index=rows.index, dtype=object)})


def _refuse_unmarkable(mark: Mark, rows: pd.DataFrame, encoding: Encoding) -> None:
    if mark.field is not None and mark.field not in rows:
        raise InputError(f"position span: the rows have no field {mark.field!r}; give it, or another as span:FIELD")
    if mark.kind in ("role", "answer") and MESSAGES not in rows and encoding.template is None:
        raise InputError(
            f"position {mark.kind}: is of conversations: give rows with `messages`, or --chat-template own"
        )
