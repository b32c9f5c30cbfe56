"""Reading a store again: which of its shards are not what the manifest says."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .dtypes import WORDS, to_float32
from .errors import InputError
from .files import sha256
from .manifest import MANIFEST, Manifest, Shard, identity_key
from .reading import read_exactly
from .shards import DAMAGED, locate_layer, read_offsets

BLOCK = 64 << 20  # bytes read at a time


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


def manifest_faults(path: Path, manifest: Manifest) -> list[str]:
    """What is wrong with the manifest itself."""
    if identity_key(manifest.identity) != manifest.key:
        return [f"{path / MANIFEST}: the key is not that of the identity: edited by hand?"]
    return []


def shard_faults(path: Path, manifest: Manifest, shard: Shard) -> list[str]:
    """Everything wrong with one shard; its numbers are looked at only where its checksum is right."""
    file = path / shard.file
    if not file.is_file():
        return [f"{file}: missing; `w2s repair` makes it anew"]
    if sha256(file)[:16] != shard.checksum:
        return [f"{file}: checksum differs from the manifest: changed or {DAMAGED}"]
    problems = []
    try:
        count = len(read_offsets(file, shard.rows)[1]) if manifest.ragged else shard.rows
        for layer in shard.layers:
            if bad := _not_finite(file, manifest, layer, count):
                problems.append(f"{file}: layer {layer} is not finite for {bad} vectors")
    except InputError as error:
        problems.append(str(error))
    return problems


def _not_finite(file: Path, manifest: Manifest, layer: int, count: int) -> int:
    """How many of a layer's vectors have a number that is not finite."""
    row_bytes = manifest.width * WORDS[manifest.dtype].itemsize
    at = locate_layer(file, layer, manifest.dtype, count, manifest.width)
    step, bad = max(1, BLOCK // row_bytes), 0
    for first in range(0, count, step):
        words = np.empty((min(step, count - first), manifest.width), WORDS[manifest.dtype])
        read_exactly(file, at + first * row_bytes, words)
        bad += int((~np.isfinite(to_float32(words, manifest.dtype)).all(axis=1)).sum())
    return bad
