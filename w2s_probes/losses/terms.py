"""The losses' formulas, each stated once: what a loss pulls the student towards, for its value and for its slope.

m is the student's log-odds, f = P(label = 1) = sigmoid(m) and y the soft label, each (..., n) and without a gradient.
Leading axes are students; α is one number, and thresholds and radii may be (..., 1), one for each of them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

SMALLEST = 1e-6  # of a probability that reverse KL divides by: 8 steps of float32 below 1, and log(1e-6) = -14


@dataclass(slots=True)  # not frozen: one is made for every loss and step, and frozen ones take four times as long
class Terms:
    """The losses of rows,  share · CE(f, target) + own · (H(f) + f log q + (1 - f) log(1 - q)),  all but f held still.

    Without `target` there is no first term, and without `beside`, which is q, no log q in the second.
    """

    target: Tensor | None  # (..., n)
    share: Tensor | float = 1.0
    own: float = 0.0  # the weight of the student's own entropy H(f)
    beside: Tensor | None = None  # (..., n)

    def values(self, log_p: Tensor) -> Tensor:
        """The rows' losses (..., n) of log-probabilities (..., n, 2); only f there has a gradient."""
        rows = torch.zeros_like(log_p[..., 0])
        if self.target is not None:
            rows = self.share * cross_entropy(log_p, self.target)
        if self.own:
            log_q = 0 if self.beside is None else torch.stack([(-self.beside).log1p(), self.beside.log()], dim=-1)
            rows = rows + self.own * (log_p.exp() * (log_q - log_p)).sum(dim=-1)
        return rows

    def slopes(self, m: Tensor, f: Tensor) -> Tensor:
        """The derivatives (..., n) of the rows' losses by log-odds m (..., n)."""
        found = None
        if self.target is not None:
            found = f - self.target
            if not isinstance(self.share, float) or self.share != 1:
                found = found * self.share
        if self.own:
            apart = -m if self.beside is None else torch.logit(self.beside) - m
            own = apart.mul_(f).mul_(1 - f).mul_(self.own)
            found = own if found is None else found.add_(own)
        return torch.zeros_like(f) if found is None else found


def weak_label(m: Tensor, f: Tensor, y: Tensor) -> Terms:
    """Of `xent`, and of `kl`, which differs from it by a constant."""
    return Terms(y)


def own_label(m: Tensor, f: Tensor, y: Tensor, alpha: float, threshold: float | Tensor) -> Terms:
    """Of `logconf`: (1 - α) y + α ĥ, with ĥ = 1[f > t]."""
    return Terms(torch.lerp(y, (f > threshold).to(y.dtype), alpha))


def own_entropy(m: Tensor, f: Tensor, y: Tensor, alpha: float) -> Terms:
    """Of `entropy`: (1 - α) CE(f, y) + α H(f)."""
    return Terms(y, share=1 - alpha, own=alpha)


def own_opinion(m: Tensor, f: Tensor, y: Tensor, alpha: float) -> Terms:
    """Of `entropy_detached`: (1 - α) y + α f, f held still."""
    return Terms(torch.lerp(y, f, alpha))


def unsure_rows(m: Tensor, f: Tensor, y: Tensor, radius: float | Tensor) -> Terms:
    """Of `window`: rows with max(f, 1 - f) < ½ + radius."""
    return Terms(y, share=(torch.maximum(f, 1 - f) < 0.5 + radius).to(y.dtype))


def supervisor_under_student(m: Tensor, f: Tensor, y: Tensor) -> Terms:
    """Of `reverse_kl`: KL(f ‖ y) = -(H(f) + f log y + (1 - f) log(1 - y))."""
    return Terms(None, own=-1.0, beside=y.clamp(SMALLEST, 1 - SMALLEST))


def both_opinions(m: Tensor, f: Tensor, y: Tensor) -> Terms:
    """Of `product`: the sum of both log-odds, and so no 0 / 0 at extremes."""
    return Terms((m + torch.logit(y)).sigmoid())


def adapted_label(m: Tensor, f: Tensor, y: Tensor, alpha: float, temperature: float) -> Terms:
    """Of `adaptconf`: (1 - β) y + β ĥ. CE(f, ĥ) - CE(f, ŷ) = (ŷ - ĥ) m is what β compares."""
    own = (m > 0).to(y.dtype)
    beta = ((y > 0.5).to(y.dtype).sub_(own).mul_(m) / temperature).sigmoid_().mul_(2 * alpha)
    return Terms(torch.lerp(y, own, beta))


def sure_label(m: Tensor, f: Tensor, y: Tensor) -> Terms:
    """Of `confidence`: rows count |2y - 1|."""
    return Terms(y, share=(2 * y - 1).abs_())


def dispersed_label(m: Tensor, f: Tensor, y: Tensor, alpha: float) -> Terms:
    """Of `by_dispersion`: c y + (1 - c) ĥ with c = (2y - 1)². 1 - c = 4 y (1 - y) counts 2α, at most 1."""
    own = (m > 0).to(y.dtype)
    return Terms(torch.lerp(y, own, (8 * alpha * y * (1 - y)).clamp_(max=1)))


def cross_entropy(log_p: Tensor, target: Tensor) -> Tensor:
    """CE (..., n) of log-probabilities (..., n, 2) and targets (..., n) = P(label = 1)."""
    return -(target * log_p[..., 1] + (1 - target) * log_p[..., 0])
