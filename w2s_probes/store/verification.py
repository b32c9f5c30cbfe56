"""Verification of a store: its shards are read again and compared with the manifest."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..io.files import sha256
from .dtypes import WORDS
from .layer_reading import pieces, read_float32
from .manifest import MANIFEST, Manifest, Shard, identity_key, is_as_written
from .origin import pull_again, read_origin
from .shards import DAMAGED, REPAIRED, locate_layers, read_offsets


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
        origin = read_origin(path)
        pull = None if origin is None else pull_again(path, origin, [*manifest.sites])
        again = f"give {pull}" if pull else "give the same `w2s extract` again"
        return [
            f"{path / MANIFEST}: changed or damaged since it was written: delete it and {again}, which keeps the shards"
        ]
    return []


def shard_faults(path: Path, manifest: Manifest, shard: Shard) -> list[str]:
    """The faults of one shard; its numbers are looked at only where its checksum is right.

    Of what was pulled they name the pull that brings it anew; what was added since stands in a folder of its own.
    """
    return [pulled_or_repaired(path, shard, fault) for fault in _faults(path, manifest, shard)]


def pulled_or_repaired(path: Path, shard: Shard, fault: str) -> str:
    """What is wrong with a shard, with the pull as its remedy where it was brought from an address."""
    origin = read_origin(path) if fault.endswith(REPAIRED) and "/" not in shard.file else None
    if origin is None:
        return fault
    return f"{fault.removesuffix(REPAIRED)}{pull_again(path, origin, shard.layers)} brings it anew"


def _faults(path: Path, manifest: Manifest, shard: Shard) -> list[str]:
    file = path / shard.file
    if not file.is_file():
        return [f"{file}: missing; {REPAIRED}"]
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
