"""One shard of a store: an HDF5 file with the ids of its rows and one dataset a layer."""

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..io.files import replacing, sha256
from ..io.hdf5 import opened_hdf5
from .dtypes import WORDS, StoredDtype, check_words

IDS, OFFSETS, TOKENS = "ids", "offsets", "tokens"
DTYPE_ATTRIBUTE, KEY_ATTRIBUTE, CUT_ATTRIBUTE = "dtype", "key", "cut"
# The layer is in the names of files that hold one alone: those that were made to be sent elsewhere.
NAME = re.compile(r"shard-(?P<part>\d{5,})-(layer-\d{3,}-)?(?P<checksum>[0-9a-f]{16})\.h5")
PAGE = 4096  # bytes; layers that begin with a page of the file are read twice as fast as others
REPAIRED = "`w2s repair` makes it anew"
DAMAGED = f"damaged; {REPAIRED}"


@dataclass(frozen=True)
class Content:
    """The content of a shard: rows by id and, for each layer, words (rows, width) of the store's dtype.

    In a ragged shard the words are (tokens, width): row i has those from offsets[i] up to offsets[i + 1].
    """

    ids: Sequence[str]
    layers: Mapping[int, NDArray[Any]]
    cut: int = 0  # rows whose text was truncated
    offsets: NDArray[np.int64] | None = None  # (rows + 1,)
    tokens: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))  # (tokens,) ids


@dataclass(frozen=True)
class Header:
    """The ids and attributes of a shard."""

    ids: list[str]
    key: str
    cut: int
    layers: list[int]


def layer_name(layer: int) -> str:
    """The dataset that holds a layer."""
    return f"layer_{layer:03d}"


def write_shard(
    folder: Path,
    part: int,
    content: Content,
    dtype: StoredDtype,
    key: str,
    *,
    before: Callable[[], None] = lambda: None,
) -> Path:
    """Write a shard under a temporary name, call `before`, then rename it to one of its part and its checksum.

    Datasets are contiguous and uncompressed: reading a layer is one sequential read of its own bytes.
    """

    def checksummed(file: Path) -> str:
        named.append(f"shard-{part:05d}-{sha256(file)[:16]}.h5")
        before()
        return named[0]

    named: list[str] = []
    with replacing(folder / f"shard-{part:05d}.h5", name=checksummed) as temporary, _Stream(temporary, "w+") as stream:
        with h5py.File(stream, "w", alignment_threshold=PAGE, alignment_interval=PAGE) as file:
            # Of fixed length: HDF5 keeps other strings in a heap, which is 4 KiB, and where it is damaged never ends.
            file.attrs[DTYPE_ATTRIBUTE], file.attrs[KEY_ATTRIBUTE] = np.bytes_(dtype), np.bytes_(key)
            file.attrs[CUT_ATTRIBUTE] = content.cut
            file.create_dataset(IDS, data=np.array([i.encode() for i in content.ids], dtype=bytes))
            if content.offsets is not None:
                file.create_dataset(OFFSETS, data=content.offsets.astype("<i8"))
                file.create_dataset(TOKENS, data=content.tokens.astype("<i4"))
            for layer, words in sorted(content.layers.items()):
                file.create_dataset(layer_name(layer), data=check_words(words, dtype))
        if stream.failed is not None:
            raise stream.failed
    return folder / named[0]


class _Stream(io.FileIO):
    """A file that keeps its first error for later: HDF5, told of a full disk, prints a traceback at every step."""

    failed: OSError | None = None

    def write(self, data: Any) -> int:
        view, size = memoryview(data).cast("B"), memoryview(data).nbytes
        try:
            while len(view) and self.failed is None:
                view = view[super().write(view) :]
        except OSError as error:
            self.failed = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.failed = self.failed or error
            return size or 0


def read_header(path: Path) -> Header:
    """Ids and attributes of a shard; InputError if it is damaged so that these cannot be read."""
    with _opened(path) as file:
        data = _dataset(file, IDS, path)
        cut = int(file.attrs.get(CUT_ATTRIBUTE, 0))
        layers = [int(name.removeprefix("layer_")) for name in file if re.fullmatch(r"layer_\d{3,}", name)]
        if data.dtype.kind != "S" or data.ndim != 1 or cut < 0:
            raise InputError(f"{path}: {data.dtype} ids of shape {data.shape}, {cut} rows cut: {DAMAGED}")
        ids = [i.decode() for i in data[:]]
        return Header(ids, _text(file.attrs.get(KEY_ATTRIBUTE)), cut, layers)


def locate_layers(path: Path, layers: Sequence[int], dtype: StoredDtype, rows: int, width: int) -> dict[int, int]:
    """The byte at which each layer's words (rows, width) begin; InputError if one is not as the manifest says."""
    found = {}
    with _opened(path) as file:
        own_dtype = _text(file.attrs.get(DTYPE_ATTRIBUTE))
        for layer in layers:
            data = _dataset(file, layer_name(layer), path)
            if own_dtype != dtype or data.dtype != WORDS[dtype] or data.shape != (rows, width):
                raise InputError(
                    f"{path}: layer {layer} holds {data.dtype} {data.shape}, the manifest says {dtype} {(rows, width)}"
                )
            offset = data.id.get_offset()
            if offset is None:  # chunked or compressed: not as we write it
                raise InputError(f"{path}: layer {layer} is not contiguous: {DAMAGED}")
            found[layer] = int(offset)
    return found


def read_offsets(path: Path, rows: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Offsets (rows + 1,) and token ids (tokens,) of a ragged shard."""
    with _opened(path) as file:
        offsets, tokens = _dataset(file, OFFSETS, path)[:], _dataset(file, TOKENS, path)[:]
    ends = offsets[[0, -1]].tolist() if offsets.shape == (rows + 1,) else []
    if ends != [0, len(tokens)] or (np.diff(offsets) < 0).any():
        raise InputError(f"{path}: its offsets do not fit {rows} rows and {len(tokens)} tokens: {DAMAGED}")
    return offsets, tokens


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _opened(path: Path) -> AbstractContextManager[Any]:
    """The file, in a block in which whatever is damaged in it is InputError."""
    return opened_hdf5(path, lambda _: f"{path}: not a readable HDF5 file (missing, truncated or damaged): {DAMAGED}")


def _dataset(file: Any, name: str, path: Path) -> Any:
    # Links, external and virtual datasets would let a store read, and show, whatever another file holds.
    own = name in file and isinstance(file.get(name, getlink=True), h5py.HardLink)
    data = file[name] if own else None
    if not isinstance(data, h5py.Dataset) or data.external or data.is_virtual:
        raise InputError(f"{path}: no dataset {name!r} of its own: {DAMAGED}")
    # A few bytes of HDF5 may say that there are terabytes, which would be made up as they are read.
    if math.prod(data.shape) * data.dtype.itemsize > path.stat().st_size:
        raise InputError(f"{path}: dataset {name!r} of shape {data.shape} is larger than the file: {DAMAGED}")
    return data
