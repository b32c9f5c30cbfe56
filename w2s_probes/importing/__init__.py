"""Activations that others have saved, into a store: torch, NumPy, safetensors and HDF5 files, bit for bit.

from w2s_probes.importing import import_activations
store = import_activations("acts.pt", "rows.jsonl", "acts")
"""

from .hdf5_import import import_hdf5
from .importer import import_activations
from .prompt_folder import import_prompt_folder

__all__ = ["import_activations", "import_hdf5", "import_prompt_folder"]
