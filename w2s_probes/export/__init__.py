"""Label sets for other trainers: tables, Hugging Face folders, TRL, the published codes' formats, cleanlab.

from w2s_probes.export import export
export("kept.jsonl", "kept-hf", "hf")
"""

from .preference import Pairs
from .provenance import PROVENANCE
from .writing import FORMATS, Exported, Format, export

__all__ = ["FORMATS", "PROVENANCE", "Exported", "Format", "Pairs", "export"]
