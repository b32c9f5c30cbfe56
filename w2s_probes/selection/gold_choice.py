"""Choosing among candidates by a few rows whose true labels are known, and how sure so few rows leave the choice."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError
from ..metrics.intervals import NO_ESTIMATE, Estimate
from ..metrics.recovery import auroc, bootstraps
from ..metrics.resampling import interval

TIED = 1e-12  # AUROC differs by 1 over the pairs of rows, or by its rounding


@dataclass(frozen=True)
class GoldChoice:
    """The candidate of the highest AUROC on gold rows, beside the second.

    The chosen one's AUROC is that of the same rows that chose it, and so too high on the average, as its lead over the
    second is. An interval of the lead that holds 0 says that these rows cannot tell the two apart.
    """

    chosen: float
    second: float  # NaN where there is one candidate
    auroc: Estimate  # of the chosen one
    lead: Estimate  # AUROC of the chosen one minus that of the second
    stability: float  # share of resamples in which the chosen one is the best, ties shared
    scores: dict[float, float]  # AUROC of each candidate

    @property
    def told_apart(self) -> bool:
        """Whether the interval of the lead is above 0."""
        return bool(self.lead.low > 0)


def choose_by_gold(
    truth: ArrayLike,
    scores: Mapping[float, ArrayLike],
    *,
    groups: ArrayLike | None = None,
    n_boot: int = 2000,
    seed: int = 0,
) -> GoldChoice:
    """The candidate whose scores (n,) rank the rows best by their `truth` (n,); of equal ones the first.

    Intervals are central 95 % of bootstrap resamples of the rows, or of their `groups`, paired over candidates. Scores
    must be out of sample for the rows. InputError without candidates, and for rows of one class.

    >>> choice = choose_by_gold([0, 1, 0, 1], {5: [0.1, 0.9, 0.2, 0.8], 50: [0.6, 0.7, 0.8, 0.9]})
    >>> choice.chosen, choice.lead.value, choice.told_apart
    (5, 0.25, False)
    """
    if not scores:
        raise InputError("no candidates: there is nothing to choose among")
    values = {candidate: auroc(truth, p) for candidate, p in scores.items()}
    order = sorted(values, key=lambda candidate: -values[candidate])  # stable
    (draws,) = bootstraps(truth, [("auroc", scores)], n_boot, seed, groups=groups)
    chosen = order[0]
    drawn = np.array([draws[candidate] for candidate in order])  # (candidates, n_boot)
    best = drawn >= drawn.max(axis=0) - TIED
    estimate = Estimate(values[chosen], *interval(drawn[0]))
    lead, second = NO_ESTIMATE, float("nan")
    if len(order) > 1:
        second = order[1]
        lead = Estimate(values[chosen] - values[second], *interval(drawn[0] - drawn[1]))
    stability = float((best[0] / best.sum(axis=0)).mean())
    return GoldChoice(chosen, second, estimate, lead, stability, values)
