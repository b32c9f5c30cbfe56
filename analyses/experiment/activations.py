"""A model's activations of some rows, from whatever stores of a folder hold them; the rest is extracted."""

from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from extract.extractor import Extraction, extract_cached
from extract.forward.trace import Position
from extract.models.source import ModelSource
from w2s_probes.errors import InputError
from w2s_probes.progress import RowProgress, silent
from w2s_probes.store.activation_store import ActivationStore
from w2s_probes.store.manifest import MANIFEST, Manifest

from .result_cache import Timer


@dataclass(frozen=True)
class Activations:
    """One model at one layer and position. Rows are known by their ids, which name their texts.

    `rows` are all that will be asked for: they are extracted together when the first of them are.
    """

    source: ModelSource
    layer: int | str
    position: Position
    rows: pd.DataFrame  # columns id and text
    folder: Path  # of stores, each under its key
    progress: RowProgress = silent
    timer: Timer = nullcontext

    def plan(self, rows: pd.DataFrame) -> Extraction:
        """The extraction of some rows."""
        return Extraction.plan(self.source, rows, layers=self.layer, position=self.position)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that changes a row's numbers."""
        return _without_rows(self.plan(self.rows.iloc[:1]).identity)

    @property
    def index(self) -> int:
        """The layer by its number."""
        (layer,) = self.identity["layers"]
        return int(layer)

    def missing(self) -> pd.DataFrame:
        """The rows that no store in the folder holds."""
        have = {row_id for store in self._finished() for row_id in store.ids}
        return self.rows[~self.rows["id"].isin(have)].sort_values("id").reset_index(drop=True)

    @cached_property
    def stores(self) -> list[ActivationStore]:
        """Stores that hold every row between them."""
        missing = self.missing()
        if len(missing):
            with self.timer("activations"):
                extract_cached(self.plan(missing), self.folder, self.progress)
        found = self._finished()
        wanted = set(self.rows["id"])
        chosen = []
        for store in sorted(found, key=lambda one: -len(wanted.intersection(one.ids))):
            if wanted.intersection(store.ids):
                chosen.append(store)
                wanted -= set(store.ids)
        return chosen

    def of(self, rows: pd.DataFrame) -> NDArray[np.float32]:
        """Activations (n, width) of some of the rows, in their order; one may stand there twice."""
        ids, places = np.unique(rows["id"].to_numpy(dtype=object), return_inverse=True)
        X: NDArray[np.float32] | None = None
        left = np.ones(len(ids), dtype=bool)
        for store in self.stores:
            here = left & pd.Index(ids).isin(store.ids)
            if here.any():
                part = store.layer(self.index, ids=ids[here])
                X = np.empty((len(ids), part.shape[1]), dtype=np.float32) if X is None else X
                X[here] = part
                left &= ~here
        if X is None or left.any():
            raise InputError(f"{self.folder}: no activations of {int(left.sum())} of {len(ids)} rows")
        return X[places]

    def _finished(self) -> list[ActivationStore]:
        """The finished stores of the folder with these numbers, by name."""
        found = []
        for path in sorted(self.folder.glob(f"*/{MANIFEST}")):
            try:
                if _without_rows(Manifest.read(path.parent).identity) == self.identity:
                    found.append(ActivationStore.open(path.parent))
            except InputError:  # unfinished, or not ours
                continue
        return found


def _without_rows(identity: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in identity.items() if name != "rows"}
