"""Tables of rows and labels on disk: JSONL (gzipped or not), CSV and Parquet, read and written alike."""

import gzip
import json
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import InputError
from ..rows.ids import with_ids
from .csv_files import MOST_BYTES as MOST_CSV
from .csv_files import csv_text, read_csv
from .files import is_address, refused_address, replacing
from .json_lines import json_line
from .plain_values import as_json, plain
from .readers import READERS, readable_ending

PIECE = 1 << 20  # bytes read at a time
ROWS = 8192  # written at a time
HEADER = 10  # bytes of gzip's
FORMATS = (".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet")  # that are written


def table_format(path: Path) -> str:
    """The format that a file's name ends in; InputError for any other."""
    for ending in FORMATS:
        if path.name.endswith(ending):
            return ending
    raise InputError(f"{path}: unknown format; the name must end in one of {', '.join(FORMATS)}")


def refuse_no_table(path: Path | str) -> None:
    """InputError where there is no file that `read_table` could read, by its name and its being there."""
    path = Path(path)
    if is_address(path) and not path.exists():
        raise refused_address(path)
    readable_ending(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")


def read_table(path: Path | str) -> pd.DataFrame:
    """A table as a DataFrame of Python's values, as they stand in the file; `id` is always text.

    CSV is text throughout; what its columns mean `fields.typed` says. Missing values are NaN or None. READERS may know
    other formats. Raises InputError that names the file, and for JSONL and CSV the line, where it cannot be read.
    """
    path = Path(path)
    refuse_no_table(path)
    ending = readable_ending(path)
    try:
        table = READERS[ending](path)
    except InputError:
        raise
    except (ValueError, OSError, EOFError, zlib.error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a readable {ending} file ({reason})") from error
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"{path}: the reader of {ending} returned a {type(table).__name__}, not a DataFrame")
    if table.empty:
        raise InputError(f"{path}: holds no rows")
    return with_ids(table, str(path)) if "id" in table else table


def read_csv_file(path: Path) -> pd.DataFrame:
    """A CSV file's table, plain or gzipped, as text."""
    return read_csv(_bytes(path), str(path))


def write_table(table: pd.DataFrame, path: Path | str) -> None:
    """Write a table in the format that the name ends in, whole or not at all, the same bytes each time."""
    path = Path(path)
    ending = table_format(path)
    with replacing(path) as temporary:
        if ending == ".parquet":
            try:
                table.to_parquet(temporary, index=False)
            except (ValueError, TypeError, OverflowError) as error:  # pyarrow's are among these
                raise InputError(f"{path}: a column has values of several types; write .jsonl instead") from error
        elif ending.startswith(".csv"):
            _write_pieces(temporary, [csv_text(table).encode()])
        else:
            _write_pieces(temporary, _json_lines(table))


def write_table_parts(
    parts: Iterable[pd.DataFrame], path: Path | str, *, types: Mapping[str, str] | None = None
) -> None:
    """Write a table that is given some rows at a time, as `write_table` does: memory is that of a part.

    All parts have the same columns, and one at least is needed. `types` are pandas' of columns whose first part may
    hold no value that tells what Parquet is to hold.
    """
    path = Path(path)
    ending = table_format(path)
    with replacing(path) as temporary:
        if ending == ".parquet":
            _write_parquet_parts(temporary, (part.astype(dict(types or {})) for part in parts), path)
        elif ending.startswith(".csv"):
            _write_pieces(temporary, (csv_text(part, header=not at).encode() for at, part in enumerate(parts)))
        else:
            _write_pieces(temporary, (piece for part in parts for piece in _json_lines(part)))


def _write_parquet_parts(temporary: Path, parts: Iterator[pd.DataFrame], path: Path) -> None:
    """Write a row group a part, of the types of the first; InputError for a part that has others."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def table(part: pd.DataFrame, schema: Any = None) -> Any:
        try:
            return pa.Table.from_pandas(part, schema, preserve_index=False)
        except (ValueError, TypeError, OverflowError) as error:
            raise InputError(f"{path}: a column has values of several types; write .jsonl instead") from error

    first = table(next(parts))
    with pq.ParquetWriter(temporary, first.schema) as writer:
        writer.write_table(first)
        for part in parts:
            writer.write_table(table(part, first.schema))


def refuse_unwritable(table: pd.DataFrame, path: Path | str) -> None:
    """InputError, by column and row, where the format of `path` cannot hold a value: before any work is done for it.

    Parquet wants one type a column; text formats hold whatever JSON holds, times, and bytes that are text.
    """
    path = Path(path)
    if table_format(path) == ".parquet":
        import pyarrow as pa

        for name in table.columns:
            try:
                pa.array(table[name], from_pandas=True)
            except (ValueError, TypeError, OverflowError) as error:
                raise InputError(
                    f"{path}: column {name!r} has values of several types; write .jsonl instead"
                ) from error
        return
    for name in table.columns:
        for row, value in enumerate(table[name].tolist()):
            if isinstance(value, str | int | float | type(None)):
                continue
            try:
                json.dumps(plain(value), default=as_json)
            except (ValueError, TypeError, RecursionError) as error:
                where = f"row {table['id'].iloc[row]!r}" if "id" in table else f"row {row + 1}"
                kind = type(value).__name__
                raise InputError(
                    f"{path}: the {name} of {where} is a {kind}, which no text file holds: drop it"
                ) from error


def _bytes(path: Path) -> bytes:
    """A file's content, unpacked; of a file with more than a CSV file may have, a little more than that."""
    parts: list[bytes] = []
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        while sum(map(len, parts)) <= MOST_CSV and (part := stream.read(PIECE)):
            parts.append(part)
    return b"".join(parts)


def _json_lines(table: pd.DataFrame) -> Iterator[bytes]:
    """The table's lines, some thousand rows at a time: a million rows as Python's values fill gigabytes."""
    names = list(table.columns)
    for start in range(0, len(table), ROWS):
        part = table.iloc[start : start + ROWS]
        columns = [part.iloc[:, at].tolist() for at in range(part.shape[1])]
        records = (dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True))
        yield "".join(map(json_line, records)).encode()


def _write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a text, of a name that ends in .gz gzipped as `gzip.compress` with `mtime=0` does."""
    with path.open("wb") as stream:
        if path.suffix != ".gz":
            stream.writelines(pieces)
            return
        # Not through a gzip file: its header would hold the temporary name and the time.
        stream.write(gzip.compress(b"", mtime=0)[:HEADER])
        packing, checksum, size = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS), 0, 0
        for piece in pieces:
            stream.write(packing.compress(piece))
            checksum, size = zlib.crc32(piece, checksum), size + len(piece)
        stream.write(packing.flush() + struct.pack("<LL", checksum, size & 0xFFFFFFFF))
