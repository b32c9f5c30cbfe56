"""The columns of a table, from its first bytes: what kind of file it is, without reading it."""

import csv
import gzip
import json
import zlib
from pathlib import Path

import pyarrow.parquet as pq

from w2s_probes.errors import InputError


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
    except (
        ValueError,
        OSError,
        EOFError,
        RecursionError,
        zlib.error,
        csv.Error,
    ) as error:  # pyarrow's own are among these
        raise InputError(f"{file}: cannot be read ({str(error).splitlines()[0]}): make it again, or move it") from error
    return set(first) if isinstance(first, dict) else set()
