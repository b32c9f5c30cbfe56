"""Tables of rows and labels on disk: JSONL (gzipped or not), CSV and Parquet, read and written alike."""

import gzip
import json
import math
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .errors import InputError
from .files import replacing
from .ids import refuse_doubled

FORMATS = (".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet")


def table_format(path: Path) -> str:
    """The format that a file's name ends in; InputError for any other."""
    for ending in FORMATS:
        if path.name.endswith(ending):
            return ending
    raise InputError(f"{path}: unknown format; the name must end in one of {', '.join(FORMATS)}")


def read_table(path: Path | str) -> pd.DataFrame:
    """A table as a DataFrame, fields as they stand in the file; `id` is always read as text.

    Raises InputError that names the file, and for JSONL the line, where it cannot be read.
    """
    path = Path(path)
    ending = table_format(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        if ending == ".parquet":
            table = pd.read_parquet(path)
        elif ending.startswith(".csv"):
            table = pd.read_csv(path, dtype={"id": str})
        else:
            table = pd.DataFrame(_columns(_json_lines(path)), dtype=object)  # values as they stand in the file
    except InputError:
        raise
    except (ValueError, OSError, EOFError, zlib.error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a readable {ending} file ({reason})") from error
    if table.empty:
        raise InputError(f"{path}: holds no rows")
    if "id" in table:
        if table["id"].isna().any():
            raise InputError(f"{path}: row {int(table['id'].isna().argmax()) + 1} has no id")
        nested = table["id"].map(lambda value: isinstance(value, list | dict)).astype(bool)
        if nested.any():
            raise InputError(f"{path}: the id of row {int(nested.argmax()) + 1} is neither text nor a number")
        table["id"] = table["id"].astype(str)
        refuse_doubled(table["id"], str(path))
    return table


def _columns(records: Iterable[dict[str, Any]]) -> dict[str, list[Any]]:
    """The records' values by field, NaN where one lacks it; a list of a million dictionaries would fill gigabytes."""
    columns: dict[str, list[Any]] = {}
    for number, record in enumerate(records):
        for name, value in record.items():
            columns.setdefault(name, [np.nan] * number).append(value)
        if len(record) < len(columns):
            for name in columns.keys() - record.keys():
                columns[name].append(np.nan)
    return columns


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                if rb"\u" in line:
                    json.dumps(record, ensure_ascii=False).encode()  # refuses half of a surrogate pair
            except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested beyond reason
                raise InputError(f"{path}, line {number}: not JSON ({str(error).splitlines()[0]})") from error
            if not isinstance(record, dict):
                shown = line[:40].decode(errors="replace").strip()
                raise InputError(f"{path}, line {number}: a JSON object was expected, not {shown}")
            yield record


def write_table(table: pd.DataFrame, path: Path | str) -> None:
    """Write a table in the format that the name ends in, whole or not at all, the same bytes each time."""
    path = Path(path)
    ending = table_format(path)
    with replacing(path) as temporary:
        if ending == ".parquet":
            try:
                table.to_parquet(temporary, index=False)
            except (ValueError, TypeError) as error:  # pyarrow's are among these
                raise InputError(f"{path}: a column has values of several types; write .jsonl instead") from error
        elif ending.startswith(".csv"):
            _write_text(temporary, table.to_csv(index=False))
        else:
            _write_text(temporary, "".join(_json_line(record) for record in table.to_dict(orient="records")))


def _write_text(path: Path, text: str) -> None:
    # Not through a gzip file: its header would hold the temporary name and the time.
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if path.suffix == ".gz" else text.encode())


def _json_line(record: dict[Any, Any]) -> str:
    # A field that a row does not have comes back from a DataFrame as NaN: it is left out again.
    present = {k: v for k, v in record.items() if not (isinstance(v, float) and math.isnan(v))}
    return json.dumps(present, ensure_ascii=False, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value.tolist()
