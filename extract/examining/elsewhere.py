"""Where in a store the vectors of some rows stand, if not at their rows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from w2s_probes.store.activation_store import ActivationStore

MOST = 100_000  # rows of the store that are looked through
BLOCK = 4096  # of them at a time
FEW = 8  # sampled rows that are tried in other ways


def few_rows(count: int) -> NDArray[np.intp]:
    """Some of `count` sampled rows, evenly spread."""
    return np.unique(np.linspace(0, count - 1, FEW).round().astype(int))


def places_of(
    store: ActivationStore, layer: int, wanted: NDArray[np.float32]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """For each vector (n, width) the place in the store of what lies nearest to it at a layer, and their distance."""
    places, least = np.zeros(len(wanted), dtype=np.intp), np.full(len(wanted), np.inf)
    ids, wide = store.ids[:MOST], wanted.astype(np.float64)
    for start in range(0, len(ids), BLOCK):
        stored = stored_vectors(store, layer, ids[start : start + BLOCK].tolist()).astype(np.float64)
        centre = stored.mean(axis=0)  # so that the products below keep their digits
        a, b = wide - centre, stored - centre
        squares = (a**2).sum(axis=1)[:, None] - 2 * a @ b.T + (b**2).sum(axis=1)
        here = squares.argmin(axis=1)
        distances = np.linalg.norm(wide - stored[here], axis=1)
        nearer = distances < least
        places[nearer], least[nearer] = start + here[nearer], distances[nearer]
    return places, least


def stored_vectors(store: ActivationStore, layer: int, ids: Sequence[str]) -> NDArray[np.float32]:
    """The rows' vectors (n, width); of a store of every token each row's last one."""
    if not store.manifest.ragged:
        return store.layer(layer, ids=list(ids))
    tokens = store.tokens(layer, ids=list(ids))
    return np.asarray(tokens.values[tokens.offsets[1:] - 1])
