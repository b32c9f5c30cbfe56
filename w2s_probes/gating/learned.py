"""A gate whose weights are learned from rows with true labels."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit

from ..errors import InputError, did_you_mean
from ..labels.label_set import LabelSet, ids_of, refuse_other_ids
from .dispersion import KINDS, class_probabilities, dispersion, signals
from .mixing import Gated, mixed, pair, refuse_weak_labels, true_classes

GateKind = Literal["variance", "entropy", "learned"]
GATE_KINDS: tuple[GateKind, ...] = (*KINDS, "learned")
LEAST = 30  # rows with true labels from which three weights are learned
SMALLEST = 1e-12  # of a probability whose logarithm is a loss


class Gate:
    """A gate between two models: by the weak one's variance or entropy, or learned from rows with true labels.

    The learned confidence is σ(w · [variance, entropy, 1]), with the weights of least mean log loss of the mixture plus
    l2 · ‖w‖². The others have nothing to learn.

    >>> rng, truth = np.random.default_rng(0), np.arange(200) % 2
    >>> weak, strong = (np.clip(truth + rng.normal(size=200), 0.05, 0.95) for _ in range(2))
    >>> learned = Gate("learned").fit(weak, strong, truth)
    >>> learned.mix(weak, strong).p.shape
    (200,)
    """

    def __init__(self, kind: GateKind = "variance", l2: float = 1e-3) -> None:
        if kind not in GATE_KINDS:
            raise InputError(f"gate {kind!r}: {did_you_mean(str(kind), GATE_KINDS)}")
        if not l2 > 0:
            raise InputError(f"l2={l2:g}: the penalty of a gate's weights must be above 0")
        self.kind, self.l2 = kind, l2
        self.coef_: NDArray[np.float64] | None = None  # (3,) of the variance, the entropy, and 1

    def fit(self, weak: ArrayLike | LabelSet, strong: ArrayLike | LabelSet, truth: ArrayLike | LabelSet) -> "Gate":
        """Learn the weights from predictions (n,) or (n, C) of rows whose true labels (n,) are known.

        The rows must be new to both models: on rows that the weak one has learned it is surer than it will be.
        InputError for fewer than 30 rows, rows of one class, and label sets of other rows.
        """
        refuse_weak_labels(truth, "a gate")
        refuse_other_ids({"weak": ids_of(weak), "strong": ids_of(strong), "truth": ids_of(truth)})
        first, second = pair(weak, strong)
        classes = true_classes(truth, first)
        if self.kind != "learned":
            return self
        if len(classes) < LEAST:
            raise InputError(f"{len(classes)} rows with true labels: a gate learns from {LEAST} or more")
        if len(np.unique(classes)) < 2:
            raise InputError(f"the {len(classes)} rows with true labels are of one class: give rows of both")
        p, q = (class_probabilities(one, "")[np.arange(len(classes)), classes] for one in (first, second))
        seen = signals(first)

        def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            c = expit(seen @ w)
            mix = np.clip(c * p + (1 - c) * q, SMALLEST, None)
            by_gate = -(p - q) / mix * c * (1 - c)
            return float(-np.log(mix).mean() + self.l2 * w @ w), seen.T @ by_gate / len(mix) + 2 * self.l2 * w

        self.coef_ = np.asarray(minimize(loss, np.zeros(3), jac=True, method="BFGS").x)
        return self

    def confidence(self, weak: ArrayLike | LabelSet) -> NDArray[np.float64]:
        """What share (n,) of each row the weak model decides."""
        if self.kind != "learned":
            return dispersion(weak, self.kind)
        if self.coef_ is None:
            raise InputError("a learned gate has no weights yet: fit it to rows with true labels first")
        return np.asarray(expit(signals(weak) @ self.coef_))

    def mix(self, weak: ArrayLike | LabelSet, strong: ArrayLike | LabelSet) -> Gated:
        """The mixture of two models' predictions of the same rows."""
        pair(weak, strong)
        return mixed(weak, strong, self.confidence(weak))
