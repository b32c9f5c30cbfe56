"""A store as files of one layer and one part each, which is how it lies at an address."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..io.files import sha256
from ..store.activation_store import ActivationStore
from ..store.dtypes import WORDS
from ..store.manifest import Shard
from ..store.shards import NAME, Content, locate_layers, read_header, read_offsets, write_shard
from .fewer_layers import layer_key


@dataclass(frozen=True)
class LayerFile:
    """A file of one layer: its entry in a manifest, and where it lies here."""

    shard: Shard
    path: Path


class LayerFiles:
    """A store's files of one layer each.

    Each repeats the ids of its rows, and has the key of an extraction of this layer alone, so that it comes out bit
    for bit the same whatever other layers the store has, and `w2s repair` makes it anew. A file of the store that
    holds one layer alone is taken as it is.
    """

    def __init__(self, store: ActivationStore) -> None:
        self.store = store
        self._sound: set[str] = set()

    def make(self, shard: Shard, layer: int, folder: Path) -> LayerFile:
        """A shard's layer as a file, in a folder for such files unless it is one already.

        InputError for a shard whose checksum is not the manifest's: what is damaged is not passed on.
        """
        manifest, path = self.store.manifest, self.store.path / shard.file
        if shard.file not in self._sound:
            if sha256(path)[:16] != shard.checksum:
                raise InputError(f"{path}: checksum differs from the manifest: damaged; `w2s repair` makes it anew")
            self._sound.add(shard.file)
        name, header = NAME.fullmatch(path.name), read_header(path)
        part = int(name["part"]) if name else manifest.shards.index(shard)
        checksum = shard.checksum
        if header.layers != [layer]:
            content = self._content(shard, layer, path, header.ids)
            path = write_shard(folder, part, content, manifest.dtype, layer_key(manifest, layer))
            checksum = path.stem.rpartition("-")[2]
        entry = {
            "file": f"shard-{part:05d}-layer-{layer:03d}-{checksum}.h5",
            "layers": [layer],
            "bytes": path.stat().st_size,
            "checksum": checksum,
        }
        return LayerFile(shard.model_copy(update=entry), path)

    def _content(self, shard: Shard, layer: int, path: Path, ids: list[str]) -> Content:
        if not self.store.manifest.ragged:
            return Content(ids, {layer: self._words(path, layer, shard.rows)}, shard.cut)
        offsets, tokens = read_offsets(path, shard.rows)
        return Content(ids, {layer: self._words(path, layer, len(tokens))}, shard.cut, offsets, tokens)

    def _words(self, path: Path, layer: int, count: int) -> NDArray[Any]:
        manifest = self.store.manifest
        at = locate_layers(path, [layer], manifest.dtype, count, manifest.width)[layer]
        words = np.fromfile(path, WORDS[manifest.dtype], count * manifest.width, offset=at)
        if len(words) != count * manifest.width:
            raise InputError(f"{path}: ends too early: truncated; `w2s repair` makes it anew")
        return words.reshape(count, manifest.width)
