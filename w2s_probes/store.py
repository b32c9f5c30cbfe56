"""The activation store: a folder of HDF5 shards and a manifest. Rows keep one order; layers are read one at a time."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import shards
from .dtypes import WORDS, StoredDtype, to_float32
from .errors import InputError, some
from .files import sha256
from .ids import positions, refuse_doubled
from .layers import LayerSpec, one_layer
from .manifest import MANIFEST, Manifest, Shard, differing_fields, identity_key

# What a writer that was killed before its first manifest leaves; it is written over.
OURS = re.compile(r"shard-\d{5}\.h5|\.[0-9a-f]{8}\.partial\..*")


@dataclass(frozen=True)
class Verification:
    """What `ActivationStore.verify` read, and every fault it found."""

    rows: int
    layers: int
    bytes: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.problems


class ActivationStore:
    """Activations of n rows at several layers: `store.layer(16)` is float32 (n, width) in `store.ids` order."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def open(cls, path: Path | str) -> "ActivationStore":
        """Open a finished store for reading.

        Raises InputError if the folder is no store, is of another schema version, is not finished, or has a
        shard that is missing or not of its recorded size. Contents are checked by `verify`.
        """
        path = Path(path)
        manifest = Manifest.read(path)
        if not manifest.complete:
            done = sum(shard.rows for shard in manifest.shards)
            raise InputError(
                f"{path}: not finished ({done} of {manifest.rows} rows): give the same `w2s extract` again"
            )
        least = len(manifest.sites) * manifest.rows * manifest.width * WORDS[manifest.dtype].itemsize
        if sum(shard.bytes for shard in manifest.shards) < least:
            raise InputError(f"{path / MANIFEST}: its rows, layers and width need more bytes than its shards have")
        for shard in manifest.shards:
            size = size_on_disk(path, shard)
            if size != shard.bytes:
                raise InputError(
                    f"{path / shard.file}: {size} bytes, the manifest says {shard.bytes}: truncated; give the same "
                    "`w2s extract` again, which makes it and what follows anew"
                )
        return cls(path, manifest)

    @property
    def layers(self) -> list[int]:
        """The stored layers, ascending; 0 is the embedding output."""
        return sorted(self.manifest.sites)

    @property
    def key(self) -> str:
        """The name of these numbers: a hash of all that made them."""
        return self.manifest.key

    @cached_property
    def ids(self) -> NDArray[np.object_]:
        """(n,) row ids, in the order in which rows were given to the extractor."""
        names = [i for shard in self.manifest.shards for i in shards.read_ids(self.path / shard.file, shard.rows)]
        refuse_doubled(names, str(self.path))
        return np.array(names, dtype=object)

    def __len__(self) -> int:
        return self.manifest.rows

    def __repr__(self) -> str:
        m = self.manifest
        return f"ActivationStore({str(self.path)!r}: {m.rows} rows, layers {self.layers}, width {m.width}, {m.dtype})"

    def resolve(self, layer: LayerSpec) -> int:
        """The stored layer that a specification names (see `layers.parse_layers`); InputError if not stored."""
        index = one_layer(layer, self.manifest.depth)
        if index not in self.manifest.sites:
            raise InputError(f"layer {index} is not in {self.path}; it holds {some(self.layers, 40)}")
        return index

    def words(self, layer: LayerSpec) -> NDArray[Any]:
        """The layer as stored, bit for bit: (n, width) words of `manifest.dtype` (bfloat16 as uint16)."""
        index, m = self.resolve(layer), self.manifest
        out = np.empty((m.rows, m.width), dtype=WORDS[m.dtype])
        start = 0
        for shard in m.shards:
            shards.read_words(self.path / shard.file, index, m.dtype, out[start : start + shard.rows])
            start += shard.rows
        return out

    def layer(self, layer: LayerSpec, ids: Sequence[str] | NDArray[np.object_] | None = None) -> NDArray[np.float32]:
        """One layer as float32 (n, width): all rows in `ids` order, or the rows asked for in the order asked.

        Raises InputError for a layer or id that is not stored and for values that are not finite.
        """
        words = self.words(layer)
        if ids is not None:
            words = words[positions(self.ids, ids, str(self.path))]
        X = to_float32(words, self.manifest.dtype)
        finite = np.isfinite(X).all(axis=1)
        if not finite.all():
            row = (self.ids if ids is None else np.asarray(ids, dtype=object))[int(finite.argmin())]
            raise InputError(
                f"{self.path}: layer {self.resolve(layer)} is not finite for {int((~finite).sum())} rows, first "
                f"{row!r}: extract with another --dtype"
            )
        return X

    def verify(self) -> Verification:
        """Read everything again: checksums, ids, shapes, and that every number is finite."""
        m = self.manifest
        problems = []
        if identity_key(m.identity) != m.key:
            problems.append(f"{self.path / MANIFEST}: the key is not that of the identity: edited by hand?")
        for shard in m.shards:
            file = self.path / shard.file
            if sha256(file) != shard.sha256:
                problems.append(
                    f"{file}: checksum differs from the manifest, the shard was changed or damaged: delete it and "
                    "give the same `w2s extract` again"
                )
                continue
            problems += self._unusable(shard)
        try:
            _ = self.ids
        except InputError as error:
            problems.append(str(error))
        return Verification(m.rows, len(m.sites), sum(shard.bytes for shard in m.shards), tuple(problems))

    def _unusable(self, shard: Shard) -> list[str]:
        m, found = self.manifest, []
        words = np.empty((shard.rows, m.width), dtype=WORDS[m.dtype])
        for layer in self.layers:
            try:
                shards.read_words(self.path / shard.file, layer, m.dtype, words)
            except InputError as error:
                found.append(str(error))
            else:
                bad = int((~np.isfinite(to_float32(words, m.dtype)).all(axis=1)).sum())
                if bad:
                    found.append(f"{self.path / shard.file}: layer {layer} is not finite for {bad} rows")
        return found


