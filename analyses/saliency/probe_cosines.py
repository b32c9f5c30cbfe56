"""Probes of one layer beside each other: whether they have found one direction, or several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from w2s_probes import ActivationStore, InputError
from w2s_probes.drawing import drawable
from w2s_probes.foretelling import ComparedProbes, compared_probes
from w2s_probes.probes.fitted_to import check_fitted_to
from w2s_probes.probes.saving import load_probe
from w2s_probes.rows.groups import GROUP, group_numbers

from .colours import DARK
from .drawing import Picture, heat_map
from .inputs import ById, by_id, stored_layers


@dataclass(frozen=True, eq=False, repr=False)
class ProbeCosines:
    """The Mahalanobis cosines of several linear probes at one layer, on the same rows.

    `cosines`: every pair with its interval and level of chance (`w2s_probes.foretelling.ComparedProbes`).
    """

    cosines: ComparedProbes
    layer: int
    remarks: tuple[str, ...] = ()  # files that do not say what their probe was fitted to

    def to_frame(self) -> pd.DataFrame:
        """A line a pair: first, second, value, low, high, by_chance, n, status."""
        return self.cosines.to_frame()

    def figure(self) -> Figure:
        """Probe against probe, 1 where they rank the rows alike, and what random directions reach."""
        names = [drawable(name) for name in self.cosines.names]
        side = 2.2 + 0.62 * len(names)
        figure = Picture(side + 1.4, side)
        axes = figure.subplots()
        table = self.cosines.matrix.to_numpy()
        shown = heat_map(axes, table, names, names, -1.0 if np.nanmin(table) < 0 else 0.0, 1.0)
        axes.set_aspect("equal")
        axes.tick_params(axis="x", labelrotation=30)
        axes.set_title(f"Probes at layer {self.layer}", loc="left", fontsize=10, color=DARK)
        figure.colorbar(shown, ax=axes, shrink=0.85, label="Mahalanobis cosine")
        chance = np.nanmax([pair.by_chance for pair in self.cosines.pairs])
        note = f"{self.cosines.rows:,} rows; one in twenty random directions reaches {chance:.2f}"
        figure.supxlabel(note, fontsize=8, color=DARK)
        return figure

    def __repr__(self) -> str:
        text = repr(self.cosines).replace("ComparedProbes(", f"ProbeCosines(layer {self.layer}, ", 1)
        return "\n".join([text, *self.remarks])

    def _repr_html_(self) -> str:
        html = self.cosines._repr_html_()
        told = "".join(f"<p>{escape(line)}</p>" for line in self.remarks)
        return html.replace("<b>ComparedProbes</b>", f"<b>ProbeCosines</b>, layer {self.layer}", 1) + told


def probe_cosines(
    store: ActivationStore,
    probes: Mapping[str, Any],
    *,
    layer: int | str,
    ids: Sequence[str] | None = None,
    groups: ById | None = None,
) -> ProbeCosines:
    """Compare fitted linear probes by name, directions (width,), or files of saved ones, on a layer's rows.

    `ids` are the rows to rank, such as those of a task that the probes did not learn; all of the store if absent.
    `groups` is a value a row, or a mapping or table by id. InputError for probes that are no directions of this layer,
    files of probes of another layer or model, rows that the store does not have, and a layer that it does not hold.
    """
    (at,) = stored_layers(store, layer)
    names = store.ids if ids is None else np.array(list(ids), dtype=object)
    if not isinstance(probes, Mapping):
        raise InputError(f"probes: a {type(probes).__name__}, not a mapping of names to probes")
    files = [one for one in probes.values() if isinstance(one, Path | str)]
    remarks = tuple(remark for file in files if (remark := check_fitted_to(file, store, at)))
    loaded = {name: load_probe(one) if isinstance(one, Path | str) else one for name, one in probes.items()}
    numbers = None if groups is None else group_numbers(by_id(groups, names, "groups", GROUP), len(names))
    return ProbeCosines(compared_probes(loaded, store.layer(at, ids=names), groups=numbers), at, remarks)
