"""One probe at several layers in a trial: what each says, and what they say together."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from w2s_probes.layer_ensemble import layer_agreement, mean_log_odds

from ..lessons.activations import Activations
from ..lessons.lesson import Misuse, Scores
from ..recipe.ensemble_layers import LAYERS

__all__ = ["LAYERS", "LayerView", "together"]


class LayerView:
    """The part of an experiment that reads several layers: `Experiment` has the fields."""

    if TYPE_CHECKING:
        layer_activations: tuple[Activations, ...]
        probes: Any

        def out_of_sample_scores(self, name: str, labels: NDArray[np.float64] | None = None) -> NDArray[np.float64]: ...

        def plain_probe_scores(self, name: str, labels: NDArray[np.float64]) -> Scores: ...

    def at_layers(self) -> Mapping[int, Self]:
        """The experiment as a probe of each layer sees it, by the layer's number."""
        if not self.layer_activations:
            raise Misuse("a method reads several layers: it declares `Method(layers=True)`, and a recipe names them")
        own: Any = self
        return {
            read.index: replace(own, activations=read, pooling=None, layer_activations=(), shared=None)
            for read in self.layer_activations
        }

    def opinions_of_layers(self, labels: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """P(label = 1) (L, n_train) of the training rows by each layer, which learned labels of other rows.

        They are the weak ones unless given.
        """
        of = self.probes.layers.of
        return np.stack([view.out_of_sample_scores(of, labels) for view in self.at_layers().values()])

    def scores_of_layers(self, labels: NDArray[np.float64]) -> Scores:
        """P(label = 1) of the sets that probes score, by all layers together, each taught labels (n_train,)."""
        of = self.probes.layers.of
        return together([view.plain_probe_scores(of, labels) for view in self.at_layers().values()])

    def layer_notes(self) -> dict[str, float]:
        """How often two layers agree about the class of a training row, out of sample; for run.json."""
        return {"layers": float(len(self.layer_activations)), "agreement": _mean_agreement(self.opinions_of_layers())}


def together(members: list[Scores]) -> Scores:
    """The scores of several members, set by set, by the mean of their log-odds."""
    return {name: mean_log_odds([scores[name] for scores in members]) for name in members[0]}


def _mean_agreement(scores: NDArray[np.float64]) -> float:
    return float(layer_agreement(scores).mean())
