"""Which edges join two rows of a neighbour graph; see `TopoProbe`. How far labels spread over it; see `GraphProbe`."""

from numbers import Real
from typing import Any, Literal

from ..errors import InputError

Connectivity = Literal["weak", "strong", "mutual"]


def refuse_alpha(alpha: Any) -> None:
    """InputError for an α outside (0, 1)."""
    if not isinstance(alpha, Real) or not 0 < float(alpha) < 1:
        raise InputError(f"alpha={alpha!r} must be between 0 and 1: how much of a score comes from the neighbours (.9)")
