"""The number formats in which activations are stored, bit for bit, and their way to float32."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

StoredDtype = Literal["float32", "float16", "bfloat16"]

# NumPy has no bfloat16: its words are kept as unsigned 16-bit integers, beside an attribute that says so.
WORDS: dict[StoredDtype, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "bfloat16": np.dtype("<u2"),
}


def check_words(words: NDArray[Any], dtype: StoredDtype) -> NDArray[Any]:
    """The array itself, if it holds words of this format; InputError otherwise."""
    if dtype not in WORDS:
        raise InputError(f"dtype {dtype!r} cannot be stored: use one of {', '.join(WORDS)}")
    if words.dtype != WORDS[dtype]:
        raise InputError(f"{dtype} activations are stored as {WORDS[dtype].name} words, got {words.dtype.name}")
    return words


def to_float32(words: NDArray[Any], dtype: StoredDtype, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """Stored words as float32, into `out` if given; exact, since every float16 and bfloat16 is a float32."""
    if dtype == "bfloat16":
        bits = np.empty(words.shape, np.uint32) if out is None else out.view(np.uint32)
        bits[...] = words
        bits <<= np.uint32(16)
        return bits.view(np.float32)
    if out is None:
        return words.astype(np.float32, copy=False)
    out[...] = words
    return out
