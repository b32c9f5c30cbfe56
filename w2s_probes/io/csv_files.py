"""CSV, read as text and written so that the same values come back.

Only an empty cell is a missing value; `""` is a text of no letters. Words such as NA or null, and numbers as they are
spelled, are text: what a column means is decided by its name (`fields.py`), not by its values.
"""

import csv
import io
import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from ..errors import InputError
from .plain_values import as_json_text, is_missing

MOST_BYTES = (1 << 31) - 2  # pyarrow counts a block's bytes in 32 bits, and a quoted cell must not cross blocks
QUOTED = re.compile(r'[,"\r\n]|^\s|\s$')  # what a cell must be quoted for; whitespace for readers that strip it
QUOTED_CELL = re.compile(r'(?:^|(?<=[,\r\n]))"(?:[^"]|"")*"')


def read_csv(data: bytes, where: str) -> pd.DataFrame:
    """The cells of a CSV file with a header line, as text; NaN for an empty one.

    Raises InputError, by line number, for a line that is longer or shorter than the header, for quotes that do not
    close, for a carriage return alone outside quotes in a file of other line ends, for bytes that are no UTF-8, and
    for two columns of one name.
    """
    if len(data) > MOST_BYTES:
        raise InputError(f"{where}: CSV of more than 2 GiB; write it as .jsonl or .parquet")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(f"{where}, line {line}: not text in UTF-8; save the file in that encoding") from error
    if "\r" in text:
        _refuse_stray_carriage_return(text, where)
    header = _checked_header(text, where)
    if not header:
        raise InputError(f"{where}: not a readable .csv file (it is empty)")
    encoded = text.encode()
    numbers = [str(i) for i in range(len(header))]  # in place of the names, among which may be an empty one
    table = pyarrow.csv.read_csv(
        pa.BufferReader(encoded),
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=len(encoded) + 1, column_names=numbers),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(numbers, pa.string()),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    ).slice(1)
    columns = {name: _column(table.column(at).to_pylist()) for at, name in enumerate(header)}
    return pd.DataFrame(columns, dtype=object)


def csv_text(table: pd.DataFrame, *, header: bool = True) -> str:
    """The table as CSV, after a line of its columns' names.

    Missing values are empty cells, whole numbers stay whole, lists and the like are JSON.
    """
    columns = [_cells(table.iloc[:, at]) for at in range(table.shape[1])]
    lines = [",".join(_quoted(str(name)) for name in table.columns)] if header else []
    lines += [",".join(cells) for cells in zip(*columns, strict=True)]
    return "\n".join(lines) + "\n"


def _column(values: list[Any]) -> list[Any]:
    return [np.nan if value is None else value for value in values]


def _checked_header(text: str, where: str) -> list[str]:
    """The names of the columns, after every line has been found to have as many cells; [] for an empty file."""
    header: list[str] | None = None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    for cells in _lines(reader, where):
        if header is None:
            header = cells
            doubled = [name for name in cells if cells.count(name) > 1]
            if doubled:
                raise InputError(f"{where}: two columns are called {doubled[0]!r}: rename one")
        elif len(cells) != len(header):
            raise InputError(
                f"{where}, line {reader.line_num}: {len(cells)} cells, but the header has {len(header)}: quote commas "
                "inside a cell, and leave no comma at a line's end"
            )
    return header or []


def _lines(reader: Any, where: str) -> Iterator[list[str]]:
    """The lines that are not blank, a cell of any length allowed."""
    most = csv.field_size_limit(sys.maxsize)  # of the whole process: put back below
    try:
        for cells in reader:
            if cells:
                yield cells
    except csv.Error as error:
        what = f"quotes that do not close or close too soon ({error})"
        raise InputError(f"{where}, line {reader.line_num}: {what}") from error
    finally:
        csv.field_size_limit(most)


def _refuse_stray_carriage_return(text: str, where: str) -> None:
    """A bare carriage return ends a line for some readers and not for others: rows would be cut in two."""
    outside = QUOTED_CELL.sub(lambda cell: re.sub(r"[^\n]", "", cell[0]).replace("\n", "\v"), text)
    stray = re.search(r"\r(?!\n)", outside)
    if stray and "\n" in outside:
        line = outside[: stray.start()].count("\n") + outside[: stray.start()].count("\v") + 1
        raise InputError(f"{where}, line {line}: a carriage return outside quotes: quote that cell, or end lines alike")


def _cells(column: pd.Series) -> list[str]:
    if column.dtype == np.float64:  # most of a run's numbers: of one type, so that none has to be asked for its own
        return ["" if value != value else str(value) for value in column.tolist()]
    return [_cell(value) for value in column.tolist()]


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list | tuple | dict | np.ndarray):
        return _quoted(as_json_text(value))
    if is_missing(value):
        return ""
    if isinstance(value, float | int | np.generic):
        return _quoted(str(value.item() if isinstance(value, np.generic) else value))
    return _quoted(as_json_text(value, bare=True))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if not text or QUOTED.search(text) else text
