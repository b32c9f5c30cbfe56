"""A conflicting objective beside a student's loss: the rows that it gets wrong are pulled further from the truth.

It reads the truth, which no student has that is to go without it: what is taught with it is an oracle's.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .functions import averaged, prepared, xent
from .terms import cross_entropy


@dataclass(frozen=True, eq=False)
class ExplicitConflict:
    """What is added to a student's loss: α times `conflict_penalty` with this truth.

    >>> conflict = ExplicitConflict(np.array([True, False]), alpha=0.5)
    >>> logits = torch.tensor([[0.2, -0.4], [0.1, -0.1]])  # the first row is wrong
    >>> f"{conflict.penalty(logits, torch.tensor([0, 1])).item():.4f}"
    '0.1094'
    """

    truth: NDArray[np.bool_]  # (n,) whether a row's true class is 1
    alpha: float = 0.5

    @property
    def against(self) -> Tensor:
        """1 - truth (n,): what the rows that the student gets wrong are pulled towards."""
        return torch.from_numpy(1.0 - self.truth.astype(np.float32))

    def penalty(self, logits: Tensor, rows: Tensor, *, weight: Tensor | None = None) -> Tensor:
        """α times the penalty of logits (b, 2) of these rows (b,); `weight` (b,) is theirs."""
        truth = torch.tensor(self.truth)[rows.cpu()].to(logits.device)
        return self.alpha * conflict_penalty(logits, truth, weight=weight)


def conflict_penalty(logits: Tensor, truth: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """The mean of m · CE(f, 1 - truth) over logits (..., n, 2), m = 1 where the student's class is wrong, held still.

    `truth` (..., n) is 0 or 1. f of exactly ½ is class 0.
    """
    log_p, t = prepared(logits, truth)
    wrong = (log_p[..., 1] > log_p[..., 0]) != (t > 0.5)
    return averaged(wrong * cross_entropy(log_p, 1 - t), weight)


def explicit_conflict(
    logits: Tensor, soft: Tensor, truth: Tensor, alpha: float = 0.5, *, weight: Tensor | None = None
) -> Tensor:
    """CE(f, y) + α m CE(f, 1 - truth): the explicit conflict of weak-to-strong deception, which reads the truth.

    m = 1 where the student's class is wrong. With α = 0 it is `xent`.
    """
    return xent(logits, soft, weight=weight) + alpha * conflict_penalty(logits, truth, weight=weight)


def conflict_slopes(m: Tensor, f: Tensor, against: Tensor) -> Tensor:
    """The derivatives (..., n) of m CE(f, 1 - truth) by the log-odds m (..., n); `against` (..., n) is 1 - truth."""
    return torch.where((m > 0) == (against > 0.5), f - against, 0.0)
