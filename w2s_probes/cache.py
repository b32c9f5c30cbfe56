"""Stores in a folder: which there are, and deleting those of no more use."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import InputError
from .files import PARTIAL
from .manifest import MANIFEST, Manifest
from .parts import parts_there

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
        model = m.notes.get("model", "?")
        return (
            f"{self.path}  {self.bytes:,} bytes  {rows}, {len(m.sites)} layers, {identity.get('position', '?')}, "
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
    """Delete temporary files a day old, and the stores asked for; what was deleted, with its bytes.

    `days`: stores that nobody changed or read for so long. `unfinished`: those of them that were not finished, and
    have not been touched for a day.
    """
    now = time.time()
    doomed = [
        (store.path, store.bytes)
        for store in cached_stores(folder)
        if (days is not None and now - store.used > days * DAY)
        or (unfinished and not store.finished and now - store.used > DAY)
    ]
    gone = {path for path, _ in doomed}
    for file in folder.rglob(".*.partial.*"):
        stale = PARTIAL.fullmatch(file.name) and file.is_file() and now - file.stat().st_mtime > DAY
        if stale and not gone & set(file.parents):
            doomed.append((file, file.stat().st_size))
    for path, _ in doomed if not dry_run else ():
        if path.is_dir():
            (path / MANIFEST).unlink()  # first: what is left by a kill is no store
            shutil.rmtree(path)
        else:
            path.unlink()
    return doomed


def _stores(folder: Path) -> Iterator[CachedStore]:
    for manifest_file in sorted(folder.rglob(MANIFEST)):
        path = manifest_file.parent
        if path.name.startswith("added-") and (path.parent / MANIFEST).exists():  # a part of the store around it
            continue
        try:
            manifest = Manifest.read(path)
        except InputError:  # another program's manifest.json, or another release's store
            continue
        files = {file: file.stat() for file in path.rglob("*") if file.is_file()}
        done = manifest.rows if manifest.shards else sum(s.rows for s in parts_there(path, manifest).values())
        # Looking at a store reads its manifest, and an unfinished one's shards: these accesses tell nothing.
        read = [found.st_atime for file, found in files.items() if manifest.shards and file.suffix == ".h5"]
        used = max([found.st_mtime for found in files.values()] + read)
        yield CachedStore(path, manifest, done, sum(found.st_size for found in files.values()), used)
