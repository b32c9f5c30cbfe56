"""Activations that others have saved, into a store: torch, NumPy and safetensors files, bit for bit.

from w2s_probes.importing import import_activations
store = import_activations("acts.pt", "rows.jsonl", "acts")
"""

from .importer import import_activations
from .prompt_folder import import_prompt_folder

__all__ = ["import_activations", "import_prompt_folder"]
