"""What a method may see: activations and weak labels. Ground truth is not in here, so no method can read it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from w2s_probes.duplicates import belonging_together
from w2s_probes.filtering import FilterResult, disagreement_filter
from w2s_probes.neighbors import Neighbors, search
from w2s_probes.probes import KNNProbe, LogisticProbe, Probe, TopoProbe
from w2s_probes.relabeling import relabel
from w2s_probes.students import HeadStudent
from w2s_probes.students.head import Loss
from w2s_probes.topo_filtering import topo_filter

from .recipe import Probes, Student


@dataclass(frozen=True)
class Outcome:
    """What a method gave: scores of the test rows, and the settings that its row in the results names."""

    scores: NDArray[np.float64]  # (n_test,) P(label = 1)
    probe: str = ""
    k: int | None = None
    l2: float | None = None
    contamination: float | None = None
    notes: dict[str, float] = field(default_factory=dict)  # for run.json: rows removed, ...


@dataclass(frozen=True)
class Experiment:
    """One task and seed."""

    X_train: NDArray[np.float32]  # (n_train, width) activations of the strong model
    X_val: NDArray[np.float32]  # (n_val, width)
    X_test: NDArray[np.float32]  # (n_test, width)
    weak_train: NDArray[np.float64]  # (n_train,) P(label = 1) by the weak supervisor
    weak_val: NDArray[np.float64]  # (n_val,)
    groups: NDArray[np.object_] | None  # (n_train,) related rows share one; None where no two are related
    student: Student
    probes: Probes
    seed: int

    def train_student(
        self, labels: NDArray[np.float64], mask: NDArray[np.bool_] | None = None, loss: Loss | None = None
    ) -> NDArray[np.float64]:
        """Test scores (n_test,) of a student trained on these labels (n_train,) of the rows in the mask."""
        rows = slice(None) if mask is None else mask
        head = HeadStudent(loss or self.student.loss, epochs=self.student.epochs, seed=self.seed)
        head.fit(self.X_train[rows], labels[rows], self.X_val, self.weak_val)
        return head.predict_proba(self.X_test)[:, 1]

    def probe(self, name: str) -> Probe:
        """An unfitted probe with the recipe's hyper-parameters."""
        settings = self.probes
        if name == "knn":
            return KNNProbe(settings.knn_k)
        if name == "logistic":
            return LogisticProbe(settings.logistic_l2)
        return TopoProbe(settings.topo_k, settings.topo_k, settings.connectivity)

    def probe_outcome(self, name: str, scores: NDArray[np.float64]) -> Outcome:
        """An outcome that names the probe's settings."""
        k = {"knn": self.probes.knn_k, "topo": self.probes.topo_k}.get(name)
        return Outcome(scores, name, k, l2=self.probes.logistic_l2 if name == "logistic" else None)

    @cached_property
    def graph(self) -> Neighbors:
        """The neighbours of the training rows, related rows apart, as many as any probe here asks for."""
        apart = belonging_together(self.X_train, self.groups)
        k = max(self.probes.knn_k, TopoProbe(self.probes.topo_k, self.probes.topo_k).graph_k)
        return search(self.X_train, min(k, len(apart) - int(np.bincount(apart).max())), apart=apart)

    @cached_property
    def _opinions(self) -> dict[str, NDArray[np.float64]]:
        return {}

    def opinion(self, name: str) -> NDArray[np.float64]:
        """A probe's out-of-sample P(label = 1) of the training rows (n_train,), computed once."""
        if name not in self._opinions:
            graph = None if name == "logistic" else self.graph
            self._opinions[name] = relabel(
                self.probe(name), self.X_train, self.weak_train, groups=self.groups, seed=self.seed, graph=graph
            )
        return self._opinions[name]

    def filtered(self, name: str) -> FilterResult:
        """The rows that a probe's filter keeps, at the recipe's contamination."""
        settings = self.probes
        if name == "topo":
            k = settings.topo_k
            return topo_filter(
                self.X_train,
                self.weak_train,
                k,
                k,
                settings.contamination,
                settings.connectivity,
                groups=self.groups,
                graph=self.graph,
            )
        return disagreement_filter(self.weak_train, self.opinion(name), settings.contamination)


Method = Callable[[Experiment], Outcome]
