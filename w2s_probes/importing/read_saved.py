"""Readers of saved activations, by the ending of the file's name."""

from pathlib import Path

from ..errors import InputError
from .numpy_files import read_npy, read_npz
from .safetensors_files import read_safetensors
from .saved import Saved
from .torch_files import read_torch

READERS = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".safetensors": read_safetensors,
    ".pt": read_torch,
    ".pth": read_torch,
}


def read_saved(path: Path) -> Saved:
    """The arrays of a file, by the format that its name ends in; InputError for others and for damaged files."""
    if path.suffix not in READERS:
        raise InputError(f"{path}: unknown format; the name must end in one of {', '.join(READERS)}")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if not path.stat().st_size:
        raise InputError(f"{path}: holds nothing, not one byte: save or copy it again")
    saved = READERS[path.suffix](path)
    if not saved.arrays:
        raise InputError(f"{path}: holds no array")
    return saved
