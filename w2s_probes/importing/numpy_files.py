"""NumPy's .npy and .npz, mapped into memory and never unpickled."""

import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ..errors import InputError, reason
from .saved import WHOLE, Saved

LOCAL_HEADER = 30  # bytes of a zip member's own header before its name and extra field
BLOCK = 1 << 20  # bytes


def read_npy(path: Path) -> Saved:
    """The one array of a .npy file."""
    with path.open("rb") as stream:
        if stream.read(len(npy.MAGIC_PREFIX)) != npy.MAGIC_PREFIX:
            raise InputError(
                f"{path}: not what np.save writes; numbers from `tofile` have no shape: np.fromfile, reshape, np.save"
            )
    array = _mapped(path, 0, str(path))
    return Saved({WHOLE: array}, {WHOLE: array.dtype.name})


def read_npz(path: Path) -> Saved:
    """The arrays of a .npz file by name: mapped where `np.savez` has stored them, read where they are compressed.

    InputError where one does not fit its checksum.
    """
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as stream:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                where = f"{path}, array {name!r}"
                if member.compress_type == zipfile.ZIP_STORED:
                    with archive.open(member) as stored:
                        _read_through(stored)
                    stream.seek(member.header_offset)
                    header = stream.read(LOCAL_HEADER)
                    name_length, extra_length = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
                    arrays[name] = _mapped(
                        path, member.header_offset + LOCAL_HEADER + name_length + extra_length, where
                    )
                else:
                    with archive.open(member) as packed:
                        arrays[name] = npy.read_array(packed, allow_pickle=False)
                        _read_through(packed)
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, MemoryError, RuntimeError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a readable .npz file ({reason(error)})") from error
    return Saved(arrays, {name: array.dtype.name for name, array in arrays.items()})


def _mapped(path: Path, offset: int, where: str) -> NDArray[Any]:
    """The array whose .npy header begins at an offset of the file."""
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            version = npy.read_magic(stream)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = read(stream)
            if dtype.hasobject:
                raise InputError(
                    f"{where}: holds Python objects, which only run code can load: save an array of numbers"
                )
            if 0 in shape:
                raise InputError(f"{where}: is empty, of shape {shape}")
            order: Any = "F" if fortran else "C"
            return np.memmap(path, dtype, "r", stream.tell(), shape, order)
    except InputError:
        raise
    except (ValueError, OSError, EOFError, OverflowError, SyntaxError, TokenError) as error:
        raise InputError(f"{where}: not a readable NumPy array ({reason(error)})") from error


def _read_through(stream: IO[bytes]) -> None:
    """Read the rest of a zip's member: only at its end is its checksum compared, which a map would never see."""
    while stream.read(BLOCK):
        pass
