"""The activations that a finished run has left in its cache, found by what its recipe and record say of the models."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.site import site_of_identity, site_parts
from w2s_probes.errors import InputError
from w2s_probes.store.activation_store import ActivationStore
from w2s_probes.store.layers import one_layer
from w2s_probes.store.manifest import MANIFEST

from ..recipe.section import vector_position

STORES = "activations"  # of the cache
READERS = ("head", "boosted")  # kinds of supervisors that learn from activations


@dataclass(frozen=True)
class RunStores:
    """The stores of a cache, as far as a run's record knows their models.

    A trial names the keys of the stores that it has read, of all models together and in no order that says whose they
    are, and none where its results came from the cache whole. The rows of one model may lie in several, and an id
    stands for one text, as in the run itself. Stores that the trial names go before others of the cache.
    """

    folder: Path  # the cache's folder of stores
    record: Mapping[str, Any]  # run.json

    def strong(self, names: Sequence[str], ids: NDArray[np.object_]) -> NDArray[np.float32]:
        """What the strong model's probes have read of these rows: (n, width). InputError where it is gone."""
        found = self._of(self.record["recipe"]["strong"], "last", names, ids)
        if found is None:
            strong = self.record["recipe"]["strong"]
            raise InputError(
                f"{self.folder}: no store has layer {strong['layer']} of {strong['model']} for all {len(ids)} training "
                "rows: give the run's --cache, or run it again"
            )
        return found

    def weak(self, names: Sequence[str], ids: NDArray[np.object_]) -> NDArray[np.float32] | None:
        """What the supervisor has read of these rows: (n, width); None where it reads texts, or its store is gone."""
        weak = self.record["recipe"].get("weak", {})
        if weak.get("kind") not in READERS or weak.get("model") is None:
            return None
        return self._of(weak, "mean", names, ids)

    def _of(
        self, model: Mapping[str, Any], usual: str, names: Sequence[str], ids: NDArray[np.object_]
    ) -> NDArray[np.float32] | None:
        """Activations (n, width) of one model at its layer; None where no stores hold all of these rows."""
        weights, spec = self.record.get("models", {}).get(model["model"]), model.get("layer", "middle")
        position = model.get("position", usual)
        wanted = {"weights": weights, "position": vector_position(position)}
        site = site_parts(model.get("site", "residual"))[0]
        by_numbers: dict[str, list[ActivationStore]] = {}
        for store in sorted(self._finished, key=lambda store: store.key not in names):
            identity = store.manifest.identity
            if site_of_identity(identity).name != site:  # which tokens' logits, the run's own stores say
                continue
            if weights is None or store.manifest.ragged or {name: identity.get(name) for name in wanted} != wanted:
                continue
            if one_layer(spec, store.manifest.depth) in store.layers:
                numbers = {name: value for name, value in identity.items() if name not in ("rows", "layers")}
                by_numbers.setdefault(str(numbers), []).append(store)
        return next((X for stores in by_numbers.values() if (X := _joined(stores, spec, ids)) is not None), None)

    @cached_property
    def _finished(self) -> list[ActivationStore]:
        return list(_opened(self.folder))


def _opened(folder: Path) -> Iterator[ActivationStore]:
    for path in sorted(folder.glob(f"*/{MANIFEST}")):
        try:
            yield ActivationStore.open(path.parent)
        except InputError:  # unfinished, or not ours
            continue


def _joined(stores: list[ActivationStore], spec: int | str, ids: NDArray[np.object_]) -> NDArray[np.float32] | None:
    """The rows (n, width) from stores of the same numbers; None where some are in none of them."""
    left, X = np.ones(len(ids), dtype=bool), np.empty((0, 0), dtype=np.float32)
    for store in stores:
        here = left & np.isin(ids.astype(str), store.ids.astype(str))
        if here.any():
            part = store.layer(spec, ids=ids[here])
            X = X if len(X) else np.empty((len(ids), part.shape[1]), dtype=np.float32)
            X[here] = part
            left &= ~here
    return None if left.any() else X
