"""safetensors files, mapped into memory; NumPy alone knows no bfloat16, so their own header is read."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from ..errors import InputError, reason, shortened
from ..io.json_files import parse_json
from .saved import Saved

NUMPY = {"F64": ("<f8", "float64"), "F32": ("<f4", "float32"), "F16": ("<f2", "float16"), "BF16": ("<u2", "bfloat16")}
INTEGERS = {"I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "?"}  # token ids and masks: read, and never stored
LENGTH = 8  # bytes before the header, which say how long it is


def read_safetensors(path: Path) -> Saved:
    """The tensors of a file by name."""
    try:
        with safe_open(path, framework="numpy"):  # refuses headers that do not fit the file
            pass
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({reason(error)})") from error
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(LENGTH), "little")
        header: dict[str, Any] = parse_json(stream.read(size), f"{path}, its header")
    arrays: dict[str, NDArray[Any]] = {}
    dtypes = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        shape, dtypes[name] = tuple(entry["shape"]), entry["dtype"]
        if 0 in shape:
            raise InputError(f"{path}: tensor {shortened(name)!r} is empty, of shape {shape}")
        if entry["dtype"] in NUMPY:
            kind, dtypes[name] = NUMPY[entry["dtype"]]
        elif entry["dtype"] in INTEGERS:
            kind = INTEGERS[entry["dtype"]]
        else:  # refused by its name, if it is wanted
            arrays[name] = np.broadcast_to(np.uint8(0), shape)
            continue
        begin = LENGTH + size + entry["data_offsets"][0]
        # The library has compared them, too; of a key that stands twice it may have seen another entry.
        if begin + math.prod(shape) * np.dtype(kind).itemsize > path.stat().st_size:
            raise InputError(f"{path}: tensor {shortened(name)!r} ends beyond the file: cut, or never whole")
        arrays[name] = np.memmap(path, kind, "r", begin, shape)
    return Saved(arrays, dtypes)
