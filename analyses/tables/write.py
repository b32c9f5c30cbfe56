"""A table of results as CSV, JSONL or Parquet, number by number, or for people as Markdown or LaTeX."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from w2s_probes.errors import InputError
from w2s_probes.io.files import replacing
from w2s_probes.io.plain_values import is_missing
from w2s_probes.io.tables import FORMATS, write_table

from ..results.names import TEST

TABLE_FORMATS = (*FORMATS, ".md", ".tex")
MARKS = ("oracle", "trusted")  # left out where no line has one
INTERVALS = {"value": ("low", "high"), "gap": ("gap_low", "gap_high")}  # by the number that they belong to
IN_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "∞": r"$\infty$"}
IN_LATEX |= {sign: f"\\{sign}" for sign in "&%$#_{}"}
NO_NUMBER = "–"


def refuse_table_format(path: Path) -> None:
    """InputError for a name that does not end as a table's."""
    if not path.name.endswith(TABLE_FORMATS):
        raise InputError(f"{path}: unknown format; the name must end in one of {', '.join(TABLE_FORMATS)}")


def write_results(table: pd.DataFrame, path: Path | str, *, digits: int = 2) -> None:
    """Write a table of results in the format that the name ends in.

    CSV, JSONL and Parquet have every column. Markdown (.md) and LaTeX (.tex, for booktabs) are for people: values with
    their intervals as `0.75 [0.69, 0.81]`, to so many `digits`, without columns that are empty throughout.
    """
    path = Path(path)
    refuse_table_format(path)
    if path.name.endswith(FORMATS):
        write_table(table, path)
        return
    for_people = readable(table, digits)
    text = _markdown(for_people) if path.name.endswith(".md") else _latex(for_people)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def readable(table: pd.DataFrame, digits: int = 2) -> pd.DataFrame:
    """The table as texts: numbers with their intervals in one cell, columns left out that tell nothing."""
    ends = [end for pair in INTERVALS.values() for end in pair]
    shown = {}
    for name in table:
        column = table[name]
        if name in ends or column.isna().all() or (name in MARKS and not column.astype(bool).any()):
            continue
        if name == "test_set" and (column == TEST).all():
            continue
        if name in INTERVALS:
            low, high = (table.get(end, pd.Series(math.nan, index=table.index)) for end in INTERVALS[name])
            cells = [_interval(*three, digits) for three in zip(column, low, high, strict=True)]
            shown[f"{name} [95 %]"] = cells
        else:
            shown[str(name)] = [_text(value) for value in column]
    return pd.DataFrame(shown)


def _interval(value: float, low: float, high: float, digits: int) -> str:
    if is_missing(value):
        return NO_NUMBER
    ends = "" if is_missing(low) or is_missing(high) else f" [{_number(low, digits)}, {_number(high, digits)}]"
    return _number(value, digits) + ends


def _number(value: float, digits: int) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if not float(text) else text  # no -0.00


def _text(value: object) -> str:
    if is_missing(value):
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    return f"{value:g}" if isinstance(value, float) else " ".join(str(value).split())


def _markdown(table: pd.DataFrame) -> str:
    columns = [str(name) for name in table]
    lines = [columns, ["---:" if _is_number(name) else "---" for name in columns], *table.to_numpy().tolist()]
    return "".join(_line(line, _in_markdown, "| ", " | ", " |") for line in lines)


def _latex(table: pd.DataFrame) -> str:
    columns = [str(name) for name in table]
    sides = "".join("r" if _is_number(name) else "l" for name in columns)
    rows = "".join(_line(line, _in_latex, "", " & ", r" \\") for line in table.to_numpy().tolist())
    head = _line(columns, _in_latex, "", " & ", r" \\")
    return (
        "% needs \\usepackage{booktabs}\n"
        f"\\begin{{tabular}}{{{sides}}}\n\\toprule\n{head}\\midrule\n{rows}\\bottomrule\n\\end{{tabular}}\n"
    )


def _line(cells: list[str], escaped: Callable[[str], str], before: str, between: str, after: str) -> str:
    return before + between.join(map(escaped, cells)) + after + "\n"


def _is_number(column: str) -> bool:
    return column.endswith("[95 %]") or column in ("seed", "layer", "k", "l2", "contamination", "alpha", "n", "seeds")


def _in_markdown(text: str) -> str:
    """Signs that Markdown obeys are escaped; a _ within a word, as in pgr_auroc, is none."""
    if re.fullmatch(r":?-+:?", text):
        return text
    escaped = re.sub(r"([\\`*<>|])", r"\\\1", text)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", escaped)


def _in_latex(text: str) -> str:
    return "".join(IN_LATEX.get(sign, sign) for sign in text)
