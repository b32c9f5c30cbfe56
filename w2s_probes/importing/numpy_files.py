"""NumPy's .npy and .npz, mapped into memory and never unpickled."""

import math
import struct
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

# What NumPy and zipfile have been seen to raise, or could, for files that are cut, changed or made to be wrong.
DAMAGED = (
    *(ValueError, OSError, EOFError, OverflowError, SyntaxError, TokenError, RecursionError, MemoryError, TypeError),
    *(LookupError, AttributeError, RuntimeError, AssertionError, zipfile.BadZipFile, zlib.error, struct.error),
)
VERSIONS = ((1, 0), (2, 0), (3, 0))  # of the .npy format
LOCAL_HEADER = 30  # bytes of a zip member's own header before its name and extra field
BLOCK = 1 << 20  # bytes
# Numbers that a model has computed pack to a half at best: what unpacks to a hundredfold is zeros, or a bomb.
MOST_PACKED, SMALL = 100, 256 << 20  # -fold, and bytes that any machine has


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
                    _refuse_bomb(member, where)
                    with archive.open(member) as packed:
                        _header(packed, member.file_size, where)
                    with archive.open(member) as packed:
                        arrays[name] = npy.read_array(packed, allow_pickle=False)
                        _read_through(packed)
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(f"{path}: not a readable .npz file ({reason(error)})") from error
    return Saved(arrays, {name: array.dtype.name for name, array in arrays.items()})


def _mapped(path: Path, offset: int, where: str) -> NDArray[Any]:
    """The array whose .npy header begins at an offset of the file."""
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            shape, fortran, dtype = _header(stream, path.stat().st_size, where)
            order: Any = "F" if fortran else "C"
            return np.memmap(path, dtype, "r", stream.tell(), shape, order)
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(f"{where}: not a readable NumPy array ({reason(error)})") from error


def _header(stream: IO[bytes], size: int, where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and dtype that a .npy header says, which fit a file of `size` bytes; InputError for others."""
    version = npy.read_magic(stream)
    if version not in VERSIONS:
        raise InputError(f"{where}: version {version[0]}.{version[1]} of the .npy format, which NumPy does not write")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject:
        raise InputError(f"{where}: holds Python objects, which only run code can load: save an array of numbers")
    if 0 in shape:
        raise InputError(f"{where}: is empty, of shape {shape}")
    # Counted here: NumPy multiplies in 64 bits, and what is beyond them comes round to a small number.
    needed, there = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if min(shape, default=1) < 0 or not 0 < needed <= there:
        raise InputError(f"{where}: {there:,} bytes of numbers, too few for {dtype} {shape!s:.80}: cut, or never whole")
    return shape, fortran, dtype


def _refuse_bomb(member: zipfile.ZipInfo, where: str) -> None:
    if member.file_size > max(SMALL, MOST_PACKED * member.compress_size):
        raise InputError(
            f"{where}: {member.compress_size:,} bytes would unpack to {member.file_size:,}, more than "
            f"{MOST_PACKED} times as many, as no activations do: save it with np.savez"
        )


def _read_through(stream: IO[bytes]) -> None:
    """Read the rest of a zip's member: only at its end is its checksum compared, which a map would never see."""
    while stream.read(BLOCK):
        pass
