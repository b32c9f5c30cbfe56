"""What every view of saliency is asked about: rows of a store, their weak labels, and what else is known by id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes import ActivationStore, InputError, LabelSet
from w2s_probes.checks import group_numbers
from w2s_probes.errors import some
from w2s_probes.layers import LayerSpec, parse_layers
from w2s_probes.probes.validation import soft_labels

ById = Mapping[str, Any] | pd.Series | pd.DataFrame | Sequence[Any] | NDArray[Any]


@dataclass(frozen=True, eq=False)
class Labelled:
    """Rows in the order of their weak labels, with the truth where it was given and nothing in its place elsewhere."""

    ids: NDArray[np.object_]  # (n,)
    weak: NDArray[np.float64]  # (n,) P(label = 1)
    truth: NDArray[np.float64] | None  # (n,) P(label = 1)
    groups: NDArray[np.intp] | None  # (n,) numbers that related rows share
    texts: NDArray[np.object_] | None  # (n,)

    @classmethod
    def of(
        cls,
        labels: LabelSet,
        *,
        truth: LabelSet | None = None,
        groups: ById | None = None,
        texts: ById | None = None,
    ) -> "Labelled":
        """Join all by id. InputError for ids without a partner, labels of one class, and roles that are mixed up."""
        if labels.role == "truth":
            raise InputError(
                "the labels have the role 'truth': read them as weak labels, and give truth=... beside them"
            )
        if truth is not None and truth.role != "truth":
            raise InputError("truth=... has the role 'weak': read it with LabelSet.read(path, role='truth')")
        soft_labels(labels.p, len(labels))
        named = None if groups is None else by_id(groups, labels.ids, "groups", "group")
        return cls(
            labels.ids,
            labels.p,
            None if truth is None else truth.values(labels.ids),
            group_numbers(named, len(labels)),
            None if texts is None else by_id(texts, labels.ids, "texts", "text"),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def positive(self) -> NDArray[np.bool_]:
        """Which weak labels are above ½ (n,)."""
        return np.asarray(self.weak > 0.5)

    def text(self, row: int) -> str:
        """The row's text, or nothing where no texts were given."""
        return "" if self.texts is None else str(self.texts[row])


def by_id(values: ById, ids: NDArray[np.object_], name: str, column: str) -> NDArray[np.object_]:
    """Values (n,) in the order of ids: from a table with `id` and this column, a mapping, or one value a row."""
    if isinstance(values, pd.DataFrame):
        for field in ("id", column):
            if field not in values:
                raise InputError(f"{name}: no column {field!r}; it has {some(list(values.columns), 8)}")
        values = dict(zip(values["id"].astype(str), values[column], strict=True))
    if isinstance(values, pd.Series):
        values = {str(row): value for row, value in values.items()}
    if isinstance(values, Mapping):
        missing = [row for row in ids if row not in values]
        if missing:
            raise InputError(f"{name}: nothing for {len(missing)} of {len(ids)} ids: {some(missing)}")
        values = [values[row] for row in ids]
    found = np.empty(len(values), dtype=object)
    found[:] = list(values)
    if len(found) != len(ids):
        raise InputError(f"{name}: {len(found)} values but {len(ids)} labels: one a row is needed, or a mapping by id")
    return found


def stored_layers(store: ActivationStore, layers: LayerSpec) -> list[int]:
    """The layers that are asked for, each of which must be stored; `all` are those that the store holds.

    InputError for a ragged store, whose rows have no single vector.
    """
    if store.manifest.ragged:
        raise InputError(f"{store.path} holds every token of its rows: extract with --position last, first or mean")
    if layers == "all":
        return store.layers
    return [store.resolve(layer) for layer in parse_layers(layers, store.manifest.depth)]
