"""A store's neighbour graphs, kept beside its shards under a key of all that made them."""

import hashlib
import json
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..devices import refuse_no_device
from ..errors import InputError
from ..io.arrays import read_arrays, write_arrays
from ..store.activation_store import ActivationStore
from .graph import Neighbors
from .index_names import EXACT, IndexName
from .searching import search

FORMAT = "2"  # goes up when the same key would stand for other neighbours
GRAPH = re.compile(r"neighbors-\d+-[0-9a-f]{16}\.safetensors")


def store_neighbors(
    store: ActivationStore,
    layer: int,
    k: int,
    X: NDArray[np.float32],
    *,
    ids: Iterable[str],
    group_ids: NDArray[np.intp] | None = None,
    index: str = EXACT,
) -> Neighbors:
    """The graph of some rows of a layer, X (n, d) with these ids (n,): read if it lies there, else searched and kept.

    A kept graph of more neighbours serves a lower k, if it is exact: what an approximate index finds depends on k.
    Where the store's folder cannot be written, or what lies there is damaged, the graph is searched and the caller
    never knows. `group_ids` and `index` are as for `search`.
    """
    name = IndexName.parse(index)
    exact = name.is_exact
    if name.is_device:  # also where a kept graph needs none
        refuse_no_device(name.name, "index")
    path = store.path / graph_name(store, layer, ids, group_ids, EXACT if exact else f"{index} {k}")
    if (kept := _kept(path, len(X), k, group_ids)) is not None:
        return kept
    graph = search(X, k, group_ids=group_ids, index=index)
    small = np.int32 if len(X) < 2**31 else np.int64
    arrays = {"indices": graph.indices.astype(small), "distances": graph.distances}
    record = {"k": k, "recall": graph.recall, "layer": layer, "index": index, "rows": len(X)}
    with suppress(InputError):
        write_arrays(path, arrays, record, key=path.name)
    return graph


def _kept(path: Path, rows: int, k: int, group_ids: NDArray[np.intp] | None) -> Neighbors | None:
    """The k nearest from the graph in a file; None where there is none, or it is damaged, smaller or of other rows."""
    try:
        arrays, record = read_arrays(path, key=path.name)
        indices, distances = arrays["indices"], arrays["distances"]
        if indices.dtype.kind != "i" or indices.shape != distances.shape or indices.shape[1] < k:
            return None
        kept = Neighbors(indices[:, :k].astype(np.int64), distances[:, :k], float(record["recall"]))
        kept.refuse_other(rows, k, group_ids)
        return kept
    except (InputError, LookupError, TypeError, ValueError):  # none of ours: its checksum says only that it is whole
        return None


def graph_name(
    store: ActivationStore, layer: int, ids: Iterable[str], group_ids: NDArray[np.intp] | None, index: str
) -> str:
    """The file that holds this graph: named by the layer's numbers, the rows and their order, and what is left out."""
    cells = [f"{shard.file} {shard.checksum}" for shard in store.manifest.shards_of(layer)]
    related = None if group_ids is None else np.asarray(group_ids).tolist()
    # JSON: no two lists of parts are written alike, whatever characters an id has.
    text = json.dumps(
        [FORMAT, store.key, cells, layer, list(ids), related, index, *(["pairs"] if store.paired else [])]
    )
    return f"neighbors-{layer:03d}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.safetensors"
