"""HDF5 files by a mapping: which datasets hold states, layers, offsets, ids and tokens; read as rows are asked for."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, preview, reason
from .row_places import runs

DAMAGED = (OSError, RuntimeError, LookupError, TypeError, ValueError, OverflowError, MemoryError)


@dataclass(frozen=True)
class Hdf5Column:
    """One layer of a file, as an array (rows, width) of which rows are read."""

    path: Path
    dataset: str
    places: NDArray[np.int64]  # (rows,) where each row's vector stands in the dataset
    index: tuple[int | None, int]  # of the layer, None where the dataset has one; and the axis of the vectors
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and width."""
        return len(self.places), self.width

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Words (rows, width)."""
        places = self.places[rows]
        with opened(self.path) as file:
            data = dataset(file, self.dataset, self.path)
            return np.concatenate([np.asarray(data[self._where(run)]) for run in runs(places)])

    def _where(self, place: slice) -> tuple[int | slice, ...]:
        layer, axis = self.index
        return (place,) if layer is None else (place, layer) if axis == 0 else (layer, place)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file, in a block in which whatever HDF5 raises on damaged files is InputError."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(f"{path}: not a readable HDF5 file ({reason(error)})") from error


def dataset(file: Any, name: str, path: Path) -> Any:
    """A dataset of the file itself: what lies in another file, which it could name, is not read."""
    parts, place = [part for part in name.split("/") if part], file
    for part in parts:
        own = isinstance(place, h5py.Group) and isinstance(place.get(part, getlink=True), h5py.HardLink)
        if not own:
            raise InputError(f"{path}: no dataset {name!r} of its own; it holds {preview(_names(file), 12)}")
        place = place[part]
    if not isinstance(place, h5py.Dataset) or place.external or place.is_virtual:
        raise InputError(f"{path}: {name!r} is no dataset of its own; it holds {preview(_names(file), 12)}")
    packed = place.chunks is not None and place.id.get_create_plist().get_nfilters() > 0
    # A few bytes of HDF5 may say that there are terabytes, which would be made up as they are read.
    size, most = math.prod(place.shape) * place.dtype.itemsize, path.stat().st_size * (100 if packed else 1)
    if size > most:
        raise InputError(f"{path}: {name!r} of shape {place.shape} is larger than the file: never whole, or made up")
    return place


def numbers(file: Any, name: str, path: Path) -> NDArray[np.int64]:
    """A dataset of whole numbers (n,)."""
    data = dataset(file, name, path)
    if data.ndim != 1 or data.dtype.kind not in "iu":
        raise InputError(f"{path}: {name!r} is {data.dtype} of shape {data.shape}, and whole numbers (n,) are needed")
    return np.asarray(data[:]).astype(np.int64)


def texts(file: Any, name: str, path: Path) -> list[str]:
    """A dataset of texts, or of whole numbers, (n,) as texts."""
    data = dataset(file, name, path)
    if data.ndim != 1 or (data.dtype.kind not in "iuS" and h5py.check_string_dtype(data.dtype) is None):
        raise InputError(f"{path}: {name!r} is {data.dtype} of shape {data.shape}, and texts (n,) are needed")
    return [value.decode() if isinstance(value, bytes) else str(value) for value in data[:].tolist()]


def attributes(file: Any) -> Mapping[str, str]:
    """The file's own attributes that are texts."""
    return {name: value for name, value in file.attrs.items() if isinstance(value, str)}


def _names(file: Any) -> list[str]:
    names: list[str] = []
    file.visititems(lambda name, value: names.append(name) if isinstance(value, h5py.Dataset) else None)
    return names
