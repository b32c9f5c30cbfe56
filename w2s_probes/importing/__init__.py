"""Activations that others have saved, into a store: torch, NumPy and safetensors files, bit for bit.

from w2s_probes.importing import import_activations
store = import_activations("acts.pt", "rows.jsonl", "acts")
"""

from .importer import import_activations

__all__ = ["import_activations"]
