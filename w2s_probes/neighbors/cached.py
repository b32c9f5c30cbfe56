"""A store's neighbour graphs, kept beside its shards under a key of all that made them."""

import hashlib
import re
from collections.abc import Iterable
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from ..arrays import read_arrays, write_arrays
from ..errors import InputError
from ..store import ActivationStore
from .graph import Neighbors
from .searching import EXACT, search

FORMAT = "1"  # goes up when the same key would stand for other neighbours
GRAPH = re.compile(r"neighbors-\d+-[0-9a-f]{16}\.safetensors")


def store_neighbors(
    store: ActivationStore,
    layer: int,
    k: int,
    X: NDArray[np.float32],
    *,
    ids: Iterable[str],
    apart: NDArray[np.intp] | None = None,
    index: str = EXACT,
) -> Neighbors:
    """The graph of some rows of a layer, X (n, d) with these ids (n,): read if it lies there, else searched and kept.

    A kept graph of more neighbours serves a lower k. Where the store's folder cannot be written, or what lies there
    is damaged, the graph is searched and the caller never knows. `apart` and `index` are as for `search`.
    """
    path = store.path / graph_name(store, layer, ids, apart, index)
    with suppress(InputError):
        arrays, record = read_arrays(path)
        if record["k"] >= k:
            return Neighbors(arrays["indices"][:, :k].astype(np.int64), arrays["distances"][:, :k], record["recall"])
    found = search(X, k, apart=apart, index=index)
    small = np.int32 if len(X) < 2**31 else np.int64
    arrays = {"indices": found.indices.astype(small), "distances": found.distances}
    with suppress(InputError):
        write_arrays(path, arrays, {"k": k, "recall": found.recall, "layer": layer, "index": index, "rows": len(X)})
    return found


def graph_name(
    store: ActivationStore, layer: int, ids: Iterable[str], apart: NDArray[np.intp] | None, index: str
) -> str:
    """The file that holds this graph: named by the layer's numbers, the rows and their order, and what is left out."""
    cells = [f"{shard.file} {shard.checksum}" for shard in store.manifest.cells(layer)]
    related = "self" if apart is None else np.ascontiguousarray(apart, dtype=np.int64).tobytes().hex()
    exact = index if index.partition(":")[0] not in ("cpu", "cuda", "mps") else EXACT
    digest = hashlib.sha256()
    for part in (FORMAT, store.key, *cells, str(layer), *ids, related, exact):
        digest.update(part.encode() + b"\x00")
    return f"neighbors-{layer:03d}-{digest.hexdigest()[:16]}.safetensors"
