"""Where a store was pulled from, in a file beside its manifest: the store itself is the same as at the address."""

import json
import shlex
from pathlib import Path

from ..errors import InputError
from ..io.files import replacing
from ..io.json_files import read_json

ORIGIN = "origin.json"
PULLED_FROM = "pulled_from"


def write_origin(folder: Path, address: str) -> None:
    """Note the address that a store's files were brought from, which holds nothing secret."""
    text = json.dumps({PULLED_FROM: address}, ensure_ascii=False) + "\n"
    path = folder / ORIGIN
    if path.is_file() and path.read_bytes() == text.encode():
        return
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_origin(folder: Path) -> str | None:
    """The address that a store was pulled from; None for one that was made here."""
    try:
        record = read_json(folder / ORIGIN)
    except InputError:
        return None
    address = record.get(PULLED_FROM) if isinstance(record, dict) else None
    return address if isinstance(address, str) else None


def pull_again(folder: Path, address: str, layers: list[int]) -> str:
    """The command that brings what a pulled store lacks, or has damaged."""
    words = ["w2s", "pull", address, str(folder), "--layers", ",".join(map(str, layers))]
    return f"`{shlex.join(words)}`"
