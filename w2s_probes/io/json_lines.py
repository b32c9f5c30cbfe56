"""JSON lines: one object a line, in UTF-8, its values as they stand in the file."""

import gzip
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError
from .plain_values import as_json

MOST_LINE = 256 << 20  # bytes: a line longer than this is no row but a broken or hostile file


def read_json_lines(path: Path) -> pd.DataFrame:
    """The records of a file, plain or gzipped, as columns of objects; NaN where a record lacks a field.

    Raises InputError, by line number, for what is not one JSON object in UTF-8 with fields of different names.
    """
    return pd.DataFrame(_columns(_records(path)), dtype=object)


def json_line(record: dict[Any, Any]) -> str:
    """A record as a line. A field that it does not have stands in a DataFrame as NaN: it is left out."""
    present = {k: v for k, v in record.items() if not (isinstance(v, float) and math.isnan(v)) and v is not pd.NaT}
    return json.dumps(present, ensure_ascii=False, default=as_json) + "\n"


def _columns(records: Iterable[dict[str, Any]]) -> dict[str, list[Any]]:
    """The records' values by field; a list of a million dictionaries would fill gigabytes."""
    columns: dict[str, list[Any]] = {}
    for number, record in enumerate(records):
        for name, value in record.items():
            if name not in columns:  # made here alone: a list a row and field would cost the square of the rows
                columns[name] = [np.nan] * number
            columns[name].append(value)
        if len(record) < len(columns):
            for name in columns.keys() - record.keys():
                columns[name].append(np.nan)
    return columns


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        for number, line in enumerate(iter(lambda: stream.readline(MOST_LINE + 1), b""), start=1):
            where = f"{path}, line {number}"
            if len(line) > MOST_LINE:
                raise InputError(f"{where}: longer than {MOST_LINE >> 20} MiB; a row has a line of its own")
            if not line.strip():
                continue
            try:
                # Decoded here: from bytes, json guesses UTF-16 and lets halves of surrogate pairs pass.
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                record = json.loads(text, object_pairs_hook=_object)
                if r"\u" in text:
                    json.dumps(record, ensure_ascii=False).encode()  # refuses half of a surrogate pair
            except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested beyond reason
                raise InputError(f"{where}: not JSON ({str(error).splitlines()[0]})") from error
            if not isinstance(record, dict):
                shown = line[:40].decode(errors="replace").strip()
                raise InputError(f"{where}: a JSON object was expected, not {shown}")
            yield record


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the field {next(n for n in names if names.count(n) > 1)!r} stands twice")
    return record
