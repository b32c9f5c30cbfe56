"""Label sets for other trainers: tables, Hugging Face folders, TRL, the published codes' formats, cleanlab.

from w2s_probes.export import export
export("kept.jsonl", "kept-hf", "hf")

Importing this package is light; what reads and writes is imported when it is first asked for.
"""

from typing import TYPE_CHECKING

from ..lazy_face import lazy_face
from .formats import EXPORTERS, FORMATS, Exporter, Format

if TYPE_CHECKING:
    from .preference import Pairs
    from .provenance import PROVENANCE
    from .writing import Exported, export

__all__ = ["EXPORTERS", "FORMATS", "PROVENANCE", "Exported", "Exporter", "Format", "Pairs", "export"]


__getattr__, __dir__ = lazy_face(
    __name__, {"PROVENANCE": "provenance", "Exported": "writing", "Pairs": "preference", "export": "writing"}
)
