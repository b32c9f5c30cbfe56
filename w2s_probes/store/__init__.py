"""The activation store: HDF5 shards and a manifest, written by any number of processes, read one layer at a time."""

from .activation_store import ActivationStore
from .paired_store import PairedStore
from .token_activations import StoredTokens, TokenActivations

__all__ = ["ActivationStore", "PairedStore", "StoredTokens", "TokenActivations"]
