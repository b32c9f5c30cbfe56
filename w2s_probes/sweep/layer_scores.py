"""The scores of every cell of one layer and label set, all from one neighbour graph and one factorisation."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from ..devices import DeviceError
from ..errors import InputError
from ..filtering.disagreement import FilterResult, verdict
from ..neighbors import Neighbors, search
from ..neighbors.store_graphs import store_neighbors
from ..probes import LogisticProbe, MLPProbe, TopoProbe
from ..probes.design import Design
from ..probes.device_design import design_on
from ..probes.probe_entry import NO_VALUE
from ..probes.registry import PROBES
from ..relabeling import relabel
from ..rows.folds import fold_numbers
from ..rows.groups import group_ids, largest_group, most_neighbors
from ..store.activation_store import ActivationStore
from .grid import Grid
from .swept_labels import Side

SHORTER = ("knn", "logistic", "topo", "mlp")  # probes whose cells are read from what a layer's cells share


@dataclass(frozen=True)
class SweepCell:
    """A cell of a sweep's grid: a probe with its value, if it has one."""

    probe: str
    k: int | None = None
    l2: float | None = None

    @classmethod
    def of(cls, probe: str, value: float) -> "SweepCell":
        """The cell of a probe of the registry at one of its values, of which one without has none."""
        name = PROBES[probe].value
        return cls(probe, k=int(value)) if name == "k" else cls(probe, l2=None if name is None else float(value))

    @property
    def value(self) -> float:
        """The probe's value: its number of neighbours, or its penalty; NO_VALUE where it has none."""
        value = self.l2 if self.k is None else self.k
        return NO_VALUE if value is None else value


@dataclass(frozen=True, eq=False)
class CellScores:
    """P(label = 1) by one cell."""

    cell: SweepCell
    training: NDArray[np.float64]  # (n,) out of sample
    held_out: NDArray[np.float64]  # (m,) of rows that the probe never saw
    core: NDArray[np.bool_] | None = None  # (n,) the rows in Topo's components
    by_core: NDArray[np.float64] | None = None  # (n,) scores by which TopoFilter drops rows
    direction: NDArray[np.float64] | None = None  # (d,) weights, fitted to all training rows, of a linear probe


@dataclass(frozen=True)
class LeftOut:
    """Cells that a layer cannot serve, and the reason."""

    cells: tuple[SweepCell, ...]
    reason: str