class StoreWriter:
    """Writes a store shard by shard; on disk is always a whole store, the whole beginning of one, or nothing."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

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
        rows: int,
    ) -> "StoreWriter":
        """Begin a store of `rows` rows, or go on with an unfinished one of the same identity.

        Raises InputError, naming the fields, if a store of another identity is there, and if the folder holds
        something else.
        """
        path = Path(path)
        manifest = Manifest(
            key=identity_key(identity),
            identity=identity,
            sites=sites,
            depth=depth,
            width=width,
            dtype=dtype,
            rows=rows,
        )
        if (path / MANIFEST).exists():
            manifest = sound_beginning(path, same_or_refuse(path, identity))
        elif path.exists() and (not path.is_dir() or not all(OURS.fullmatch(p.name) for p in path.iterdir())):
            raise InputError(f"{path}: exists and is not an activation store: give another --out")
        return cls(path, manifest)

    @property
    def done(self) -> int:
        """How many rows, from the first, are already stored."""
        return sum(shard.rows for shard in self.manifest.shards)

    def append(self, ids: Sequence[str], layers: Mapping[int, NDArray[Any]]) -> None:
        """Store the next rows: for each layer the words (len(ids), width) of the store's dtype."""
        if set(layers) != set(self.manifest.sites):
            raise InputError(f"layers {sorted(layers)} were given, the store has {sorted(self.manifest.sites)}")
        name = f"shard-{len(self.manifest.shards):05d}.h5"
        shard = shards.write_shard(self.path / name, ids, layers, self.manifest.dtype)
        self.manifest = self.manifest.model_copy(update={"shards": [*self.manifest.shards, shard]})
        self.manifest.write(self.path)

    def finish(self, notes: dict[str, Any]) -> ActivationStore:
        """Record the notes and open the finished store."""
        self.manifest = self.manifest.model_copy(update={"notes": notes})
        self.manifest.write(self.path)
        return ActivationStore.open(self.path)


def size_on_disk(path: Path, shard: Shard) -> int:
    """How long a shard's file is; 0 where there is none."""
    file = path / shard.file
    return file.stat().st_size if file.is_file() else 0


def sound_beginning(path: Path, manifest: Manifest) -> Manifest:
    """The manifest up to the first shard that is missing or not of its recorded size."""
    kept = list(takewhile(lambda shard: size_on_disk(path, shard) == shard.bytes, manifest.shards))
    return manifest.model_copy(update={"shards": kept})


def same_or_refuse(path: Path, identity: dict[str, Any]) -> Manifest:
    """The manifest at `path` if it has this identity; else InputError that says which field differs."""
    manifest = Manifest.read(path)
    if manifest.key != identity_key(identity):
        raise InputError(
            f"{path} holds other activations ({differing_fields(identity, manifest.identity)}): give another --out"
        )
    return manifest
