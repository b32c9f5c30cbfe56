"""One layer under every probe: out-of-sample AUROC by penalty, by k, by leading components, controls beside each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_probes import InputError, LogisticProbe
from w2s_probes.labels.shuffled import shuffled_labels
from w2s_probes.neighbors import Neighbors, search
from w2s_probes.noise.calibration import auroc_interval
from w2s_probes.probes.design import Design
from w2s_probes.probes.logistic import RegularizationPath
from w2s_probes.randomness import stream
from w2s_probes.rows.groups import most_neighbors

from .curve_controls import SEARCHED, random_features, range_of_draws
from .inputs import Labelled

SHUFFLED, RANDOM = "shuffled labels", "random features"
CURVES = ["layer", "probe", "l2", "k", "components", "control", "target", "chosen"]
CURVES += ["value", "low", "high", "loss", "n", "draws", "status", "oracle"]
NAN = float("nan")
OK = "ok"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """The settings that are tried at every layer."""

    l2: tuple[float, ...]
    k: tuple[int, ...]
    components: tuple[int, ...]
    draws: int
    folds: int
    seed: int


class At(NamedTuple):
    """The settings of a point, as far as they apply."""

    l2: float = NAN
    k: int | None = None
    components: int | None = None


class CurvePoint(NamedTuple):
    """A point of a curve, which is a line of the table."""

    probe: str
    at: At
    value: float = NAN
    low: float = NAN
    high: float = NAN
    control: str = ""
    target: str = "weak"
    chosen: bool = False
    loss: float = NAN
    draws: int = 0
    status: str = OK


@dataclass(frozen=True, eq=False)
class LayerCurves:
    """The measurements of a layer as lines of a tidy table, and the scores by which layers are compared."""

    lines: list[dict[str, Any]] = field(repr=False)
    scores: Array  # (n,) out-of-fold P(1) of the logistic probe at its chosen penalty; NaN if there is none
    leading: NDArray[np.float32] = field(repr=False)  # (n, r) the leading principal components' scores


def principal_scores(design: Design, most: int) -> NDArray[np.float32]:
    """Scores (n, r) of the leading principal components, largest variance first: found without any label."""
    axes = design.spectrum.vectors[:, ::-1][:, :most]
    return np.asarray((design.matrix @ axes) * design.scale, dtype=np.float32)


class LayerMeasures:
    """Collects the measurements of one layer."""

    def __init__(self, layer: int, data: Labelled, settings: Settings) -> None:
        self.layer, self.data, self.settings = layer, data, settings
        self.lines: list[dict[str, Any]] = []
        self.scores, self.penalty = np.full(len(data), NAN), NAN
        # The same shuffles at every layer: their curves are then as comparable as those of the labels.
        self._shuffled = [
            shuffled_labels(data.weak, data.groups, stream(settings.seed, "shuffled", i)) for i in range(settings.draws)
        ]

    def all(
        self, X: NDArray[np.float32], group_ids: NDArray[np.intp], find: Callable[[int], Neighbors], leading: int
    ) -> LayerCurves:
        """Every curve of activations X (n, d), whose k neighbours `find` finds; `leading` components are kept."""
        design = Design.of(X)
        most = max((leading, *self.settings.components))
        scores = principal_scores(design, most)
        noise = [
            random_features(design, stream(self.settings.seed, "random", self.layer, i))
            for i in range(self.settings.draws)
        ]
        self.logistic(design, noise)
        self.nearest(find, noise, group_ids)
        for r in self.settings.components:
            if not np.isfinite(self.penalty):
                continue
            if r <= scores.shape[1]:
                self.first_components(scores, noise, r)
            else:
                status = f"the layer has only {scores.shape[1]} components"
                self._line(CurvePoint("components", At(components=r), status=status))
        return LayerCurves(self.lines, self.scores, scores[:, :leading])

    def logistic(self, design: Design, noise: Sequence[NDArray[np.float32]]) -> None:
        """The logistic probe at every penalty; the one chosen is that of least out-of-fold loss to the weak labels."""
        try:
            path, *shuffled = self._paths(design, [self.data.weak, *self._shuffled], self.settings.l2)
            random = [self._paths(features, [self.data.weak], self.settings.l2)[0] for features in noise]
        except InputError as error:  # such as a layer at which all rows are equal
            self._line(CurvePoint("logistic", At(), status=str(error)))
            return
        best = int(np.flatnonzero(path.l2 == path.best)[0])
        self.scores, self.penalty = path.out_of_fold[best], path.best
        for at, l2 in enumerate(path.l2):
            self._judged("logistic", At(float(l2)), path.out_of_fold[at], float(path.cv_loss[at]), at == best)
        for control, paths, labels in self._controls(shuffled, random):
            for at, l2 in enumerate(path.l2):
                drawn = [_auroc(y, one.out_of_fold[at]) for one, y in zip(paths, labels, strict=True)]
                self._drawn("logistic", At(float(l2)), control, drawn, False)
            drawn = [_auroc(y, one.best_out_of_fold) for one, y in zip(paths, labels, strict=True)]
            self._drawn("logistic", At(), control, drawn, True)

    def nearest(
        self, find: Callable[[int], Neighbors], noise: Sequence[NDArray[np.float32]], group_ids: NDArray[np.intp]
    ) -> None:
        """kNN at every k that the rows can serve, from one graph."""
        others = most_neighbors(group_ids, len(group_ids))
        for k in self.settings.k:
            if not 1 <= k <= others:
                self._line(
                    CurvePoint(
                        "knn", At(k=k), status=f"k={k}, but some row has {others} others that are not equal or related"
                    )
                )
        ks = [k for k in self.settings.k if 1 <= k <= others]
        if not ks:
            return
        graph = find(max(ks))
        means = graph.means(self.data.weak, ks)
        losses = ((means - self.data.weak) ** 2).mean(axis=1)
        for at, k in enumerate(ks):
            self._judged("knn", At(k=k), means[at], float(losses[at]), at == int(losses.argmin()))
        shuffled = [(y, graph.means(y, ks)) for y in self._shuffled]
        searched = [search(_first(features, SEARCHED), max(ks), group_ids=group_ids) for features in noise]
        random = [(self.data.weak, found.means(self.data.weak, ks)) for found in searched]
        for control, draws in ((SHUFFLED, shuffled), (RANDOM, random)):
            for at, k in enumerate(ks):
                self._drawn("knn", At(k=k), control, [_auroc(y, scores[at]) for y, scores in draws], False)
            best = [_auroc(y, scores[((scores - y) ** 2).mean(axis=1).argmin()]) for y, scores in draws]
            self._drawn("knn", At(), control, best, True)

    def first_components(self, scores: NDArray[np.float32], noise: Sequence[NDArray[np.float32]], r: int) -> None:
        """The logistic probe on the first r principal components alone, at the penalty chosen for all of them."""
        l2 = [self.penalty]
        try:
            path, *shuffled = self._paths(_first(scores, r), [self.data.weak, *self._shuffled], l2)
            random = [self._paths(_first(features, r), [self.data.weak], l2)[0] for features in noise]
        except InputError as error:  # such as a first component that is the same for all rows
            self._line(CurvePoint("components", At(components=r), status=str(error)))
            return
        at = At(l2[0], components=r)
        self._judged("components", at, path.out_of_fold[0], float(path.cv_loss[0]), False)
        for control, paths, labels in self._controls(shuffled, random):
            drawn = [_auroc(y, one.out_of_fold[0]) for one, y in zip(paths, labels, strict=True)]
            self._drawn("components", at, control, drawn, False)

    def _paths(
        self, X: NDArray[np.float32] | Design, labels: Sequence[Array], l2: Sequence[float]
    ) -> list[RegularizationPath]:
        s, groups = self.settings, self.data.groups
        return LogisticProbe.paths(X, np.stack(labels), l2=l2, cv=s.folds, groups=groups, seed=s.seed)

    def _controls(
        self, shuffled: list[RegularizationPath], random: list[RegularizationPath]
    ) -> list[tuple[str, list[RegularizationPath], list[Array]]]:
        return [(SHUFFLED, shuffled, self._shuffled), (RANDOM, random, [self.data.weak] * len(random))]

    def _judged(self, probe: str, at: At, scores: Array, loss: float, chosen: bool) -> None:
        """A line against the weak labels and, where it was given, one against the truth."""
        groups = self.data.groups
        ends = auroc_interval(self.data.positive, scores, groups)
        self._line(CurvePoint(probe, at, *ends, loss=loss, chosen=chosen))
        if self.data.truth is not None:
            positive = self.data.truth > 0.5
            ends = auroc_interval(positive, scores, groups) if 0 < positive.mean() < 1 else (NAN, NAN, NAN)
            self._line(CurvePoint(probe, at, *ends, target="truth", chosen=chosen))

    def _drawn(self, probe: str, at: At, control: str, drawn: list[float], chosen: bool) -> None:
        if drawn:
            ends = range_of_draws(drawn)
            self._line(CurvePoint(probe, at, *ends, control=control, chosen=chosen, draws=len(drawn)))

    def _line(self, line: CurvePoint) -> None:
        # Truth chose nothing in any line, which is what `oracle` says; `target` says which lines it is read in.
        told = line._asdict() | line.at._asdict() | {"layer": self.layer, "n": len(self.data), "oracle": False}
        self.lines.append({name: told[name] for name in CURVES})


def _first(features: NDArray[np.float32], columns: int) -> NDArray[np.float32]:
    return np.ascontiguousarray(features[:, :columns])


def _auroc(labels: Array, scores: Array) -> float:
    return auroc_interval(labels > 0.5, scores)[0]
