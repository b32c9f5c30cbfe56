"""Which edges join two rows of a neighbour graph; see `TopoProbe`. How far labels spread over it; see `GraphProbe`."""

import math
from typing import Literal

from ..errors import InputError

Connectivity = Literal["weak", "strong", "mutual"]


def refuse_alpha(alpha: float) -> None:
    """InputError for an α outside (0, 1)."""
    if not math.isfinite(alpha) or not 0 < alpha < 1:
        raise InputError(f"alpha={alpha} must be between 0 and 1: how much of a score comes from the neighbours (.9)")
