"""Sweeps: every layer, probe and value from one read, one neighbour graph and one factorisation a layer.

Importing this package loads nothing heavy; a name of it, when first used, loads scikit-learn.
"""

from typing import TYPE_CHECKING

from ..lazy_face import lazy_face

if TYPE_CHECKING:
    from ..places import Place
    from .choosing import Best
    from .grid import Grid
    from .result import SweepResult
    from .sweeping import sweep

__all__ = [
    "Best",
    "Grid",
    "Place",
    "SweepResult",
    "sweep",
]


__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "Best": "choosing",
        "Grid": "grid",
        "Place": ".places",
        "SweepResult": "result",
        "sweep": "sweeping",
    },
)
