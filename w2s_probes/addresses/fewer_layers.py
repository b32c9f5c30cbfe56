"""A store of some of another's layers: the manifest that an extraction of these alone would have."""

from collections.abc import Sequence
from typing import Any

from ..store.manifest import AFTER_NORM, LAST_ENTRY, Manifest, identity_key

LAYERS, SITES = "layers", "sites"  # of an identity


def with_layers(manifest: Manifest, layers: Sequence[int]) -> Manifest:
    """The manifest of a store that holds only these of its layers, ascending; all of them: the same."""
    if list(layers) == sorted(manifest.sites):
        return manifest
    shards = [
        shard.model_copy(update={"layers": here})
        for shard in manifest.shards
        if (here := [layer for layer in shard.layers if layer in layers])
    ]
    identity = fewer(manifest, layers)
    sites = {layer: manifest.sites[layer] for layer in layers}
    changes = {"identity": identity, "key": identity_key(identity), "sites": sites, "shards": shards}
    return manifest.model_copy(update=changes)


def layer_key(manifest: Manifest, layer: int) -> str:
    """The key that a store of the same rows at this layer alone would have."""
    return identity_key(fewer(manifest, [layer]))


def fewer(manifest: Manifest, layers: Sequence[int]) -> dict[str, Any]:
    """The identity of the same activations at some layers."""
    if list(layers) == sorted(manifest.sites):
        return manifest.identity
    identity = manifest.identity | {LAYERS: list(layers)}
    if SITES in identity:  # of what was imported
        identity[SITES] = [manifest.sites[layer] for layer in layers]
    if identity.get(LAST_ENTRY) == AFTER_NORM and manifest.after_norm not in layers:
        del identity[LAST_ENTRY]  # else the highest of these would be taken for it
    return identity
