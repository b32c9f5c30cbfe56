"""The losses as pure functions of logits (..., n, 2) and soft labels (..., n) = P(label = 1).

Notation: f is the student's P(label = 1) = softmax(logits)[..., 1], y the soft label, CE(f, t) the cross-entropy
-(t log f + (1 - t) log(1 - f)), ĥ the student's own hard label 1[f > t]. Every loss is the sum over the rows divided
by n: a scalar, or one loss (...) for each student where there are leading axes. It is computed in float64 where the
logits are and else in float32, never in half precision, and stays finite for logits of any finite size and soft labels
of exactly 0 and 1. `weight` (..., n) multiplies the rows' losses; the divisor stays n, so weights of mean 1 keep the
scale. Hard labels ĥ, thresholds, masks and the targets called detached carry no gradient. The formulas are in `terms`
and `divergences`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from . import divergences, terms
from .divergences import Divergence
from .terms import Terms


def xent(logits: Tensor, soft: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """CE(f, y): cross-entropy with the soft labels."""
    return averaged(rows_of(terms.weak_label, logits, soft), weight)


def logconf(
    logits: Tensor,
    soft: Tensor,
    alpha: float = 0.5,
    threshold: float | Tensor | None = None,
    *,
    weight: Tensor | None = None,
) -> Tensor:
    """CE(f, (1 - α) y + α ĥ): the log-confidence loss (Burns et al. 2023, eq. 1).

    `threshold` is the t of ĥ = 1[f > t], of leading axes (..., 1); without one it is the median of the batch.
    EleutherAI take t from the 32 most recent predictions, which `Objective("logconf")` remembers.
    """
    t = batch_threshold(own_probability(logits), 0.5) if threshold is None else threshold
    return averaged(rows_of(terms.own_label, logits, soft, alpha, t), weight)


def logconf_batch(
    logits: Tensor, soft: Tensor, alpha: float = 0.5, prior: float = 0.5, *, weight: Tensor | None = None
) -> Tensor:
    """`logconf` with t such that the share `prior` of this batch is above it, to within one row.

    Burns et al. 2023, section 4.3: half of the batch, in general the share of class 1 among the weak labels. Needs
    batches of many rows; a batch of one row has no share, and its t is ½.
    """
    return logconf(logits, soft, alpha, batch_threshold(own_probability(logits), prior), weight=weight)


def entropy(logits: Tensor, soft: Tensor, alpha: float = 0.5, *, weight: Tensor | None = None) -> Tensor:
    """CE(f, (1 - α) y + α f) = (1 - α) CE(f, y) + α H(f), with the formula's own gradient through both f."""
    return averaged(rows_of(terms.own_entropy, logits, soft, alpha), weight)


def entropy_detached(logits: Tensor, soft: Tensor, alpha: float = 0.5, *, weight: Tensor | None = None) -> Tensor:
    """The value of `entropy`, with f detached in the target as in EleutherAI's published code.

    What is left of the gradient is (1 - α) times that of `xent`: this loss only lowers the learning rate.
    """
    return averaged(rows_of(terms.own_opinion, logits, soft, alpha), weight)


def window(
    logits: Tensor, soft: Tensor, radius: float | Tensor | None = None, *, weight: Tensor | None = None
) -> Tensor:
    """CE(f, y) of the rows where the student is unsure, max(f, 1 - f) < ½ + radius, divided by the full batch size.

    `radius` of leading axes is (..., 1). Without one it is the mid-weak one, the median of |y - ½|, of this batch;
    EleutherAI take it over the training set, as `Objective("window").fit(...)` does.
    """
    if radius is None:
        radius = (wide(soft.detach()) - 0.5).abs().quantile(0.5, dim=-1, keepdim=True)
    return averaged(rows_of(terms.unsure_rows, logits, soft, radius), weight)


