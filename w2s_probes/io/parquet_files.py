"""Parquet, read by the types of its schema: what pandas wrote beside it (indexes, its own dtypes) is not asked."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError

MOST_BYTES = 16 << 30  # of decoded values: a small file can hold one long value a billion times
BATCH = 4096  # rows decoded at a time


def read_parquet(path: Path) -> pd.DataFrame:
    """Every column of the schema under its name, as Python's values: whole numbers stay whole, missing is None.

    Raises InputError for two columns of one name and for more than 16 GiB of values; pyarrow's own errors, which are
    ValueError or OSError, for a file that cannot be read.
    """
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        doubled = [name for name in names if names.count(name) > 1]
        if doubled:
            raise InputError(f"{path}: two columns are called {doubled[0]!r}: rename one")
        batches, size = [], 0
        for batch in file.iter_batches(BATCH):
            batches.append(batch)
            size += batch.nbytes
            if size > MOST_BYTES:
                raise InputError(f"{path}: holds more than {MOST_BYTES >> 30} GiB of values: split it")
        table = pa.Table.from_batches(batches, file.schema_arrow)
    return frame_of(table)


def frame_of(table: pa.Table) -> pd.DataFrame:
    """An Arrow table as columns of Python's values; bytes that are all text in UTF-8 as text."""
    columns = {name: _values(table.column(at)) for at, name in enumerate(table.column_names)}
    return pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})


def _values(column: pa.ChunkedArray) -> list[Any]:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        values = column.to_pylist()
        try:
            return [None if value is None else value.decode("utf-8") for value in values]
        except UnicodeDecodeError:
            return list(values)  # an image, say: of no account unless it is asked for
    return list(column.to_pylist())
