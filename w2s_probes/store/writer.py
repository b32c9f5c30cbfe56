"""The writer of a store: any number of processes, killed at any instant, end with the same bits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..io.files import PARTIAL, remove_abandoned
from .activation_store import ActivationStore, check_listing, size_on_disk
from .dtypes import StoredDtype
from .manifest import ADDED, MANIFEST, Manifest, Shard, differing_fields, identity_key
from .parts import part_count, part_rows, parts_there
from .shards import NAME, Content, write_shard


class StoreWriter:
    """The writer of a store, part by part, in any order; nothing is on disk before the first part is whole.

    >>> import tempfile
    >>> import numpy as np
    >>> about = {"identity": {"weights": "w"}, "sites": {0: "embedding"}, "depth": 2, "width": 3, "dtype": "float32"}
    >>> writer = StoreWriter.open(f"{tempfile.mkdtemp()}/acts", ids=["a", "b"], shard_rows=1, **about)
    >>> for part in writer.missing():
    ...     ids = writer.ids[writer.rows_of(part)]
    ...     writer.write(part, Content(ids, {0: np.zeros((len(ids), 3), dtype=np.float32)}))
    >>> writer.finish({}).shape
    (2, 1, 3)
    """

    def __init__(self, path: Path, manifest: Manifest, ids: Sequence[str]) -> None:
        self.path = path
        self.manifest = manifest
        self.ids = ids
        self._found: dict[int, Shard] = {}

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        identity: dict[str, Any],
        sites: dict[int, str],
        depth: int,
        width: int,
        dtype: StoredDtype,
        ids: Sequence[str],
        shard_rows: int,
        ragged: bool = False,
    ) -> "StoreWriter":
        """Begin a store of these rows, or go on with one of the same identity.

        Raises InputError, naming the fields, if a store of another identity is there, and if the folder holds
        something else.
        """
        path = Path(path)
        if cut_short := [name for name in ids if name.endswith("\0")]:
            raise InputError(f"id {cut_short[0]!r} ends in a NUL character, which HDF5 would drop: give it another id")
        manifest = Manifest(
            key=identity_key(identity),
            identity=identity,
            sites=sites,
            depth=depth,
            width=width,
            dtype=dtype,
            rows=len(ids),
            shard_rows=shard_rows,
            ragged=ragged,
        )
        if (path / MANIFEST).exists():
            manifest = same_or_refuse(path, identity)
        elif path.exists() and (not path.is_dir() or not all(map(_ours, path.iterdir()))):
            raise InputError(f"{path}: exists and is not an activation store: give another --out")
        remove_abandoned(path)
        return cls(path, manifest, ids)

    @property
    def finished(self) -> bool:
        """Whether the store's shards are listed and there; InputError for one with additions that lacks a shard."""
        if not self.manifest.shards:
            return False
        if all(size_on_disk(self.path, shard) == shard.bytes for shard in self.manifest.shards):
            return True
        if any("/" in shard.file for shard in self.manifest.shards):  # no longer cut into equal parts
            check_listing(self.path, self.manifest)
        return False

    def missing(self) -> list[int]:
        """The parts that are not written yet."""
        if self.finished:
            return []
        self._found = parts_there(self.path, self.manifest, self.ids, self._found)
        return [part for part in range(part_count(self.manifest)) if part not in self._found]

    def rows_of(self, part: int) -> slice:
        """The rows of a part."""
        return part_rows(self.manifest, part)

    def note(self, notes: dict[str, Any]) -> None:
        """Add notes to the manifest, from the first part on: a killed process cannot add them later."""
        self.manifest = self.manifest.model_copy(update={"notes": self.manifest.notes | notes})

    def write(self, part: int, content: Content) -> None:
        """Store a part."""
        if set(content.layers) != set(self.manifest.sites):
            raise InputError(f"layers {sorted(content.layers)} were given, the store has {sorted(self.manifest.sites)}")
        if list(content.ids) != list(self.ids[self.rows_of(part)]):
            raise InputError(f"the ids given are not those of part {part}")
        write_shard(self.path, part, content, self.manifest.dtype, self.manifest.key, before=self._begin)
        same_or_refuse(self.path, self.manifest.identity)  # another process may have been first, with something else

    def _begin(self) -> None:
        """Write the first manifest: a shard is never without its notes, and a manifest never before a whole shard."""
        if not (self.path / MANIFEST).exists():
            self.manifest.write(self.path, first=True)

    def finish(self, notes: dict[str, Any]) -> ActivationStore | None:
        """List the shards, with notes, and open the finished store; None while parts are missing."""
        if not self.finished:
            if self.missing():
                return None
            shards = [self._found[part] for part in sorted(self._found)]
            cut = sum(shard.cut for shard in shards)
            self.note(notes | {"cut_rows": cut})
            self.manifest = self.manifest.model_copy(update={"shards": shards})
            self.manifest.write(self.path)
        return ActivationStore.open(self.path)


def _ours(file: Path) -> bool:
    """Whether a file may be a writer's: one killed before its first manifest, or one at work beside us."""
    return file.name == MANIFEST or any(name.fullmatch(file.name) for name in (NAME, PARTIAL, ADDED))


def same_or_refuse(path: Path, identity: dict[str, Any]) -> Manifest:
    """The manifest at `path` if it has this identity; else InputError that says which field differs."""
    manifest = Manifest.read(path)
    if manifest.key != identity_key(identity):
        fields = {name for name in identity | manifest.identity if identity.get(name) != manifest.identity.get(name)}
        more = ", or --add to add rows and layers to these" if fields <= {"rows", "layers"} else ""
        raise InputError(
            f"{path} holds other activations ({differing_fields(identity, manifest.identity)}): give another --out"
            + more
        )
    return manifest
