"""Concept saliency: at which layers, and in how few directions, simple probes find the concept of the labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from w2s_probes import ActivationStore, InputError, LabelSet
from w2s_probes.errors import preview
from w2s_probes.neighbors import Neighbors, as_int
from w2s_probes.neighbors.store_graphs import store_neighbors
from w2s_probes.progress import Progress, silent
from w2s_probes.rows.groups import group_ids
from w2s_probes.store.layers import LayerSpec

from .concept_drawing import agreement_figure, components_figure, layers_figure, regularization_figure
from .inputs import ById, Labelled, stored_layers
from .layer_agreement import rank_correlations, similarities
from .layer_curves import CURVES, SHUFFLED, LayerCurves, LayerMeasures, Settings

PENALTIES = (1e-4, 1e-2, 1.0, 1e2, 1e4)
NEIGHBOURS = (1, 5, 15, 50)
COMPONENTS = (1, 2, 4, 8, 16, 32, 64)
COMPARED = 32  # leading principal components by which layers are compared
MOST_OF_IT = 0.95  # of a layer's lift over chance, for which its components are counted


@dataclass(frozen=True, eq=False, repr=False)
class ConceptSaliency:
    """Out-of-sample curves of low-capacity probes at each layer, with controls beside each.

    `curves` is tidy, one line a number:

    `layer`; `probe`: logistic, knn, or components (the logistic probe on the first `components` principal components,
    which know no label, at the penalty chosen for all of them); `l2`, `k`, `components`: as far as they apply;
    `control`: empty, `shuffled labels` or `random features`; `target`: the `weak` labels, or the `truth`, of lines that
    read it; `chosen`: the penalty or k of least out-of-sample loss to the weak labels (of a control: as each of its
    draws would have chosen); `value`: AUROC, with `low` and `high`: 95 % by DeLong, over groups if given, of a curve,
    and the range of one more draw of a control; `loss`: to the weak labels, cross-entropy (logistic, components) or
    mean square (knn); `n` rows; `draws` of a control; `status`: ok, or why there is no number; `oracle`: false, since
    truth chose nothing.
    """

    curves: pd.DataFrame
    rank_correlation: pd.DataFrame  # (layers, layers) Spearman's, of out-of-fold scores at the chosen penalties
    similarity: pd.DataFrame  # (layers, layers) linear CKA of the leading principal components
    scores: pd.DataFrame  # (n, layers) those scores, P(label = 1), by row id
    rows: int

    @property
    def layers(self) -> list[int]:
        """The layers looked at, ascending."""
        return [int(layer) for layer in self.similarity.index]

    def to_frame(self) -> pd.DataFrame:
        """The tidy table of all curves; a copy."""
        return self.curves.copy()

    def summary(self) -> pd.DataFrame:
        """A line a layer: the chosen logistic probe beside the shuffled control, and where its signal lies.

        `weak`, `low`, `high`; `shuffled`, `shuffled_high`; `knn`; `components`: the fewest leading principal components
        with 95 % of the lift over ½ (missing where none of those tried has it); `truth` where it was given, which
        nothing in the other columns has read; `status`.
        """
        lines = [self._line(layer) for layer in self.layers]
        table = pd.DataFrame(lines).set_index("layer")
        return table if (self.curves["target"] == "truth").any() else table.drop(columns="truth")

    def best_layer(self) -> int:
        """The layer whose chosen logistic probe has the least out-of-fold loss to the weak labels; truth is not read.

        Chosen among as many layers as there are: re-estimate what you report on rows that had no part in it.
        """
        lines = self._curve("logistic", chosen=True).dropna(subset="loss")
        if lines.empty:
            raise InputError("no layer could be probed, so none is best: see the status of each in .curves")
        return int(lines["layer"].to_numpy()[lines["loss"].to_numpy().argmin()])

    def figure(self) -> Figure:
        """AUROC against the layer, for weak labels, truth where given, and controls; intervals shaded."""
        return layers_figure(self.curves, self.rows)

    def regularization_figure(self) -> Figure:
        """AUROC against penalty and layer, and against k and layer, as heat maps; a ring marks what was chosen."""
        return regularization_figure(self.curves)

    def components_figure(self, layers: Sequence[int] | None = None) -> Figure:
        """AUROC against the number of leading principal components, a panel a layer (at most six, evenly chosen).

        The figure says which layers and which numbers of components it leaves out. InputError for unknown layers.
        """
        chosen = _some(self.layers) if layers is None else [int(x) for x in layers]
        if unknown := [x for x in chosen if x not in self.layers]:
            raise InputError(f"layers={preview(unknown)}: measured were {preview(self.layers, 40)}")
        return components_figure(self.curves, chosen or self.layers[:1])

    def agreement_figure(self) -> Figure:
        """Rank correlation of scores and CKA of activations between layers, side by side."""
        return agreement_figure(self.rank_correlation, self.similarity)

    def _curve(self, probe: str, control: str = "", target: str = "weak", **where: Any) -> pd.DataFrame:
        c = self.curves
        lines = c[(c["probe"] == probe) & (c["control"] == control) & (c["target"] == target)]
        for name, value in where.items():
            lines = lines[lines[name] == value]
        return lines

    def _line(self, layer: int) -> dict[str, Any]:
        own = self._curve("logistic", layer=layer, chosen=True)
        if own.empty:
            status = self._curve("logistic", layer=layer)["status"].iloc[0]
            return {"layer": layer, "weak": np.nan, "truth": np.nan, "status": status}
        value, loss = float(own["value"].iloc[0]), float(own["loss"].iloc[0])
        chance = self._curve("logistic", SHUFFLED, layer=layer, chosen=True)
        knn = self._curve("knn", layer=layer, chosen=True)["value"]
        truth = self._curve("logistic", target="truth", layer=layer, chosen=True)["value"]
        parts = self._curve("components", layer=layer).dropna(subset="value")
        enough = parts[parts["value"] - 0.5 >= MOST_OF_IT * (value - 0.5)]["components"]
        return {
            "layer": layer,
            "l2": float(own["l2"].iloc[0]),
            "loss": loss,
            "weak": value,
            "low": float(own["low"].iloc[0]),
            "high": float(own["high"].iloc[0]),
            "shuffled": _first(chance["value"]),
            "shuffled_high": _first(chance["high"]),
            "knn": _first(knn),
            "components": int(enough.min()) if len(enough) and value > 0.5 else None,
            "truth": _first(truth),
            "status": "ok",
        }

    def __repr__(self) -> str:
        table = self.summary().drop(columns=["l2", "loss", "shuffled_high", "status"], errors="ignore")
        return f"ConceptSaliency({self.rows} rows, layers {self.layers}, AUROC out of sample)\n" + table.to_string(
            float_format="{:.3f}".format, na_rep=""
        )

    def _repr_html_(self) -> str:
        table = self.summary().drop(columns=["loss", "status"], errors="ignore")
        note = "AUROC out of sample; penalties chosen by weak labels" + (
            "; the column <i>truth</i> reads ground truth" if "truth" in table else ""
        )
        formats: Any = {"l2": "{:g}".format, "components": lambda value: "" if pd.isna(value) else f"{value:g}"}
        body = table.reset_index().to_html(index=False, float_format="{:.3f}".format, na_rep="", formatters=formats)
        return f"<p><b>ConceptSaliency</b>: {self.rows} rows. {note}.</p>{body}"


def concept_saliency(
    store: ActivationStore,
    labels: LabelSet,
    *,
    truth: LabelSet | None = None,
    groups: ById | None = None,
    layers: LayerSpec = "all",
    l2: Sequence[float] = PENALTIES,
    k: Sequence[int] = NEIGHBOURS,
    components: Sequence[int] = COMPONENTS,
    draws: int = 4,
    folds: int = 5,
    seed: int = 0,
    progress: Progress = silent,
) -> ConceptSaliency:
    """Measure simple probes at every layer of a store, on the rows that have a label.

    All scores are out of sample: cross-fitted for the logistic probe, leave-self-out for kNN, and exact duplicates and
    `groups` (a value a label, or a mapping or table by id) are never parted. `truth` is read to be measured against,
    and chooses nothing. Of each control there are `draws`: labels shuffled (whole groups at a time), and Gaussian
    features of the layer's own covariance.

    `progress` is called before the first layer and after each one. Each layer is read once and searched once; its graph
    is kept beside the store. A layer that no probe can
    learn from, such as one at which all rows are equal, has lines that say so. InputError for rows, layers and
    settings that cannot be used.
    """
    data = Labelled.of(labels, truth=truth, groups=groups)
    chosen = stored_layers(store, layers)
    settings = Settings(
        tuple(float(x) for x in l2),
        tuple(sorted({as_int(x, "k") for x in k})),
        tuple(sorted({as_int(x, "components") for x in components})),
        as_int(draws, "draws"),
        as_int(folds, "folds"),
        seed,
    )
    if settings.draws < 0 or min(settings.components, default=1) < 1:
        raise InputError(f"draws={draws} must be at least 0, and components={list(components)} at least 1 each")
    measured: dict[int, LayerCurves] = {}
    for layer in chosen:
        progress(f"layer {layer}", len(measured), len(chosen))
        measured[layer] = _measured(store, layer, data, settings)
    progress("layers", len(chosen), len(chosen))
    curves = pd.DataFrame([line for found in measured.values() for line in found.lines], columns=CURVES)
    return ConceptSaliency(
        curves.astype({"k": "Int64", "components": "Int64", "chosen": bool, "oracle": bool}),
        rank_correlations({layer: found.scores for layer, found in measured.items()}),
        similarities({layer: found.leading for layer, found in measured.items()}),
        pd.DataFrame({layer: found.scores for layer, found in measured.items()}, index=pd.Index(data.ids, name="id")),
        len(data),
    )


def _measured(store: ActivationStore, layer: int, data: Labelled, settings: Settings) -> LayerCurves:
    X = store.layer(layer, ids=data.ids)
    ids = group_ids(X, data.groups)

    def find(k: int) -> Neighbors:
        return store_neighbors(store, layer, k, X, ids=data.ids, group_ids=ids)

    return LayerMeasures(layer, data, settings).all(X, ids, find, COMPARED)


def _first(values: "pd.Series[float]") -> float:
    return float(values.iloc[0]) if len(values) else float("nan")


def _some(layers: list[int], most: int = 6) -> list[int]:
    """At most `most` of the layers, evenly spaced, with the last."""
    at = np.unique(np.linspace(0, len(layers) - 1, min(most, len(layers))).round().astype(int))
    return [layers[i] for i in at]
