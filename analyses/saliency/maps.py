"""A map of the rows: two coordinates a row, coloured by what is known of it, without a display or a network."""

import warnings
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from w2s_probes import ActivationStore, FilterResult, InputError, LabelSet, LogisticProbe
from w2s_probes.errors import did_you_mean
from w2s_probes.probes.design import Design
from w2s_probes.randomness import torch_seed
from w2s_probes.store.layers import LayerSpec

from .inputs import ById, Labelled, stored_layers
from .layer_curves import principal_scores
from .map_drawing import map_figure, map_html

Method = Literal["pca", "umap"]
Colouring = Literal["label", "disagreement", "filter", "truth"]
REDUCED = 50  # leading principal components that UMAP works on
NEIGHBOURS = 15  # of UMAP, its own default


@dataclass(frozen=True, eq=False, repr=False)
class RowMap:
    """Rows of one layer in the plane."""

    table: pd.DataFrame  # `id`, `x`, `y`, `weak`, `p`, `disagreement`; `kept`, `reason`, `truth`, `text` where given
    layer: int
    method: Method
    explained: tuple[float, float] | None  # of PCA: the share of variance along x and y

    @property
    def colourings(self) -> list[Colouring]:
        """The columns that can colour the map; `truth` only where it was given."""
        found: list[Colouring] = ["label", "disagreement"]
        found += ["filter"] if "kept" in self.table else []
        found += ["truth"] if "truth" in self.table else []
        return found

    def to_frame(self) -> pd.DataFrame:
        """A line a row, in the labels' order; a copy."""
        return self.table.copy()

    def figure(self, colour: Colouring = "label") -> Figure:
        """The map, coloured by the weak label, disagreement with the probe, the filter's verdict or the truth."""
        return map_figure(self.table, self.axes, self._known(colour), self.title)

    def html(self, colour: Colouring = "label") -> str:
        """The map as one piece of HTML: choose the colouring, hover for the row's text. Nothing is loaded."""
        return map_html(self.table, self.axes, self.colourings, self._known(colour), self.title)

    @property
    def axes(self) -> tuple[str, str]:
        """The names of the two axes."""
        if self.explained is None:
            return "UMAP 1", "UMAP 2"
        return f"PC 1 ({self.explained[0]:.0%} of variance)", f"PC 2 ({self.explained[1]:.0%})"

    @property
    def title(self) -> str:
        """The title of the map."""
        return f"{len(self.table):,} rows at layer {self.layer}"

    def _known(self, colour: str) -> Any:
        if colour not in self.colourings:
            what = f"colour {colour!r}"
            if colour in get_args(Colouring):
                raise InputError(f"{what}: give {'filtered=' if colour == 'filter' else 'truth='} to row_map for it")
            raise InputError(f"{what}: {did_you_mean(colour, self.colourings)}")
        return colour

    def __repr__(self) -> str:
        return f"RowMap({self.title}, {self.method}, coloured by {', '.join(self.colourings)})"

    def _repr_html_(self) -> str:
        return self.html()


def row_map(
    store: ActivationStore,
    labels: LabelSet,
    *,
    layer: LayerSpec,
    method: Method = "pca",
    filtered: FilterResult | None = None,
    truth: LabelSet | None = None,
    groups: ById | None = None,
    texts: ById | None = None,
    seed: int = 0,
) -> RowMap:
    """Lay the labelled rows of a layer out in the plane, by PCA or, where umap-learn is installed, by UMAP.

    No label has a part in where a row lies. `disagreement` is |weak label - P(label = 1)| of the filter's probe where
    `filtered` (a verdict on these labels, in their order) is given, else of a logistic probe, out of sample. UMAP works
    on the 50 leading principal components and is the same for the same seed; distances between clusters mean
    nothing on it.
    """
    if method not in get_args(Method):
        raise InputError(f"method {method!r}: {did_you_mean(method, get_args(Method))}")
    data = Labelled.of(labels, truth=truth, groups=groups, texts=texts)
    if filtered is not None and not np.array_equal(filtered.labels, data.weak):
        raise InputError(
            f"the filter judged other labels than these {len(data)}: filter the same label set, in its order"
        )
    numbers = stored_layers(store, layer)
    if len(numbers) != 1:
        raise InputError(f"layer={layer!r} names {len(numbers)} layers where one is needed")
    design = Design.of(store.layer(numbers[0], ids=data.ids))
    if filtered is not None and filtered.p is not None:
        p = filtered.p
    else:
        path = LogisticProbe.path(design, data.weak, groups=data.groups, seed=seed)
        p = path.best_out_of_fold
    if method == "umap":
        xy, explained = _umap(principal_scores(design, REDUCED), seed), None
    else:
        xy, explained = _pca(design)
    table = pd.DataFrame({"id": data.ids, "x": xy[:, 0], "y": xy[:, 1], "weak": data.weak, "p": p})
    table["disagreement"] = np.abs(data.weak - p)
    if filtered is not None:
        table = table.assign(kept=filtered.mask, reason=filtered.reasons)
    if data.truth is not None:
        table["truth"] = data.truth
    if data.texts is not None:
        table["text"] = data.texts
    return RowMap(table, numbers[0], method, explained)


def _pca(design: Design) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Scores (n, 2), each component's sign such that its largest weight is positive, and shares of variance."""
    scores, spectrum = principal_scores(design, 2), design.spectrum
    if scores.shape[1] < 2:
        scores = np.column_stack([scores, np.zeros(len(scores), dtype=np.float32)])
    total = float(spectrum.values.sum()) + spectrum.rest * (spectrum.vectors.shape[0] - len(spectrum.values))
    shares = (*spectrum.values[::-1][:2], 0.0)[:2]
    axes = spectrum.vectors[:, ::-1][:, :2]
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    scores[:, : len(signs)] *= np.where(signs == 0, 1, signs).astype(np.float32)
    return scores, (float(shares[0]) / (total or 1.0), float(shares[1]) / (total or 1.0))


def _umap(X: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # says that tensorflow, for a part not used here, is not installed
            made = import_module("umap").UMAP
    except ImportError as error:
        raise InputError("method 'umap' needs umap-learn: pip install umap-learn, or use method='pca'") from error
    near = min(NEIGHBOURS, len(X) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # says that a seed means one thread
        found = made(n_components=2, n_neighbors=near, random_state=torch_seed(seed, "umap") % 2**32).fit_transform(X)
    return np.asarray(found, dtype=np.float32)
