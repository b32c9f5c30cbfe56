"""The content of a file of saved activations: arrays by name, mapped and not read, whatever library wrote them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from ..errors import InputError
from ..store.dtypes import WORDS, StoredDtype

# NumPy's names, and those of safetensors files, of what a store holds bit for bit.
STORABLE: dict[str, StoredDtype] = {"float32": "float32", "float16": "float16", "bfloat16": "bfloat16"}
WHOLE = ""  # the name of an array that has none, the only one of its file


@dataclass(frozen=True)
class Saved:
    """Arrays by name: words (bfloat16 as uint16) of the format `dtype`, of which nothing has been read yet."""

    arrays: Mapping[str, NDArray[Any]]
    dtypes: Mapping[str, str]  # of each, as its own library names it


class Numbered(NamedTuple):
    """A name by its last number: `model.layers.12.out` is 12 of the series (`model.layers.`, `.out`)."""

    number: str  # digits: a name may hold more than a machine counts to
    series: tuple[str, str]


def last_number(name: str) -> Numbered | None:
    """The last number in a name and what stands around it; None where there is none."""
    last = list(re.finditer("[0-9]+", name))[-1:]
    return Numbered(last[0][0], (name[: last[0].start()], name[last[0].end() :])) if last else None


def words(array: NDArray[Any], dtype: str, where: str, wanted: str | None = None) -> tuple[NDArray[Any], StoredDtype]:
    """The array as words of a format that a store can hold, and which.

    `wanted` says what the file cannot: `bfloat16` of 16-bit words of which NumPy does not know what they are, and
    `float32` of float64, which is rounded. InputError for anything else.
    """
    if wanted is not None and wanted not in WORDS:
        raise InputError(f"dtype {wanted!r} cannot be stored: use one of {', '.join(WORDS)}")
    unnamed = array.dtype.str in ("|V2", "<V2", "<u2") and dtype != "bfloat16"
    if wanted == "bfloat16" and unnamed:
        return array.view("<u2"), "bfloat16"
    if wanted is not None and wanted != dtype and (wanted, dtype) != ("float32", "float64"):
        raise InputError(f"{where}: holds {dtype}, which --dtype {wanted} does not fit: values are kept bit for bit")
    if dtype in STORABLE:
        return array, STORABLE[dtype]
    if dtype == "float64":
        if wanted != "float32":
            raise InputError(f"{where}: float64 cannot be stored bit for bit: give --dtype float32 to round it")
        return array, "float32"
    if unnamed:
        raise InputError(f"{where}: 16-bit words of no number format; if they are bfloat16, give --dtype bfloat16")
    raise InputError(f"{where}: holds {dtype}; a store holds {', '.join(WORDS)}")
