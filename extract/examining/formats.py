"""The precision that stored numbers really have, whatever words they are kept in."""

import numpy as np
from numpy.typing import NDArray

from w2s_probes.store.dtypes import StoredDtype

COARSER: dict[StoredDtype, int] = {"float32": 0, "float16": 1, "bfloat16": 2}


def precision_of(values: NDArray[np.float32], stored: StoredDtype) -> StoredDtype:
    """The coarsest format that holds every one of the values as it is; zeros, which all do, are not looked at."""
    if stored != "float32" or not values.any():
        return stored
    if not (np.ascontiguousarray(values).view(np.uint32) & 0xFFFF).any():
        return "bfloat16"
    with np.errstate(over="ignore"):
        halved = values.astype(np.float16).astype(np.float32)
    return "float16" if np.array_equal(halved, values) else stored


def coarsest(*formats: StoredDtype) -> StoredDtype:
    """The format with the fewest digits."""
    return max(formats, key=COARSER.__getitem__)
