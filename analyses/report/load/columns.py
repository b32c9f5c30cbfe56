"""The columns of a table: their names, from its first bytes, and their cells, of which a damaged one is named."""

import csv
import gzip
import json
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from w2s_probes.errors import InputError
from w2s_probes.io.tables import read_table

TRUTHS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}  # as files have them
SHOWN = 40  # characters of a damaged value
UNREADABLE = (ValueError, OSError, EOFError, RecursionError, zlib.error, csv.Error)  # pyarrow's own are among these


@dataclass(frozen=True)
class Cells:
    """The types of a table's columns. Columns that a table lacks are not checked."""

    numbers: Collection[str] = ()  # finite, or empty
    ends: Collection[str] = ()  # of intervals: numbers, infinite on a side that the data leave open, or empty
    whole: Collection[str] = ()  # whole numbers, or empty
    shares: Collection[str] = ()  # numbers in [0, 1], or empty
    names: Collection[str] = ()  # any text but none
    full: Collection[str] = ()  # of the columns above those where nothing may be empty
    truths: Collection[str] = ()  # true or false
    known: Mapping[str, Collection[str]] = field(default_factory=dict)  # columns of these names alone
    beside: Mapping[str, Collection[str]] = field(default_factory=dict)  # columns that are full where this one is


def columns_of(file: Path) -> set[str]:
    """The names of a JSONL, CSV or Parquet file's columns; InputError for a file that is none, or is empty.

    Of JSONL those of the first row.
    """
    try:
        if file.suffix == ".parquet":
            return set(pq.read_schema(file).names)
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            line = stream.readline().decode("utf-8")
        if not line.strip():
            raise InputError(f"{file}: holds no rows: make it again, or move it elsewhere")
        if ".csv" in file.suffixes:
            return set(next(csv.reader([line])))
        first = json.loads(line)
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(f"{file}: cannot be read ({str(error).splitlines()[0]}): make it again, or move it") from error
    return set(first) if isinstance(first, dict) else set()


def checked_table(file: Path, needed: Collection[str], cells: Cells) -> pd.DataFrame:
    """A table file with at least these columns, its cells as they should be."""
    refuse_cut_off(file)
    table = read_table(file)
    missing = sorted(set(needed) - set(table.columns))
    if missing:
        raise InputError(f"{file}: has no column {missing[0]!r}: it is damaged, or no file of this kind")
    return checked(table, file, cells)


def refuse_cut_off(file: Path) -> None:
    """InputError for a CSV file that does not end its last line."""
    if file.suffix == ".csv" and file.is_file() and not file.read_bytes().endswith(b"\n"):
        raise InputError(f"{file}: cut off in its last line: make it again")


def checked(table: pd.DataFrame, file: Path, cells: Cells) -> pd.DataFrame:
    """The table with numbers as numbers and truths as truths; InputError for the first cell that is none."""
    table = table.copy()
    for name in (*cells.numbers, *cells.ends, *cells.whole, *cells.shares):
        if name not in table:
            continue
        given = table[name]
        numbers = numbers_of(given)
        there = given.notna().to_numpy()
        _refuse(given, there & (numbers.isna() | given.map(_is_bool)).to_numpy(), file, "is no number")
        if name not in cells.ends:
            _refuse(given, np.isinf(numbers.to_numpy()), file, "is no finite number")
        if name in cells.whole:
            _refuse(given, there & (numbers % 1 != 0).to_numpy(), file, "is no whole number")
        if name in cells.shares:
            _refuse(given, there & ~numbers.between(0, 1).to_numpy(), file, "is not in [0, 1]")
        if not pd.api.types.is_numeric_dtype(given) or pd.api.types.is_extension_array_dtype(given):
            table[name] = numbers
    for name in (*cells.names, *cells.full):
        if name in table:
            _refuse(
                table[name], (table[name].isna() | (table[name].astype(str).str.strip() == "")).to_numpy(), file, ""
            )
    for name in cells.truths:
        if name in table:
            truths = table[name].astype(str).str.lower().map(TRUTHS)
            _refuse(table[name], truths.isna().to_numpy(), file, "is neither true nor false")
            table[name] = truths.astype(bool)
    for name, others in cells.beside.items():
        for other in {*others}.intersection(table.columns) if name in table else ():
            _refuse(table[other], (table[name].notna() & table[other].isna()).to_numpy(), file, "")
    for name, values in cells.known.items():
        if name in table:
            _refuse(table[name], ~table[name].isin(list(values)).to_numpy(), file, "is not known")
    return table


def numbers_of(column: pd.Series) -> pd.Series:
    """A column's numbers, NaN where it has none."""
    if pd.api.types.is_numeric_dtype(column):
        return column.astype("float64")
    plain = column.astype(object).where(column.map(pd.api.types.is_scalar).astype(bool), "")  # lists are no numbers
    return pd.to_numeric(plain, errors="coerce").astype("float64")


def _is_bool(value: object) -> bool:
    return isinstance(value, bool | np.bool_)


def _refuse(column: pd.Series, bad: np.ndarray, file: Path, wrong: str) -> None:
    """InputError for the first bad row, counted from 1 without the heading."""
    if bad.any():
        row = int(bad.argmax())
        value = column.iloc[row]
        absent = not wrong or (pd.api.types.is_scalar(value) and pd.isna(value))
        told = "is empty" if absent else f"{str(value)[:SHOWN]!r} {wrong}"
        raise InputError(f"{file}: row {row + 1}: {column.name} {told}: the file is damaged, make it again")
