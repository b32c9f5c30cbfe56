"""Memory maps of probelab: a folder with a file of bfloat16 words for each layer, and where each row's tokens are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, preview
from ..io.files import sha256
from ..io.json_files import read_json
from ..store.layers import LayerSpec
from .by_layer import Layers, chosen_layers
from .row_places import RowPlaces, runs

META, OFFSETS, FORM = "meta.json", "offsets.bin", "memmap_v1"
SOURCE = "probelab 0.1.0, probelab/storage/memmap.py (memmap_v1)"
NAMES = ("total_tokens", "hidden_dim", "n_samples")


@dataclass(frozen=True)
class _MappedColumn:
    """One layer's file as an array (vectors, width) of the places that are read."""

    path: Path
    places: NDArray[np.int64]
    whole: tuple[int, int]  # (tokens, width) of the file

    @property
    def shape(self) -> tuple[int, int]:
        """Vectors that are read, and width."""
        return len(self.places), self.whole[1]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, chosen: slice) -> NDArray[Any]:
        """Words (vectors, width)."""
        mapped = np.memmap(self.path, dtype="<u2", mode="r", shape=self.whole)
        return np.concatenate([mapped[run] for run in runs(self.places[chosen])])


def is_memmap(path: Path) -> bool:
    """Whether a path is a folder of memory maps."""
    return path.is_dir()


def read_memmap(
    folder: Path, count: int, position: str, layers: LayerSpec | None, depth: int | None
) -> tuple[RowPlaces, Layers]:
    """Where the vectors of `count` rows stand, and each layer as a column of which places are read.

    Its layer i is what block i hands on, our layer i + 1. InputError for a folder of another form, and for files that
    are not of the size that it says.
    """
    meta = read_json(folder / META, "not written by probelab") if (folder / META).is_file() else None
    if not isinstance(meta, dict) or meta.get("format") != FORM:
        raise InputError(f"{folder}: no {META} of the format {FORM}: not of --layout probelab")
    sizes = [meta.get(name) for name in NAMES]
    own = meta.get("layers")
    if not all(type(size) is int and size > 0 for size in sizes) or not isinstance(own, list) or not own:
        raise InputError(f"{folder / META}: `{'`, `'.join(NAMES)}` and `layers` must be whole numbers above 0")
    tokens, width, rows = (int(size) for size in sizes if size is not None)
    if not all(type(layer) is int and layer >= 0 for layer in own) or len(set(own)) < len(own):
        raise InputError(f"{folder / META}: layers {preview(own, 12)}: each must be a block's number, once")
    offsets = np.array(_mapped(folder / OFFSETS, "<i8", (rows + 1,)), dtype=np.int64)
    if offsets[-1] != tokens:
        raise InputError(f"{folder / OFFSETS}: ends at {offsets[-1]}, and there are {tokens} tokens by {META}")
    where = RowPlaces.by_offsets(offsets, np.arange(count), position, str(folder))
    held = {layer + 1: folder / f"layer_{layer}.bin" for layer in sorted(own)}
    wanted = sorted(held) if layers is None else chosen_layers(layers, depth)
    if missing := [layer for layer in wanted if layer not in held]:
        raise InputError(f"{folder}: no layer {missing[0]} (its block {missing[0] - 1}); it holds {sorted(held)}")
    for layer in wanted:
        _mapped(held[layer], "<u2", (tokens, width))
    columns: dict[int, Any] = {layer: _MappedColumn(held[layer], where.places, (tokens, width)) for layer in wanted}
    return where, Layers(columns, {layer: f"imported layer_{layer - 1}" for layer in wanted}, "bfloat16")


def digest_of(folder: Path) -> str:
    """The checksums of its files, one after another."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".bin", ".json"))
    return ",".join(f"{path.name}:{sha256(path)[:16]}" for path in files)


def _mapped(path: Path, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """A file as an array of a shape; InputError where it is not there, or of another size."""
    needed = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if not path.is_file() or path.stat().st_size != needed:
        size = path.stat().st_size if path.is_file() else 0
        raise InputError(f"{path}: {size} bytes, and {META} says {needed}: missing, or cut")
    return np.memmap(path, dtype=dtype, mode="r", shape=shape)
