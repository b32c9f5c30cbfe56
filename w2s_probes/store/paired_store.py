"""A store of contrast pairs, read as pairs: the rows ID+ and ID- of the store are row ID, [x⁺, x⁻]."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..rows.ids import Ids, positions
from ..rows.sides import are_sides, pair_ids, side_ids
from .activation_store import ActivationStore
from .layers import LayerSpec


def as_a_probe_reads(store: ActivationStore, probe: object) -> ActivationStore:
    """The store as it is, or read as contrast pairs where a fitted probe has read [x⁺, x⁻] and the store has sides."""
    width = getattr(probe, "n_features_in_", None)
    if width != 2 * store.manifest.width or store.paired or not are_sides(store.ids):
        return store
    return PairedStore(store)


class PairedStore(ActivationStore):
    """The n pairs of a store of 2n rows: `layer` is float32 (n, 2 · width), [x⁺, x⁻], and `ids` are without + and -.

    InputError for a store with a row that is no side, or a pair that lacks one.
    """

    paired = True

    def __init__(self, sides: ActivationStore) -> None:
        super().__init__(sides.path, sides.manifest)
        self.sides = sides
        _ = self.ids

    @cached_property
    def ids(self) -> NDArray[np.object_]:
        """(n,) the ids of the pairs, in the order in which their sides come."""
        return pair_ids(self.sides.ids, str(self.path))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Pairs, stored layers, and the numbers of both sides."""
        return len(self), len(self.layers), 2 * self.manifest.width

    def layer(self, layer: LayerSpec, ids: Ids | None = None) -> NDArray[np.float32]:
        """One layer as float32 (n, 2 · width), [x⁺, x⁻] a row: all pairs, or those asked for; errors as a store's."""
        names = self.ids if ids is None else self.ids[positions(self.ids, ids, str(self.path))]
        plus, minus = side_ids(names)
        both = self.sides.layer(layer, ids=[*plus, *minus])
        return np.hstack([both[: len(names)], both[len(names) :]])
