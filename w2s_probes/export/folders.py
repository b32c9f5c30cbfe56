"""Exports that are folders: whole or absent, the same bytes each time, and never in the place of other files."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..io.files import HOST, remove_abandoned, sha256
from ..places.sole_writer import sole_writer

MARK = "w2s-export.json"  # the record in a folder, by which it is known as ours


def refuse_foreign(path: Path) -> None:
    """InputError where `path` is neither absent, nor an empty folder, nor an earlier export."""
    if not os.path.lexists(path):
        return
    if not path.is_dir():
        raise InputError(f"{path}: exists and is no folder, which this format writes: give another --out")
    if any(path.iterdir()) and not (path / MARK).is_file():
        raise InputError(f"{path}: exists and is not an export of w2s (no {MARK}): give another --out")


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place, or an earlier export's, when the block ends well.

    InputError where another process writes there.
    """
    refuse_foreign(path)
    with sole_writer(path, path.resolve()), _replacing(path.resolve()) as temporary:
        yield temporary


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    name = f".{uuid.uuid4().hex[:8]}.{HOST}-{os.getpid()}.partial.{path.name}"
    temporary, old = path.with_name(name), path.with_name(f"{name}.old")
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        temporary.mkdir(parents=True)
        remove_abandoned(path.parent)
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _to_disk(file)
        if path.exists():
            path.rename(old)  # a folder that is not empty cannot be replaced in one step
        try:
            temporary.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
        made = []
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        for folder in (temporary, old):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in made:
            with suppress(OSError):  # not empty: another process has put something there
                folder.rmdir()


def _to_disk(file: Path) -> None:
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """The record of an export, with the hash of every file that is in its folder by now."""
    files = {str(f.relative_to(folder)): sha256(f) for f in sorted(folder.rglob("*")) if f.is_file()}
    text = json.dumps(record | {"files": files}, indent=1, sort_keys=True, ensure_ascii=False)
    (folder / MARK).write_text(text + "\n", encoding="utf-8")