def kl(logits: Tensor, soft: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """KL(y ‖ f) = CE(f, y) - H(y); its gradient is that of `xent`."""
    rows = rows_of(terms.weak_label, logits, soft)
    y = soft.detach().to(rows)
    return averaged(rows - torch.special.entr(y) - torch.special.entr(1 - y), weight)


def reverse_kl(logits: Tensor, soft: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """KL(f ‖ y), mode-seeking (arXiv 2502.11107). y is kept in [1e-6, 1 - 1e-6], since f is divided by it."""
    return averaged(rows_of(terms.supervisor_under_student, logits, soft), weight)


def product(logits: Tensor, soft: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """CE(f, t) with the renormalised product of both opinions, t = f y / (f y + (1 - f)(1 - y)), as detached target."""
    return averaged(rows_of(terms.both_opinions, logits, soft), weight)


def adaptconf(
    logits: Tensor, soft: Tensor, alpha: float = 0.5, temperature: float = 0.5, *, weight: Tensor | None = None
) -> Tensor:
    """Adaptive confidence (Guo et al. 2024, "Vision Superalignment", arXiv 2402.03749).

    (1 - β) CE(f, y) + β CE(f, ĥ) with ĥ = 1[f > ½] and a detached weight for each row,

        β = 2α · exp(CE(f, ĥ)/T) / (exp(CE(f, ĥ)/T) + exp(CE(f, ŷ)/T)),  ŷ = 1[y > ½],

    which is the form of the authors' published code (T = .5). Where student and supervisor agree β = α, its largest
    value; the more confidently the student disagrees, the nearer β is to 0 and the more the weak label counts. The
    published weight is that of α = ½, and α is there for a warm-up. The authors' code has KL(y ‖ f) for the first
    term: the same gradient.
    """
    return averaged(rows_of(terms.adapted_label, logits, soft, alpha, temperature), weight)


def confidence(logits: Tensor, soft: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """|2y - 1| · CE(f, y): rows count as much as the supervisor is sure, and a label of ½ not at all.

    Divided by the batch size, not by the sum of the weights, so that a batch of unsure labels gives a small step.
    """
    return averaged(rows_of(terms.sure_label, logits, soft), weight)


def by_dispersion(logits: Tensor, soft: Tensor, alpha: float = 0.5, *, weight: Tensor | None = None) -> Tensor:
    """CE(f, c y + (1 - c) ĥ) with ĥ = 1[f > ½] and c = (2y - 1)²: where the supervisor is unsure, the student decides.

    c is the variance of the weak label (`w2s_probes.gating.dispersion`), the square of the weight of `confidence`,
    which leaves unsure rows out where this loss gives them the student's own label. The formula is that of α = ½: α is
    there for a warm-up, and multiplies 1 - c by 2α, which is 1 at most.
    """
    return averaged(rows_of(terms.dispersed_label, logits, soft, alpha), weight)


def jensen_shannon(logits: Tensor, soft: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """½ KL(f ‖ M) + ½ KL(y ‖ M) with M = (f + y)/2: the Jensen-Shannon divergence, at most log 2 (arXiv 2506.03109).

    Bounded, so that no wrong label costs much; where the student is sure of the other class it hardly learns.
    """
    return averaged(rows_of(divergences.jensen_shannon_of, logits, soft), weight)


def hellinger(logits: Tensor, soft: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """(√f - √y)² + (√(1-f) - √(1-y))²: the squared Hellinger distance without a factor ½, at most 2."""
    return averaged(rows_of(divergences.hellinger_of, logits, soft), weight)


def chi_squared(logits: Tensor, soft: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """χ²(f ‖ y) = (f - y)²/(y (1 - y)): Pearson's divergence, the squared error of which sure labels count most.

    y is kept in [.01, .99], where a row weighs 101 at most: of hard labels the divergence is infinite. Labels that
    are all 0 and 1 weigh the same, and this is then the squared error to .01 and .99.
    """
    return averaged(rows_of(divergences.chi_squared_of, logits, soft), weight)


def total_variation(logits: Tensor, soft: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """|f - y|: the total variation distance. At its kink, f = y, the gradient is taken to be 0."""
    return averaged(rows_of(divergences.total_variation_of, logits, soft), weight)


TERMS: dict[
    Callable[..., Tensor], Callable[..., Terms | Divergence]
] = {  # of the losses whose slope is known without autograd
    xent: terms.weak_label,
    kl: terms.weak_label,
    logconf: terms.own_label,
    entropy: terms.own_entropy,
    entropy_detached: terms.own_opinion,
    window: terms.unsure_rows,
    reverse_kl: terms.supervisor_under_student,
    product: terms.both_opinions,
    adaptconf: terms.adapted_label,
    confidence: terms.sure_label,
    by_dispersion: terms.dispersed_label,
    jensen_shannon: divergences.jensen_shannon_of,
    hellinger: divergences.hellinger_of,
    chi_squared: divergences.chi_squared_of,
    total_variation: divergences.total_variation_of,
}


def rows_of(formula: Callable[..., Terms | Divergence], logits: Tensor, soft: Tensor, *settings: Any) -> Tensor:
    """The rows' losses (..., n) by a formula with these settings."""
    log_p, y = prepared(logits, soft)
    held = log_p.detach()
    return formula(held[..., 1] - held[..., 0], own_probability(logits), y, *settings).values(log_p)


def own_probability(logits: Tensor) -> Tensor:
    """f (..., n) without a gradient."""
    return wide(logits.detach()).softmax(dim=-1)[..., 1]


def batch_threshold(f: Tensor, prior: float) -> Tensor:
    """The t (..., 1) that the share `prior` of f (..., n) exceeds to within one row; ½ for a single row."""
    return f.quantile(1 - prior, dim=-1, keepdim=True) if f.shape[-1] > 1 else torch.full_like(f, 0.5)


def wide(values: Tensor) -> Tensor:
    """The values in float64 where they are, else in float32."""
    return values if values.dtype == torch.float64 else values.float()


def prepared(logits: Tensor, soft: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities (..., n, 2), never in half precision, and soft labels (..., n) of their dtype and device."""
    log_p = log_softmax(wide(logits), dim=-1)
    return log_p, soft.detach().to(log_p)


def averaged(rows: Tensor, weight: Tensor | None) -> Tensor:
    """The weighted sum of the rows' losses (..., n) over n."""
    return (rows if weight is None else rows * weight.to(rows)).mean(dim=-1)
