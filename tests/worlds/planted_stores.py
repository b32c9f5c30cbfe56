"""Stores whose layers hold what was put there."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2s_probes import ActivationStore, LabelSet
from w2s_probes.store.shards import Content
from w2s_probes.store.writer import StoreWriter

Matrix = NDArray[np.float32]
PLANTED = 2  # the first layer that has the concept, as its third principal component


@dataclass(frozen=True)
class PlantedStore:
    """Layer 0: all rows equal. 1: noise. 2: the concept, third of the principal components. 3: layer 2, turned."""

    store: ActivationStore
    X: dict[int, Matrix]
    weak: LabelSet
    truth: LabelSet
    texts: dict[str, str]
    groups: NDArray[np.object_]  # two rows each


def written(folder: Path, layers: dict[int, Matrix], ids: list[str], position: str = "last") -> ActivationStore:
    """A finished store with these activations."""
    rows, width = layers[0].shape
    writer = StoreWriter.open(
        folder,
        identity={"position": position, "numbers": float(sum(X.sum() for X in layers.values()))},
        sites={layer: f"block {layer}" for layer in layers},
        depth=max(layers),
        width=width,
        dtype="float32",
        ids=ids,
        shard_rows=rows,
    )
    writer.write(0, Content(ids, dict(layers)))
    store = writer.finish({})
    assert store is not None
    return store


def planted_store(folder: Path, n: int = 300, d: int = 12, wrong: float = 0.15) -> PlantedStore:
    """n rows; a share of the weak labels is wrong."""
    rng = np.random.default_rng(0)
    truth = (np.arange(n) // 2 % 2).astype(np.float64)
    noise = rng.normal(size=(n, d))
    concept = noise * np.array([8, 5, 1, *[0.5] * (d - 3)])
    concept[:, 2] += 6 * (truth - 0.5)
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    layers = {0: np.ones((n, d)), 1: rng.normal(size=(n, d)), 2: concept, 3: concept @ rotation}
    X = {layer: values.astype(np.float32) for layer, values in layers.items()}
    weak = np.where(rng.random(n) < wrong, 1 - truth, truth)
    ids = [f"row-{i}" for i in range(n)]
    names = np.array(ids, dtype=object)
    return PlantedStore(
        written(folder / "planted", X, ids),
        X,
        LabelSet(names, weak),
        LabelSet(names, truth, "truth"),
        {name: f"text of {name}" for name in ids},
        np.array([f"group {i // 2}" for i in range(n)], dtype=object),
    )
