"""Row saliency: a row's scores by layer, its neighbours, and the filter's verdict on it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

from w2s_probes import ActivationStore, FilterResult, InputError, LabelSet, LogisticProbe
from w2s_probes.errors import did_you_mean
from w2s_probes.labels.verdicts import DISAGREES, KEPT, OUTSIDE
from w2s_probes.neighbors import Neighbors, as_int
from w2s_probes.neighbors.store_graphs import store_neighbors
from w2s_probes.progress import Progress, silent
from w2s_probes.rows.groups import group_ids
from w2s_probes.store.layers import LayerSpec

from ..passages import TextTable
from .inputs import ById, Labelled, stored_layers
from .row_result import RowSaliency

SURE = 1e-6  # of a probability: beyond it the log-odds are cut, so that a margin stays a number


@dataclass(frozen=True, eq=False, repr=False)
class RowExplorer:
    """All rows, scored out of sample at every layer; `explorer["row id"]` shows one."""

    data: Labelled
    layer: int
    logistic: dict[int, NDArray[np.float64]]  # layer -> (n,) P(label = 1) from a probe fitted on other folds
    knn: dict[int, NDArray[np.float64]]  # layer -> (n,) from the nearest rows
    graph: Neighbors  # of `layer`
    verdicts: FilterResult | None

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[RowSaliency]:
        return (self[row] for row in self.data.ids)

    def __getitem__(self, row: str) -> RowSaliency:
        found = np.flatnonzero(self.data.ids == row)
        if not len(found):
            raise InputError(
                f"no row {row!r} among the {len(self)} labelled ones: {did_you_mean(str(row), self._near())}"
            )
        at = int(found[0])
        data, filtered = self.data, self.verdicts
        return RowSaliency(
            id=str(row),
            text=data.text(at),
            weak=float(data.weak[at]),
            truth=None if data.truth is None else float(data.truth[at]),
            layer=self.layer,
            by_layer=self._by_layer(at),
            neighbors=self._neighbors(at),
            verdict="" if filtered is None else verdict_in_words(filtered, at),
            reason="" if filtered is None else str(filtered.reasons[at]),
        )

    def to_frame(self) -> pd.DataFrame:
        """A line a row, in the labels' order: `id`, `weak`, `logistic`, `knn` (of `layer`), `margin`, `layers_against`.

        `layers_against`: the share of layers whose logistic probe is on the other side than the label. With a filter
        also `kept`, `reason` and `score`; `truth` and `text` where they were given.
        """
        data = self.data
        against = np.mean([(p > 0.5) != data.positive for p in self.logistic.values()], axis=0)
        table = pd.DataFrame(
            {
                "id": data.ids,
                "weak": data.weak,
                "logistic": self.logistic[self.layer],
                "knn": self.knn[self.layer],
                "margin": margins(data.weak, self.logistic[self.layer]),
                "layers_against": against,
            }
        )
        if (found := self.verdicts) is not None:
            table = table.assign(kept=found.mask, reason=found.reasons, score=found.scores)
        if data.truth is not None:
            table["truth"] = data.truth
        if data.texts is not None:
            table["text"] = data.texts
        return table

    def most_doubtful(self, rows: int = 10) -> TextTable:
        """The rows of least margin, which the probe would call mislabelled first; a DataFrame."""
        return TextTable(self.to_frame().sort_values("margin", kind="stable").head(rows).reset_index(drop=True))

    def _by_layer(self, at: int) -> pd.DataFrame:
        layers = list(self.logistic)
        scores = np.array([self.logistic[layer][at] for layer in layers])
        return pd.DataFrame(
            {
                "layer": layers,
                "logistic": scores,
                "knn": [self.knn[layer][at] for layer in layers],
                "margin": margins(np.full(len(layers), self.data.weak[at]), scores),
            }
        )

    def _neighbors(self, at: int) -> pd.DataFrame:
        data, rows = self.data, self.graph.indices[at]
        table = pd.DataFrame(
            {
                "rank": np.arange(1, len(rows) + 1),
                "id": data.ids[rows],
                "distance": np.sqrt(np.maximum(self.graph.distances[at], 0)),
                "weak": data.weak[rows],
                "agrees": data.positive[rows] == data.positive[at],
            }
        )
        if self.verdicts is not None:
            table["kept"] = self.verdicts.mask[rows]
        if data.truth is not None:
            table["truth"] = data.truth[rows]
        if data.texts is not None:
            table["text"] = data.texts[rows]
        return TextTable(table)

    def _near(self) -> list[str]:
        return [str(row) for row in self.data.ids[:20000]]  # beyond that, looking for a like name takes seconds

    def __repr__(self) -> str:
        seen = "" if self.verdicts is None else f", {len(self.verdicts.removed)} dropped by the filter"
        doubtful = int((self.to_frame()["margin"] < 0).sum())
        return (
            f"RowExplorer({len(self)} rows, layers {list(self.logistic)}, neighbours of layer {self.layer}{seen}; the "
            f"probe disagrees with {doubtful} labels)"
        )

    def _repr_html_(self) -> str:
        from html import escape

        shown = self.most_doubtful(8)._repr_html_()
        return f"<p><b>{escape(repr(self))}</b></p><p>Of least margin:</p>{shown}"


def row_saliency(
    store: ActivationStore,
    labels: LabelSet,
    *,
    layer: LayerSpec,
    layers: LayerSpec = "all",
    k: int = 10,
    l2: float | None = None,
    filtered: FilterResult | None = None,
    truth: LabelSet | None = None,
    groups: ById | None = None,
    texts: ById | None = None,
    folds: int = 5,
    seed: int = 0,
    progress: Progress = silent,
) -> RowExplorer:
    """Score every labelled row at every layer, out of sample, and find its `k` neighbours at `layer`.

    `filtered` is a filter's verdict on these labels, in their order. `l2` is the logistic penalty, by default that of
    least out-of-fold loss to the weak labels at each layer. `truth` is shown beside the labels and used for nothing.
    `texts` and `groups`: a value a label, a mapping or table by id, or a file's name. `progress` is called before the
    first layer and after each one. A layer that no probe can learn from, such as
    one at which all rows are equal, is left out of the scores.

    InputError for unknown ids and layers, and for a filter of other labels.
    """
    data = Labelled.of(labels, truth=truth, groups=groups, texts=texts)
    shown = stored_layers(store, layer)
    if len(shown) != 1:
        raise InputError(f"layer={layer!r} names {len(shown)} layers where one is needed: its neighbours are listed")
    if filtered is not None and not np.array_equal(filtered.labels, data.weak):
        raise InputError(
            f"the filter judged {len(filtered.labels)} rows with other labels than these {len(data)}: filter the same "
            "label set, in its order"
        )
    logistic: dict[int, NDArray[np.float64]] = {}
    knn: dict[int, NDArray[np.float64]] = {}
    graph: Neighbors | None = None
    k = as_int(k, "k")
    numbers = sorted({*stored_layers(store, layers), *shown})
    for done, number in enumerate(numbers):
        progress(f"layer {number}", done, len(numbers))
        X = store.layer(number, ids=data.ids)
        ids = group_ids(X, data.groups)
        try:
            found = store_neighbors(store, number, k, X, ids=data.ids, group_ids=ids)
            penalties: dict[str, Any] = {} if l2 is None else {"l2": [l2]}
            path = LogisticProbe.path(X, data.weak, cv=folds, groups=data.groups, seed=seed, **penalties)
        except InputError:
            if number == shown[0]:
                raise
            continue
        logistic[number] = path.best_out_of_fold
        knn[number] = found.means(data.weak, [k])[0]
        graph = Neighbors(found.first(k), found.distances[:, :k]) if number == shown[0] else graph
    progress("layers", len(numbers), len(numbers))
    assert graph is not None  # the layer shown is among them
    return RowExplorer(data, shown[0], logistic, knn, graph, filtered)


def margins(labels: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds (n,) of scores p (n,), signed towards the labels' side of ½: negative where they disagree."""
    return np.asarray(np.where(labels > 0.5, 1, -1) * logit(np.clip(p, SURE, 1 - SURE)))


def verdict_in_words(found: FilterResult, row: int) -> str:
    """Why the filter dropped a row, or how near it was to it, with the score from which on rows like it went."""
    reason, score = str(found.reasons[row]), float(found.scores[row])
    alike = (found.labels > 0.5) == (found.labels[row] > 0.5)
    gone = found.scores[alike & (found.reasons == DISAGREES)]
    limit = (
        f"rows of its class were dropped from {gone.min():.3f} on"
        if len(gone)
        else "no row of its class was dropped for that"
    )
    side = "1" if found.labels[row] > 0.5 else "0"
    how = ", in-sample" if found.in_sample else ""
    if reason == OUTSIDE:
        return f"dropped: outside component (not in the largest component of rows labelled {side})"
    if reason == DISAGREES:
        return f"dropped: disagreement (label and probe differ by {score:.3f}{how}; {limit})"
    if reason == KEPT:
        return f"kept (label and probe differ by {score:.3f}{how}; {limit})"
    return f"dropped: {reason} (score {score:.3f})"
