"""Tables of the page: cells with a text to read and a value to sort by."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MISSING = "–"
NEGATIVE = re.compile(r"(?<![\w)])-(?=\d)")


@dataclass(frozen=True)
class TableCell:
    """A cell: its text, and the value that it is sorted by.

    >>> estimate(0.5, 0.4, 0.6).text
    '0.500 [0.400, 0.600]'
    """

    text: str
    value: float | str | None = None  # what it is sorted by; None: missing, and always last
    mark: str = ""  # its class on the page: what it is marked as, beside what it says


@dataclass(frozen=True)
class Column:
    """A column's heading, whether it holds numbers, and what it means."""

    name: str
    numeric: bool = True
    about: str = ""


@dataclass(frozen=True)
class Table:
    """A table with a caption, sortable by every column."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[TableCell]]


def narrowed(
    caption: str, columns: Sequence[Column], rows: Sequence[Sequence[TableCell]], which: Sequence[int]
) -> Table:
    """A table without those columns of `which` that have the same text on every line."""
    same = {i for i in which if len({row[i].text for row in rows} - {MISSING}) <= 1}
    kept = [i for i in range(len(columns)) if i not in same]
    return Table(caption, [columns[i] for i in kept], [[row[i] for i in kept] for row in rows])


def words(text: object, mark: str = "") -> TableCell:
    """A cell of text; a dash where there is none."""
    shown = "" if text is None or (isinstance(text, float) and math.isnan(text)) else str(text)
    return TableCell(shown or MISSING, shown.lower() or None, mark)


def number(value: Any, spec: str = ".3f", mark: str = "") -> TableCell:
    """A cell of a number; a dash where there is none."""
    if missing(value):
        return TableCell(MISSING, None, mark)
    return TableCell(shown(float(value), spec), float(value), mark)


def estimate(value: Any, low: Any, high: Any, spec: str = ".3f", mark: str = "") -> TableCell:
    """A number with its interval, sorted by the number."""
    if missing(value):
        return TableCell(MISSING, None, mark)
    ends = "" if missing(low) or missing(high) else f" [{shown(low, spec)}, {shown(high, spec)}]"
    return TableCell(shown(value, spec) + ends, float(value), mark)


def p_value(value: Any) -> TableCell:
    """A cell of a p-value; below .001 only that bound is shown."""
    if missing(value):
        return TableCell(MISSING)
    return TableCell("< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0"), float(value))


def shown(value: Any, spec: str = ".3f") -> str:
    """A number as text, with a true minus and ∞."""
    value = float(value)
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = format(value, spec)
    return (
        ("−" + text[1:] if text.startswith("-") else text)
        if float(text.strip("%+").replace(",", ""))
        else (format(0.0, spec))
    )


def true_minus(text: str) -> str:
    """A text whose negative numbers have a true minus, as the page's numbers have."""
    return NEGATIVE.sub("\u2212", text)


def missing(value: Any) -> bool:
    """Whether there is no number: None, NaN, or pandas' NA."""
    return value is None or value != value or type(value).__name__ == "NAType"