@dataclass(frozen=True, eq=False)
class SweptLayer:
    """One layer's activations of the training and the held-out rows, read once."""

    store: ActivationStore
    number: int
    ids: NDArray[np.object_]  # (n,) of the training rows
    X: NDArray[np.float32]  # (n, d)
    other: NDArray[np.float32]  # (m, d) of the held-out rows
    groups: NDArray[np.intp] | None  # (n,)
    grid: Grid

    @classmethod
    def read(
        cls, store: ActivationStore, number: int, training: Side, held_out: Side | None, grid: Grid
    ) -> "SweptLayer":
        """Both sides from one read."""
        n = len(training)
        ids = training.ids if held_out is None else np.concatenate([training.ids, held_out.ids])
        both = store.layer(number, ids=ids)
        return cls(store, number, training.ids, both[:n], both[n:], training.groups, grid)

    @cached_property
    def group_ids(self) -> NDArray[np.intp]:
        """A code (n,) shared by rows of which none may judge another (`rows.groups.group_ids`)."""
        return group_ids(self.X, self.groups)

    @cached_property
    def k(self) -> int:
        """Neighbours searched for each row: the grid's largest number, as far as the rows allow."""
        return min(self.grid.graph_k, most_neighbors(self.group_ids, len(self.X)))

    @cached_property
    def graph(self) -> Neighbors:
        """The neighbours of the training rows, none of a row's own group; kept beside the store."""
        return store_neighbors(
            self.store, self.number, self.k, self.X, ids=self.ids, group_ids=self.group_ids, index=self.grid.index
        )

    @cached_property
    def outer_graph(self) -> Neighbors:
        """The training rows nearest to each held-out row."""
        return search(self.X, self.k, self.other, index=self.grid.index)

    def found(self, cell: SweepCell) -> list[float]:
        """The share of the true neighbours that the index found for a cell: of training, then of held-out rows."""
        if cell.probe not in ("knn", "topo"):  # of others that ask for the graph the held-out rows' search is their own
            asks = cell.k is not None and bool(self.grid.probe(cell.probe, cell.k).graph_k)
            return [self.graph.recall] if asks else []
        return [self.graph.recall, *([self.outer_graph.recall] if len(self.other) else [])]

    @cached_property
    def design(self) -> Design:
        """The prepared activations that every logistic fit at this layer shares."""
        return design_on(self.X, self.grid.device)

    def part(self, rows: NDArray[np.bool_], values: Mapping[str, Sequence[float]]) -> "SweptLayer":
        """Some training rows (n,) alone, with these values of their probes; no rows are held out."""
        groups = None if self.groups is None else np.unique(self.groups[rows], return_inverse=True)[1]
        grid = replace(self.grid, values=values, students=None)
        return replace(self, ids=self.ids[rows], X=self.X[rows], other=self.X[:0], groups=groups, grid=grid)

    def seeded_scores(self, p: NDArray[np.float64], seed: int) -> Iterator[CellScores | LeftOut]:
        """Every cell whose scores hang on the seed of the folds, for labels p (n,)."""
        if self.grid.values["logistic"]:
            yield from self._logistic(p, seed)
        if self.grid.values["mlp"]:
            yield from self._mlp(p, seed)
        yield from self._further(p, seed, cross_fitted=True)

    def _further(self, p: NDArray[np.float64], seed: int, *, cross_fitted: bool) -> Iterator[CellScores | LeftOut]:
        """Every cell of the registry's further probes, of those that folds score or of the others."""
        for name, values in self.grid.values.items():
            if name not in SHORTER and PROBES[name].cross_fitted == cross_fitted:
                yield from (self._relabelled(p, seed, name, value) for value in values)

    def _relabelled(self, p: NDArray[np.float64], seed: int, name: str, value: float) -> CellScores | LeftOut:
        """A cell from the probe's own fits: out of sample as `relabel` scores, and one fit for the held-out rows."""
        cell, probe = SweepCell.of(name, value), self.grid.probe(name, value)
        own = hasattr(type(probe), "out_of_sample_")
        apart: Any = {"group_ids": self.group_ids} if own or probe.graph_k else {}
        apart |= {"graph": self.graph} if probe.graph_k else {}
        try:
            fitted = probe.fit(self.X, p, **apart)
            if own:
                scored: Any = fitted
                inner = np.asarray(scored.out_of_sample_)
            else:
                inner = relabel(probe, self.X, p, groups=self.groups, folds=self.grid.folds, seed=seed)
            outer = fitted.predict_proba(self.other)[:, 1] if len(self.other) else np.empty(0)
        except DeviceError:  # the machine's lack, of which nothing is kept
            raise
        except InputError as error:
            return LeftOut((cell,), str(error))
        return CellScores(cell, inner, outer, direction=self._direction(fitted))

    def _direction(self, fitted: Any) -> NDArray[np.float64] | None:
        """The weights (d,) of a linear probe of the registry; None where no transfer is asked for, and of others."""
        weights = getattr(fitted, "coef_", None) if self.grid.transfer else None
        if weights is None or np.size(weights) != self.X.shape[1]:
            return None
        return np.asarray(weights, dtype=np.float64).ravel()

    def _logistic(self, p: NDArray[np.float64], seed: int) -> Iterator[CellScores | LeftOut]:
        """Every logistic cell, all from one path."""
        penalties = self.grid.values["logistic"]
        cells = [SweepCell.of("logistic", l2) for l2 in penalties]
        try:
            path = LogisticProbe.path(self.design, p, l2=penalties, cv=self.grid.folds, groups=self.groups, seed=seed)
        except DeviceError:
            raise
        except InputError as error:  # most often: too few rows that are not equal, as at the embedding
            yield LeftOut(tuple(cells), str(error))
            return
        outer = expit(self.other @ path.coef_.T + path.intercept_)
        for at, cell in enumerate(cells):
            held_out = np.asarray(outer[:, at], dtype=np.float64)
            yield CellScores(cell, path.out_of_fold[at], held_out, direction=path.coef_[at])

    def _mlp(self, p: NDArray[np.float64], seed: int) -> Iterator[CellScores | LeftOut]:
        """Every cell of the MLP, whose networks are taught in one loop, all from the same first weights."""
        penalties = self.grid.values["mlp"]
        cells = [SweepCell.of("mlp", l2) for l2 in penalties]
        try:
            folds = fold_numbers(self.X, p, groups=self.groups, folds=self.grid.folds, seed=seed)
            path = MLPProbe.path(self.X, p, l2=penalties, cv=folds, device=self.grid.device)
        except DeviceError:
            raise
        except InputError as error:
            yield LeftOut(tuple(cells), str(error))
            return
        for at, (cell, probe) in enumerate(zip(cells, path.probes, strict=True)):
            outer = probe.predict_proba(self.other)[:, 1] if len(self.other) else np.empty(0)
            yield CellScores(cell, path.out_of_fold[at], outer)

    def steady_scores(self, p: NDArray[np.float64]) -> Iterator[CellScores | LeftOut]:
        """Every cell for labels p (n,) whose scores hang on no seed: of kNN, Topo and further probes without folds."""
        within: list[int] = []
        for k in map(int, self.grid.values["knn"]):
            if k <= self.k:
                within.append(k)
            else:
                yield LeftOut((SweepCell("knn", k),), _too_many(k, self.group_ids))
        if within:
            inner, outer = self.graph.means(p, within), self._outer_means(p, within)
            for at, k in enumerate(within):
                yield CellScores(SweepCell("knn", k), inner[at], outer[at])
        for k in map(int, self.grid.values["topo"]):
            yield self._topo(p, k)
        yield from self._further(p, 0, cross_fitted=False)

    def _outer_means(self, p: NDArray[np.float64], ks: Sequence[int]) -> NDArray[np.float64]:
        return self.outer_graph.means(p, ks) if len(self.other) else np.empty((len(ks), 0))

    def _topo(self, p: NDArray[np.float64], k: int) -> CellScores | LeftOut:
        cell = SweepCell("topo", k)
        if k > self.k:
            return LeftOut((cell,), _too_many(k, self.group_ids))
        probe = TopoProbe(k, k, self.grid.connectivity, self.grid.index)
        try:
            fitted = probe.fit(self.X, p, group_ids=self.group_ids, graph=self.graph)
            inner = fitted.out_of_sample_
            outer = fitted.score_near(self.other, self.outer_graph) if len(self.other) else np.empty(0)
        except DeviceError:
            raise
        except InputError as error:  # too few rows in the components, or an index that finds too little among them
            return LeftOut((cell,), str(error))
        return CellScores(cell, inner, outer, fitted.core_, fitted.core_scores_)


def filtered(p: NDArray[np.float64], scores: CellScores, contamination: float) -> FilterResult:
    """The verdict of a filter by one cell on the training rows' labels p (n,)."""
    core = np.ones(len(p), dtype=bool) if scores.core is None else scores.core
    return verdict(p, scores.training if scores.by_core is None else scores.by_core, contamination, core)


def _too_many(k: int, ids: NDArray[np.intp]) -> str:
    largest = largest_group(ids)
    return f"k={k}, but {largest} of the {len(ids)} rows are equal or related at this layer: lower k"
