"""Sealed records: JSON with a checksum of its own content, and one of each file beside it."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..store.manifest import identity_key
from .files import is_inside, replacing, sha256

FILES, CHECKSUM = "files", "checksum"
CHANGED, GONE = "changed", "gone"  # since it was written


def write_sealed(path: Path, record: Mapping[str, Any], files: Iterable[str]) -> None:
    """Write a record with the SHA-256 of those `files` that are there, named from its folder, and its own checksum."""
    hashes = {name: sha256(path.parent / name) for name in sorted(files) if (path.parent / name).is_file()}
    content = json.loads(json.dumps({**record, FILES: hashes}))  # as it will be read: keys are text, tuples are lists
    with replacing(path) as temporary:
        text = json.dumps({**content, CHECKSUM: identity_key(content)}, indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")


def not_as_written(path: Path, record: Mapping[str, Any], names: Iterable[str] | None = None) -> dict[str, str]:
    """The files CHANGED or GONE since a record was written to `path`: the record itself, and those of `names`, or all.

    Records of before there were checksums say nothing. A file that is not in the record's folder is never opened.
    """
    altered = {}
    content = {name: value for name, value in record.items() if name != CHECKSUM}
    if (FILES in record or CHECKSUM in record) and record.get(CHECKSUM) != identity_key(content):
        altered[path.name] = CHANGED
    files = record.get(FILES)
    wanted = None if names is None else set(names)
    for name, checksum in files.items() if isinstance(files, dict) else ():
        if not is_inside(name) or (wanted is not None and name not in wanted):
            continue
        file = path.parent / name
        if not file.is_file():
            altered[name] = GONE
        elif sha256(file) != checksum:
            altered[name] = CHANGED
    return altered
