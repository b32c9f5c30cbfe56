"""Verification of a store: its shards are read again and compared with the manifest."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..io.files import sha256
from .dtypes import WORDS
from .layer_reading import pieces, read_float32
from .manifest import MANIFEST, Manifest, Shard, identity_key, is_as_written
from .shards import DAMAGED, locate_layers, read_offsets


@dataclass(frozen=True)
class Verification:
    """The result of `ActivationStore.verify`: how much was read, and every fault in it."""

    rows: int
    layers: int
    bytes: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.problems


def manifest_faults(path: Path, manifest: Manifest) -> list[str]:
    """The faults of the manifest itself."""
    if identity_key(manifest.identity) != manifest.key or not is_as_written(path):
        return [
            f"{path / MANIFEST}: changed or damaged since it was written: delete it and give the same `w2s extract` "
            "again, which keeps the shards"
        ]
    return []


def shard_faults(path: Path, manifest: Manifest, shard: Shard) -> list[str]:
    """The faults of one shard; its numbers are looked at only where its checksum is right."""
    file = path / shard.file
    if not file.is_file():
        return [f"{file}: missing; `w2s repair` makes it anew"]
    if sha256(file)[:16] != shard.checksum:
        return [f"{file}: checksum differs from the manifest: changed or {DAMAGED}"]
    problems = []
    try:
        count = len(read_offsets(file, shard.rows)[1]) if manifest.ragged else shard.rows
        for layer, at in locate_layers(file, shard.layers, manifest.dtype, count, manifest.width).items():
            if bad := _not_finite(file, manifest, at, count):
                problems.append(f"{file}: layer {layer} is not finite for {bad} vectors")
    except InputError as error:
        problems.append(str(error))
    return problems


def _not_finite(file: Path, manifest: Manifest, at: int, count: int) -> int:
    """The number of a layer's vectors with a number that is not finite."""
    row_bytes = manifest.width * WORDS[manifest.dtype].itemsize
    X = np.empty((count, manifest.width), np.float32)
    finite = read_float32(list(pieces(file, at, count, row_bytes, 0)), manifest.dtype, X)
    return int((~finite).sum())
