"""A small store with a class planted deeper and deeper, and label sets of its rows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.store.activation_store import ActivationStore
from w2s_probes.store.shards import Content
from w2s_probes.store.writer import StoreWriter


@dataclass(frozen=True)
class Swept:
    """A store of `len(layers)` layers and a label table of its rows, in another order."""

    path: Path
    layers: list[NDArray[np.float32]]  # each (n, d), in the store's order
    table: pd.DataFrame  # id, label, truth

    @property
    def store(self) -> ActivationStore:
        return ActivationStore.open(self.path)

    def rows(self, ids: NDArray[np.object_]) -> NDArray[np.intp]:
        """Where these ids stand in the store."""
        return np.array([int(name.removeprefix("row-")) for name in ids])


def planted_store(
    path: Path,
    *,
    n: int = 160,
    d: int = 8,
    apart: tuple[float, ...] = (0.0, 1.5, 4.0),
    noise: float = 0.2,
    weights: str = "planted",
) -> Swept:
    """Two classes, `apart` so many standard deviations in each layer; an exact share of labels wrong."""
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.arange(n) % 2).astype(np.float64)
    layers = []
    for distance in apart:
        X = rng.normal(size=(n, d)).astype(np.float32)
        X[:, 0] += distance * truth.astype(np.float32)
        layers.append(X)
    side = truth.copy()
    wrong = rng.permutation(n)[: round(noise * n)]
    side[wrong] = 1 - side[wrong]
    label = np.where(side > 0.5, rng.uniform(0.55, 0.95, n), rng.uniform(0.05, 0.45, n))
    ids = [f"row-{i}" for i in range(n)]
    writer = StoreWriter.open(
        path,
        identity={"weights": weights, "position": "last", "rows": n},
        sites={layer: f"blocks.{layer}" for layer in range(len(apart))},
        depth=len(apart) - 1,
        width=d,
        dtype="float32",
        ids=ids,
        shard_rows=n,
    )
    writer.write(0, Content(ids, dict(enumerate(layers))))
    writer.finish({"model": weights})
    table = pd.DataFrame({"id": ids, "label": label, "truth": truth})
    return Swept(path, layers, table.sample(frac=1, random_state=1).reset_index(drop=True))
