"""The extractor: task rows in, an activation store out. Needs torch, transformers and nnsight (extra `models`).

Public are the names of `__all__`, which load torch when they are first used, and those of `tasks`; the rooms `forward`,
`models` and `costs` are how they work.
"""

from typing import TYPE_CHECKING

from w2s_probes.lazy_face import lazy_face

if TYPE_CHECKING:
    from .adding import add
    from .doctor import diagnose
    from .extractor import Extraction, extract, extract_cached
    from .models.loading import Placement
    from .models.source import ModelSource

__all__ = ["Extraction", "ModelSource", "Placement", "add", "diagnose", "extract", "extract_cached"]


__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "Extraction": "extractor",
        "ModelSource": "models.source",
        "Placement": "models.loading",
        "add": "adding",
        "diagnose": "doctor",
        "extract": "extractor",
        "extract_cached": "extractor",
    },
)
