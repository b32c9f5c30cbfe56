"""Contrast pairs whose truth is known, in a store of sides in any order, with label files of rows and of sides."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes import ActivationStore
from w2s_probes.importing import import_activations
from w2s_probes.io.tables import write_table

LAYER = 3


@dataclass(frozen=True)
class PairsWorld:
    """What `planted_pairs` has put into a folder: `acts`, `weak.jsonl` of rows and `sides.jsonl` of their sides."""

    folder: Path
    store: ActivationStore  # 2n rows at LAYER
    sides: NDArray[np.float32]  # (n, 2d) of the rows of `weak`
    weak: pd.DataFrame  # id, label, truth

    @property
    def truth(self) -> NDArray[np.float64]:
        """(n,) of the rows of `weak`."""
        return self.weak["truth"].to_numpy(dtype=np.float64)


def planted_pairs(folder: Path, n: int = 200, d: int = 8, noise: float = 0.3, seed: int = 0) -> PairsWorld:
    """Column 0 has the truth with another sign on each side, column 2 what tells the sides apart, all a topic."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % 2)
    topic = rng.normal(0, 2, (n, d))
    halves = []
    for sign in (1.0, -1.0):
        side = topic + rng.normal(size=(n, d))
        side[:, 0] += sign * 1.5 * (2 * y - 1)
        side[:, 2] += sign * 5
        halves.append(side)
    names = np.array([f"r{i}" for i in range(n)], dtype=object)
    order = rng.permutation(2 * n)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "X.npy", np.vstack(halves)[order].astype(np.float32))
    write_table(pd.DataFrame({"id": np.concatenate([names + "+", names + "-"])[order]}), folder / "rows.jsonl")
    import_activations(folder / "X.npy", folder / "rows.jsonl", folder / "acts", layers=LAYER)
    wrong = rng.permutation(n)[: round(noise * n)]
    labels = np.where(np.isin(np.arange(n), wrong), 1 - y, y) * 0.6 + 0.2
    shuffled = rng.permutation(n)
    weak = pd.DataFrame({"id": names, "label": labels, "truth": y}).iloc[shuffled].reset_index(drop=True)
    write_table(weak, folder / "weak.jsonl")
    sides = [weak.assign(id=weak["id"] + side, text=[f"{name} {side}" for name in weak["id"]]) for side in "+-"]
    coin = rng.random((2, n)).argsort(axis=0)  # which side of a row comes first
    write_table(pd.concat(sides).iloc[(coin * n + np.arange(n)).T.ravel()], folder / "sides.jsonl")
    both = np.hstack(halves)[shuffled].astype(np.float32)
    return PairsWorld(folder, ActivationStore.open(folder / "acts"), both, weak)
