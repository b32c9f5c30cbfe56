"""What gated experts minimise: each expert's own loss in the share that it decides, or the loss of their mixture.

p and p' are the weak and the strong expert's P(label = 1), c the gate's confidence, y a label, CE the cross-entropy
-(y log p + (1 - y) log(1 - p)). All are (n,). The loss of the mixture is never above the other (Jensen).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, xlogy

from ..errors import InputError
from ..labels.label_set import ids_of, refuse_other_ids
from .dispersion import numbers, signals

SMALLEST = 1e-12  # of a mixture's probability, by which its loss and slope are divided
Slopes = tuple[
    NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]
]  # by weak logit, strong logit, gate weight


def own_losses(weak: ArrayLike, strong: ArrayLike, labels: ArrayLike, confidence: ArrayLike) -> NDArray[np.float64]:
    """c CE(p, y) + (1 - c) CE(p', y) of each row (n,): what the experts minimise in turns."""
    p, q, y, c = _arrays(weak, strong, labels, confidence)
    return np.asarray(c * cross_entropy(p, y) + (1 - c) * cross_entropy(q, y))


def mixture_losses(weak: ArrayLike, strong: ArrayLike, labels: ArrayLike, confidence: ArrayLike) -> NDArray[np.float64]:
    """CE(c p + (1 - c) p', y) of each row (n,): what the experts minimise together."""
    p, q, y, c = _arrays(weak, strong, labels, confidence)
    return cross_entropy(c * p + (1 - c) * q, y)


def _arrays(weak: ArrayLike, strong: ArrayLike, labels: ArrayLike, confidence: ArrayLike) -> list[NDArray[np.float64]]:
    """The numbers of rows; InputError for label sets of other rows, and for another number of rows."""
    refuse_other_ids({"weak": ids_of(weak), "strong": ids_of(strong), "labels": ids_of(labels)})
    given = {"weak": weak, "strong": strong, "labels": labels, "confidence": confidence}
    found = {name: numbers(one, name) for name, one in given.items()}
    if len({one.shape for one in found.values() if one.ndim}) > 1:
        told = ", ".join(f"{name} {one.shape}" for name, one in found.items())
        raise InputError(f"numbers of the same rows are needed, and their shapes differ: {told}")
    return list(found.values())


def cross_entropy(p: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """CE of each row, 0 log 0 = 0."""
    return np.asarray(-xlogy(y, p) - xlogy(1 - y, 1 - p))


def signal_slopes(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The derivatives (n, 3) of `signals` by the weak expert's logits (n,)."""
    p = expit(logits)
    spread = p * (1 - p)
    return np.stack([4 * (2 * p - 1) * spread, logits * spread / np.log(2), np.zeros(len(p))], axis=1)


def loss_and_slopes(
    weak: NDArray[np.float64],
    strong: NDArray[np.float64],
    labels: NDArray[np.float64],
    gate: NDArray[np.float64],
    *,
    joint: bool,
) -> tuple[float, Slopes]:
    """The mean loss of logits (n,) under a gate of weights (3,), and the rows' slopes, those of the gate (3,).

    The slope by the weak logit goes through the confidence, too. The published code holds the confidence still there,
    and mixes logits in place of probabilities.
    """
    p, q = expit(weak), expit(strong)
    seen = signals(p)
    c = expit(seen @ gate)
    if joint:
        mix = np.clip(c * p + (1 - c) * q, SMALLEST, 1 - SMALLEST)
        rows = cross_entropy(mix, labels)
        by_mix = (mix - labels) / (mix * (1 - mix))
        by_c, by_weak, by_strong = by_mix * (p - q), by_mix * c * p * (1 - p), by_mix * (1 - c) * q * (1 - q)
    else:
        # from logits, so that a sure expert's loss stays finite
        losses = [np.logaddexp(0, one) - labels * one for one in (weak, strong)]
        rows = c * losses[0] + (1 - c) * losses[1]
        by_c, by_weak, by_strong = losses[0] - losses[1], c * (p - labels), (1 - c) * (q - labels)
    by_gate = by_c * c * (1 - c)
    by_weak = by_weak + by_gate * (signal_slopes(weak) @ gate)
    n = len(rows)
    return float(rows.mean()), (by_weak / n, by_strong / n, seen.T @ by_gate / n)
