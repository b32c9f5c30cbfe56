"""A unit's lines on disk: whole and as they were written, or not there."""

import gzip
import hashlib
import json
import zlib
from pathlib import Path

import pandas as pd

from ..io.files import replacing
from ..io.json_files import parse_json
from .measures import as_table


def write_part(path: Path, table: pd.DataFrame, key: str) -> None:
    """A line of JSON for each of the table, after one with the unit's key and the hash of both."""
    records = table.astype(object).where(table.notna(), None).to_dict(orient="records")
    lines = "".join(json.dumps(record) + "\n" for record in records).encode()
    head = json.dumps({"unit": key, "sha256": _hash(key, lines)}).encode()
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(head + b"\n" + lines, mtime=0))


def read_part(path: Path, key: str) -> pd.DataFrame | None:
    """The table; None where there is none, or not the one that was written for this unit: it is then made again."""
    try:
        head, _, lines = gzip.decompress(path.read_bytes()).partition(b"\n")
        if parse_json(head, str(path)) != {"unit": key, "sha256": _hash(key, lines)}:
            return None
        return as_table([parse_json(line, str(path)) for line in lines.splitlines()])
    except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError):
        return None


def _hash(key: str, lines: bytes) -> str:
    return hashlib.sha256(key.encode() + b"\n" + lines).hexdigest()
