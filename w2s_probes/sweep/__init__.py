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
    from .student_choice import BestStudent
    from .student_grid import StudentGrid
    from .sweeping import sweep

__all__ = [
    "Best",
    "BestStudent",
    "Grid",
    "Place",
    "StudentGrid",
    "SweepResult",
    "sweep",
]


__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "Best": "choosing",
        "BestStudent": "student_choice",
        "Grid": "grid",
        "Place": ".places",
        "StudentGrid": "student_grid",
        "SweepResult": "result",
        "sweep": "sweeping",
    },
)
