"""f-divergences of the student's answer from the weak label, as losses and with their slopes.

Of two classes with student f and weak label y, D_φ(f ‖ y) = y φ(f/y) + (1 - y) φ((1 - f)/(1 - y)) with a convex φ,
φ(1) = 0: student first, as in Yao et al. 2025, "On Weak-to-Strong Generalization and f-Divergence" (arXiv 2506.03109).
m is the student's log-odds; all are (..., n). A log-probability is never taken of a rounded f.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

# Of a label that χ² divides by: a row then weighs at most 101, one of ½ weighs 4. With a label of 0 the divergence is
# infinite, and near 0 the surest rows, right or wrong, would be all that a student hears.
SUREST = 0.01


@dataclass(slots=True)
class JensenShannon:
    """½ KL(f ‖ M) + ½ KL(y ‖ M), M = (f + y)/2: from 0 to log 2, and the same with f and y exchanged."""

    y: Tensor

    def values(self, log_p: Tensor) -> Tensor:
        """The rows' losses (..., n) of log-probabilities (..., n, 2)."""
        q = torch.stack([1 - self.y, self.y], dim=-1)
        log_mean = torch.logaddexp(log_p, q.log()) - math.log(2)
        of_student = log_p.exp() * (log_p - log_mean)
        rows: Tensor = (of_student - torch.special.entr(q) - q * log_mean).sum(dim=-1) / 2
        return rows

    def slopes(self, m: Tensor, f: Tensor) -> Tensor:
        """The derivatives (..., n) of the rows' losses by log-odds m (..., n)."""
        log_1, log_0 = logsigmoid(m), logsigmoid(-m)
        mean_1, mean_0 = torch.logaddexp(log_1, self.y.log()), torch.logaddexp(log_0, (1 - self.y).log())
        return (log_1 - mean_1 - log_0 + mean_0).mul_(f).mul_(1 - f).div_(2)


@dataclass(slots=True)
class Hellinger:
    """(√f - √y)² + (√(1-f) - √(1-y))², from 0 to 2."""

    y: Tensor

    def values(self, log_p: Tensor) -> Tensor:
        """The rows' losses (..., n) of log-probabilities (..., n, 2)."""
        roots = torch.stack([1 - self.y, self.y], dim=-1).sqrt()
        return ((log_p / 2).exp() - roots).square().sum(dim=-1)

    def slopes(self, m: Tensor, f: Tensor) -> Tensor:
        """The derivatives (..., n) of the rows' losses by log-odds m (..., n)."""
        root_1, root_0 = m.sigmoid().sqrt_(), (-m).sigmoid().sqrt_()
        return ((1 - self.y).sqrt() * root_1 - self.y.sqrt() * root_0).mul_(root_1).mul_(root_0)


@dataclass(slots=True)
class ChiSquared:
    """Pearson's (f - y)²/y + (f - y)²/(1 - y) = (f - y)²/(y (1 - y)), y kept in [.01, .99]."""

    y: Tensor

    def values(self, log_p: Tensor) -> Tensor:
        """The rows' losses (..., n) of log-probabilities (..., n, 2)."""
        y = self.y.clamp(SUREST, 1 - SUREST)
        return (log_p[..., 1].exp() - y).square() / (y * (1 - y))

    def slopes(self, m: Tensor, f: Tensor) -> Tensor:
        """The derivatives (..., n) of the rows' losses by log-odds m (..., n)."""
        y = self.y.clamp(SUREST, 1 - SUREST)
        return (f - y).mul_(f).mul_(1 - f).mul_(2).div_(y * (1 - y))


@dataclass(slots=True)
class TotalVariation:
    """½ (|f - y| + |(1 - f) - (1 - y)|) = |f - y|. At f = y, where it has a kink, the slope is taken to be 0."""

    y: Tensor

    def values(self, log_p: Tensor) -> Tensor:
        """The rows' losses (..., n) of log-probabilities (..., n, 2)."""
        return (log_p[..., 1].exp() - self.y).abs()

    def slopes(self, m: Tensor, f: Tensor) -> Tensor:
        """The derivatives (..., n) of the rows' losses by log-odds m (..., n)."""
        return (f - self.y).sign_().mul_(f).mul_(1 - f)


Divergence = JensenShannon | Hellinger | ChiSquared | TotalVariation


def jensen_shannon_of(m: Tensor, f: Tensor, y: Tensor) -> Divergence:
    """Of `jensen_shannon`."""
    return JensenShannon(y)


def hellinger_of(m: Tensor, f: Tensor, y: Tensor) -> Divergence:
    """Of `hellinger`."""
    return Hellinger(y)


def chi_squared_of(m: Tensor, f: Tensor, y: Tensor) -> Divergence:
    """Of `chi_squared`."""
    return ChiSquared(y)


def total_variation_of(m: Tensor, f: Tensor, y: Tensor) -> Divergence:
    """Of `total_variation`."""
    return TotalVariation(y)
