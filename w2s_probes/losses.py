"""Losses for learning from a weak supervisor, as pure functions of logits (n, 2) and soft labels (n,) = P(label = 1).

f is the student's P(label = 1) = softmax(logits)[:, 1]. Needs torch, which only this module and `students` load.
"""

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import log_softmax


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """-mean(target · log f + (1 - target) · log(1 - f)), a scalar."""
    log_p = log_softmax(logits.float(), dim=1)
    return -(target * log_p[:, 1] + (1 - target) * log_p[:, 0]).mean()


def xent(logits: Tensor, soft: Tensor) -> Tensor:
    """Cross-entropy with the soft labels."""
    return cross_entropy(logits, soft)


def logconf(logits: Tensor, soft: Tensor, alpha: float = 0.5, threshold: float | Tensor | None = None) -> Tensor:
    """Log-confidence loss (Burns et al. 2023, eq. 1): CE(f, (1 - α) y + α ĥ) with the student's own ĥ = 1[f > t].

    `threshold` is t; without one it is the median of the batch, so that half of it is hardened to each class.
    EleutherAI takes t from the 32 most recent predictions: see `RecentPredictions`. ĥ carries no gradient.
    """
    f = probabilities(logits)
    t = f.quantile(0.5) if threshold is None else threshold
    return cross_entropy(logits, (1 - alpha) * soft + alpha * (f > t).float())


LOSSES: dict[str, Callable[..., Tensor]] = {"xent": xent, "logconf": logconf}


def probabilities(logits: Tensor) -> Tensor:
    """f (n,) without a gradient."""
    return logits.detach().float().softmax(dim=1)[:, 1]


class RecentPredictions:
    """The last `size` predictions, for the threshold of `logconf` where batches are small; bounded."""

    def __init__(self, size: int = 32) -> None:
        self._recent: deque[float] = deque(maxlen=size)

    def threshold(self, logits: Tensor, prior: float = 0.5) -> float:
        """Add a batch and return the value that the share `prior` of the recent predictions exceeds.

        One half gives the median of the published text; the batch's mean weak label what the published code does.
        """
        self._recent.extend(probabilities(logits).tolist())
        return float(torch.tensor(list(self._recent)).quantile(1 - prior))


def warm_up(alpha: float, step: int, steps: int = 100) -> float:
    """α after `step` updates of a linear ramp from 0 over `steps` of them."""
    return alpha * min(1.0, step / max(1, steps))
