"""The extractor: task rows in, an activation store out. Needs torch, transformers and nnsight (extra `models`).

Public are the names of `__all__`, which load torch when they are first used, and those of `tasks`; the rooms `forward`,
`models` and `costs` are how they work.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adding import add
    from .doctor import diagnose
    from .extractor import Extraction, extract, extract_cached
    from .models.loading import Placement
    from .models.source import ModelSource

__all__ = ["Extraction", "ModelSource", "Placement", "add", "diagnose", "extract", "extract_cached"]

_ELSEWHERE = {
    "Extraction": "extractor",
    "ModelSource": "models.source",
    "Placement": "models.loading",
    "add": "adding",
    "diagnose": "doctor",
    "extract": "extractor",
    "extract_cached": "extractor",
}


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_ELSEWHERE[name]}", __name__), name)
