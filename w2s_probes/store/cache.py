"""The stores below a folder: a list of them, and the deletion of those no longer of use."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..io.files import PARTIAL
from ..neighbors.store_graphs import GRAPH
from .manifest import ADDED, MANIFEST, Manifest
from .origin import ORIGIN
from .parts import parts_there
from .read_again import what_is_held
from .shards import NAME

DAY = 86400.0


@dataclass(frozen=True)
class CachedStore:
    """A store on disk, as its manifest describes it."""

    path: Path
    manifest: Manifest
    done: int  # rows that are stored
    bytes: int  # of all its files
    used: float  # seconds since the epoch when its manifest was last written, or, where that is kept, a shard read

    @property
    def finished(self) -> bool:
        """Whether every row is there."""
        return self.done == self.manifest.rows

    def __str__(self) -> str:
        m, identity = self.manifest, self.manifest.identity
        rows = f"{m.rows} rows" if self.finished else f"unfinished, {self.done} of {m.rows} rows"
        layers = f"{len(m.sites)} layer{'s' * (len(m.sites) != 1)}"
        model = m.notes.get("model", "?")
        return (
            f"{self.path}  {self.bytes:,} bytes  {rows}, {layers}, {what_is_held(identity)}, "
            f"{m.dtype}, {model}, key {m.key[:12]}, {(time.time() - self.used) / DAY:.1f} days old"
        )


def cached_stores(folder: Path) -> list[CachedStore]:
    """The stores below a folder, the largest first; InputError if there is no such folder."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name the one that holds stores, or set W2S_CACHE")
    return sorted(_stores(folder), key=lambda store: -store.bytes)


def collect_garbage(
    folder: Path, *, days: float | None = None, unfinished: bool = False, dry_run: bool = False
) -> list[tuple[Path, int]]:
    """Delete temporary files a day old, and the stores asked for; return the deleted paths with their bytes.

    `days`: stores not changed or read for that many days. `unfinished`: stores that were not finished and not touched
    for a day, and such additions to stores. Of a store its own files are deleted; any other file in its folder is left.
    """
    now = time.time()
    doomed = []
    for store in cached_stores(folder):
        idle = now - store.used
        old = days is not None and idle > days * DAY and (store.finished or idle > DAY)  # else one at work
        if old or (unfinished and not store.finished and idle > DAY):
            doomed.append((store.path, store.bytes))
        elif unfinished:
            doomed += [(path, size) for path, size, changed in _unlisted(store) if now - changed > DAY]
    gone = {path for path, _ in doomed}
    for file, found in _sizes(folder.rglob(".*.partial.*")).items():
        if PARTIAL.fullmatch(file.name) and now - found.st_mtime > DAY and not gone & set(file.parents):
            doomed.append((file, found.st_size))
    for path, _ in doomed if not dry_run else ():
        if path.is_dir():
            _delete(path)
        else:
            path.unlink(missing_ok=True)
    return doomed


def _unlisted(store: CachedStore) -> Iterator[tuple[Path, int, float]]:
    """Additions that were begun and never listed: folder, bytes, and when they were last changed."""
    listed = {Path(shard.file).parts[0] for shard in store.manifest.shards}
    for path in store.path.iterdir():
        if _is_addition(path) and path.name not in listed:
            files = _sizes(_own_files(path)).values()
            yield path, sum(file.st_size for file in files), max((file.st_mtime for file in files), default=0.0)


def _delete(store: Path) -> None:
    (store / MANIFEST).unlink(missing_ok=True)  # first: what is left by a kill is no store
    for file in list(_own_files(store)):
        file.unlink(missing_ok=True)
    for folder in (*filter(_is_addition, store.iterdir()), store):
        with suppress(OSError):  # something else lies there
            folder.rmdir()


def _own_files(store: Path) -> Iterator[Path]:
    """The files of a store: in its folder, and in those of what was added."""
    for file in store.iterdir():
        if _is_addition(file):
            yield from _own_files(file)
        elif file.name in (MANIFEST, ORIGIN) or any(kind.fullmatch(file.name) for kind in (NAME, PARTIAL, GRAPH)):
            yield file


def _is_addition(file: Path) -> bool:
    return bool(ADDED.fullmatch(file.name)) and file.is_dir() and not file.is_symlink()


def _sizes(files: Iterator[Path]) -> dict[Path, os.stat_result]:
    found = {}
    for file in files:
        with suppress(FileNotFoundError):  # renamed meanwhile, by a process at work there
            if file.is_file():
                found[file] = file.stat()
    return found


def _stores(folder: Path) -> Iterator[CachedStore]:
    for manifest_file in sorted(folder.rglob(MANIFEST)):
        path = manifest_file.parent
        if manifest_file.is_symlink():  # somebody's view of a store elsewhere
            continue
        if path.name.startswith("added-") and (path.parent / MANIFEST).exists():  # a part of the store around it
            continue
        try:
            manifest = Manifest.read(path)
        except InputError:  # another program's manifest.json, or another release's store
            continue
        files = _sizes(_own_files(path))
        done = manifest.rows if manifest.shards else sum(s.rows for s in parts_there(path, manifest).values())
        # Looking at a store reads its manifest, and an unfinished one's shards: these accesses tell nothing.
        read = [found.st_atime for file, found in files.items() if manifest.shards and file.suffix == ".h5"]
        used = max([found.st_mtime for found in files.values()] + read)
        yield CachedStore(path, manifest, done, sum(found.st_size for found in files.values()), used)
