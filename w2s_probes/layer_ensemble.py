"""Several layers that judge together: the mean of their log-odds, and how often they agree."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from .errors import InputError
from .labels.label_set import LabelSet
from .progress import Progress, silent
from .relabeling import relabel
from .store.activation_store import ActivationStore
from .store.layers import LayerSpec
from .tensors import as_numpy
from .ties import above_half

SUREST = 0.99  # so that no layer outvotes all others by being sure: its log-odds are 4.6 at most


def mean_log_odds(scores: ArrayLike) -> NDArray[np.float64]:
    """P(label = 1) (n,) by the mean of the log-odds of L layers, whose P are scores (L, n), each within .01 and .99.

    >>> mean_log_odds([[0.9, 0.5], [0.9, 1.0]]).round(3).tolist()
    [0.9, 0.909]
    """
    return np.asarray(expit(logit(np.clip(_checked(scores), 1 - SUREST, SUREST)).mean(axis=0)))


def layer_agreement(scores: ArrayLike) -> NDArray[np.float64]:
    """How many of all pairs of layers give each row (n,) the same class, of scores (L, n): 1 where all agree.

    >>> layer_agreement([[0.9, 0.6], [0.8, 0.7], [0.7, 0.2]]).round(2).tolist()
    [1.0, 0.33]
    """
    ones = above_half(_checked(scores)).sum(axis=0)
    count = len(as_numpy(scores))
    zeros = count - ones
    return np.asarray((ones * (ones - 1) + zeros * (zeros - 1)) / (count * (count - 1)))


def _checked(scores: ArrayLike) -> NDArray[np.float64]:
    found = np.asarray(as_numpy(scores), dtype=np.float64)
    if found.ndim != 2 or len(found) < 2:
        raise InputError(f"scores must be a matrix (layers, rows) of two layers at least, got shape {found.shape}")
    if not ((found >= 0) & (found <= 1)).all():
        raise InputError("scores must be P(label = 1) in [0, 1]: some are not, or are missing")
    return found


@dataclass(frozen=True, eq=False, repr=False)
class LayerEnsemble:
    """One probe at L layers, each row scored by fits that did not learn its label."""

    layers: list[int]
    ids: NDArray[np.object_]  # (n,) of the rows
    scores: NDArray[np.float64]  # (L, n) P(label = 1) by each layer, out of sample

    @property
    def p(self) -> NDArray[np.float64]:
        """P(label = 1) (n,) of all layers together (`mean_log_odds`)."""
        return mean_log_odds(self.scores)

    @property
    def agreement(self) -> NDArray[np.float64]:
        """The share of the pairs of layers (n,) that agree about each row's class."""
        return layer_agreement(self.scores)

    @property
    def pairs(self) -> pd.DataFrame:
        """The share of rows whose class two layers agree about, layer by layer."""
        above = above_half(self.scores)
        same = (above[:, None] == above).mean(axis=2)
        return pd.DataFrame(same, index=self.layers, columns=self.layers)

    def to_frame(self) -> pd.DataFrame:
        """A line a row: `id`, `p`, `agreement`, and P(label = 1) by each layer under its number."""
        by_layer: dict[Any, Any] = dict(zip(self.layers, self.scores, strict=True))
        return pd.DataFrame({"id": self.ids, "p": self.p, "agreement": self.agreement, **by_layer})

    def __repr__(self) -> str:
        layers = ", ".join(map(str, self.layers))
        return f"LayerEnsemble({len(self.ids)} rows, layers {layers} agree in {self.agreement.mean():.1%} of pairs)"


def layer_ensemble(
    store: ActivationStore,
    labels: LabelSet,
    probe: Any,
    layers: LayerSpec = "all",
    *,
    groups: ArrayLike | None = None,
    folds: int = 5,
    seed: int = 0,
    progress: Progress = silent,
) -> LayerEnsemble:
    """One probe at several layers of a store, each taught these labels; its scores are out of sample as `relabel`'s.

    `groups` (n,) are related rows, of which none judges another, in the order of the labels. A layer is read, fitted
    and let go before the next: as much memory as for one. InputError for fewer than two layers, for those that are not
    stored, and for what `relabel` refuses.
    """
    chosen = store.select(layers)
    if len(chosen) < 2:
        raise InputError(f"layers {layers!r}: one layer alone is no ensemble: name two at least")
    scores = []
    for number, layer in enumerate(chosen):
        progress(f"layer {layer}", number, len(chosen))
        X = store.layer(layer, ids=labels.ids)
        scores.append(relabel(probe, X, labels.p, groups=groups, folds=folds, seed=seed))
    progress("layers", len(chosen), len(chosen))
    return LayerEnsemble(chosen, labels.ids, np.stack(scores))
