"""Activations of one model: read from the stores of a folder where they hold a row, extracted where none does."""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from extract.extractor import Extraction, extract_cached
from extract.models.source import ModelSource
from w2s_probes.errors import InputError
from w2s_probes.progress import RowProgress, silent
from w2s_probes.store.activation_store import ActivationStore
from w2s_probes.store.manifest import MANIFEST, Manifest
from w2s_probes.store.token_activations import JoinedTokens, StoredTokens

from .result_cache import Timer, table_hash

Extract = Callable[[Extraction, Path, RowProgress], object]  # as `extract_cached` does
SETS = 4  # of rows whose activations stay in memory: those of one trial


@dataclass(frozen=True)
class Activations:
    """The activations of one model at one layer and position, by row id. An id stands for one text.

    `rows` holds every row that is ever read: the first read extracts all that are missing, together.
    """

    source: ModelSource
    layer: int | str
    position: str
    rows: pd.DataFrame  # columns id and text
    folder: Path  # of stores, each under its key
    site: str = "residual"  # as of `Extraction.plan`
    progress: RowProgress = silent
    timer: Timer = nullcontext
    extract: Extract = field(default=extract_cached, compare=False)
    _read: "OrderedDict[str, NDArray[np.float32]]" = field(default_factory=OrderedDict, repr=False, compare=False)

    def plan(self, rows: pd.DataFrame) -> Extraction:
        """The extraction of these rows."""
        return Extraction.plan(self.source, rows, layers=self.layer, site=self.site, position=self.position)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that decides a row's numbers: model, layer, position, precision; no rows."""
        return _without_rows(self.plan(self.rows.iloc[:1]).identity)

    @property
    def index(self) -> int:
        """The layer's number; 0 is the embedding."""
        (layer,) = self.identity["layers"]
        return int(layer)

    def missing(self) -> pd.DataFrame:
        """The rows (id, text) that no store of the folder holds, by id."""
        have = {row_id for store in self._finished() for row_id in store.ids}
        return self.rows[~self.rows["id"].isin(have)].sort_values("id").reset_index(drop=True)

    def ensure(self) -> None:
        """Extract the rows that no store holds."""
        _ = self.stores

    @cached_property
    def stores(self) -> list[ActivationStore]:
        """Stores that hold every row between them; extracts the missing rows."""
        missing = self.missing()
        if len(missing):
            with self.timer("activations"):
                self.extract(self.plan(missing), self.folder, self.progress)
        finished = self._finished()
        wanted = set(self.rows["id"])
        chosen = []
        for store in sorted(finished, key=lambda store: -len(wanted.intersection(store.ids))):
            if wanted.intersection(store.ids):
                chosen.append(store)
                wanted -= set(store.ids)
        return chosen

    def of(self, rows: pd.DataFrame) -> NDArray[np.float32]:
        """Activations (n, width) of these rows, in their order; a row may occur twice. InputError for unknown rows.

        The arrays of the last few sets of rows stay in memory and cannot be written to: probes and students share them.
        """
        key = table_hash(rows[["id"]])
        if key not in self._read:
            X = self._of(rows)
            X.setflags(write=False)
            while len(self._read) >= SETS:
                self._read.popitem(last=False)
            self._read[key] = X
        self._read.move_to_end(key)
        return self._read[key]

    def tokens(self, rows: pd.DataFrame) -> JoinedTokens:
        """Every token of these rows, in their order, left on disk; of activations at position `all`."""
        ids = rows["id"].to_numpy(dtype=object)
        left, places = np.ones(len(ids), dtype=bool), np.zeros((len(ids), 2), dtype=np.intp)
        parts: list[StoredTokens] = []
        for store in self.stores:
            have = set(store.ids)
            here = np.flatnonzero(left & np.array([row_id in have for row_id in ids], dtype=bool))
            if len(here):
                places[here, 0], places[here, 1] = len(parts), np.arange(len(here))
                parts.append(store.stored_tokens(self.index, ids=ids[here]))
                left[here] = False
        if left.any():
            raise InputError(f"{self.folder}: no tokens of {int(left.sum())} of {len(ids)} rows")
        return JoinedTokens(parts, places)

    def _of(self, rows: pd.DataFrame) -> NDArray[np.float32]:
        ids, places = np.unique(rows["id"].to_numpy(dtype=object), return_inverse=True)
        X: NDArray[np.float32] | None = None
        left = np.ones(len(ids), dtype=bool)
        for store in self.stores:
            have = set(store.ids)
            here = left & np.array([row_id in have for row_id in ids], dtype=bool)
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
        stores = []
        for path in sorted(self.folder.glob(f"*/{MANIFEST}")):
            try:
                if _without_rows(Manifest.read(path.parent).identity) == self.identity:
                    stores.append(ActivationStore.open(path.parent))
            except InputError:  # unfinished, or not ours
                continue
        return stores


def _without_rows(identity: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in identity.items() if name != "rows"}
