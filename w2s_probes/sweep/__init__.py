"""Sweeps: every layer, probe and value from one read, one neighbour graph and one factorisation a layer.

Importing this package loads nothing heavy; a name of it, when first used, loads scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .choosing import Best
    from .grid import Grid
    from .place import Place
    from .result import SweepResult
    from .sweeping import sweep

__all__ = [
    "Best",
    "Grid",
    "Place",
    "SweepResult",
    "sweep",
]

_ELSEWHERE = {
    "Best": "choosing",
    "Grid": "grid",
    "Place": "place",
    "SweepResult": "result",
    "sweep": "sweeping",
}


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_ELSEWHERE[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
