"""One shard of a store: an HDF5 file with the ids of its rows and one dataset a layer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .dtypes import WORDS, StoredDtype, check_words
from .errors import InputError
from .files import replacing, sha256
from .manifest import Shard

IDS = "ids"
DTYPE_ATTRIBUTE = "dtype"


def layer_name(layer: int) -> str:
    """The dataset that holds a layer."""
    return f"layer_{layer:03d}"


def write_shard(path: Path, ids: Sequence[str], layers: Mapping[int, NDArray[Any]], dtype: StoredDtype) -> Shard:
    """Write rows x width words of each layer under a temporary name, then rename.

    Datasets are contiguous and uncompressed: reading a layer is one sequential read of its own bytes.
    """
    with replacing(path) as temporary:
        with h5py.File(temporary, "w") as file:
            file.attrs[DTYPE_ATTRIBUTE] = dtype
            file.create_dataset(IDS, data=np.array([i.encode() for i in ids], dtype=bytes))
            for layer, words in sorted(layers.items()):
                file.create_dataset(layer_name(layer), data=check_words(words, dtype))
        shard = Shard(file=path.name, rows=len(ids), bytes=temporary.stat().st_size, sha256=sha256(temporary))
    return shard


def read_ids(path: Path, rows: int) -> list[str]:
    """The ids of a shard's rows, in order."""
    with _opened(path) as file:
        data = _dataset(file, IDS, path)
        if data.dtype.kind != "S" or data.shape != (rows,):
            raise InputError(f"{path}: {data.dtype} ids of shape {data.shape} for {rows} rows: damaged; extract again")
        try:
            return [i.decode() for i in data[:]]
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: its ids are not UTF-8: damaged; extract again") from error


def read_words(path: Path, layer: int, dtype: StoredDtype, out: NDArray[Any]) -> None:
    """Read one layer's words (rows, width) into `out`; no other layer is touched."""
    with _opened(path) as file:
        data = _dataset(file, layer_name(layer), path)
        if str(file.attrs.get(DTYPE_ATTRIBUTE)) != dtype or data.dtype != WORDS[dtype] or data.shape != out.shape:
            raise InputError(
                f"{path}: layer {layer} holds {data.dtype} {data.shape}, the manifest says {dtype} {out.shape}"
            )
        try:
            if out.size:
                data.read_direct(out)
        except OSError as error:
            raise InputError(
                f"{path}: layer {layer} cannot be read: damaged; delete the file and extract again"
            ) from error


def _opened(path: Path) -> Any:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise InputError(
            f"{path}: not a readable HDF5 file (missing, truncated or damaged): delete it and extract again"
        ) from error


def _dataset(file: Any, name: str, path: Path) -> Any:
    # Links, external and virtual datasets would let a store read, and show, whatever another file holds.
    own = name in file and isinstance(file.get(name, getlink=True), h5py.HardLink)
    data = file[name] if own else None
    if not isinstance(data, h5py.Dataset) or data.external or data.is_virtual:
        raise InputError(f"{path}: no dataset {name!r} of its own: delete the file and extract again")
    return data
