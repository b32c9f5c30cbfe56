"""The rules by which raters are combined into one label, with what they have learned: usable on further rows."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from ..tensors import as_numpy

CombiningRule = Literal["mean", "log-odds", "dawid-skene", "weights"]
RULES: tuple[CombiningRule, ...] = get_args(CombiningRule)
SUREST = 0.01  # log-odds: a rater that says 0 or 1 counts as one that says this or 1 less it, lest it decide alone
SMALLEST = 1e-10  # of a rate in a logarithm (crowd-kit's)


@dataclass(frozen=True)
class Combiner:
    """A rule with all that it has learned of the raters: it gives one P(label = 1) a row.

    mean: the mean of P over the raters that have judged the row. log-odds: the P of the mean of their log-odds, each P
    held in [.01, .99]. dawid-skene: the posterior of the row's class, π and each rater's sensitivity a and
    specificity b, log-odds log(π / (1 - π)) + Σ (p log(a / (1 - b)) + (1 - p) log((1 - a) / b)). weights: the mean of
    P by |weight|, of 1 - P where a weight is below 0; ½ where no rater of any weight has judged the row.

    >>> Combiner("mean", np.array([0.5, 0.5])).combine(np.array([[0.9, 0.5], [0.2, np.nan]])).tolist()
    [0.7, 0.2]
    """

    by: CombiningRule
    weights: NDArray[np.float64]  # (r,) see `combine`: their sum by size is 1, but for dawid-skene's log-odds
    sensitivity: NDArray[np.float64] | None = None  # (r,) mean P(1) where the truth is 1
    specificity: NDArray[np.float64] | None = None  # (r,) mean P(0) where the truth is 0
    prior: float | None = None  # dawid-skene: the share of label 1

    def combine(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """P(label = 1) (n,) of labels (n, r), NaN where a rater has not judged a row; NaN where none has."""
        p = np.asarray(as_numpy(p), dtype=np.float64)
        judged = ~np.isnan(p)
        none = ~judged.any(axis=1)
        filled = np.where(judged, p, 0.5)
        if self.by == "dawid-skene":
            scores = self._posterior(filled, judged)
        elif self.by == "log-odds":
            odds = logit(np.clip(filled, SUREST, 1 - SUREST))
            scores = expit((odds * judged).sum(axis=1) / np.maximum(judged.sum(axis=1), 1))
        else:
            size = np.abs(self.weights) * judged
            turned = np.where(self.weights < 0, 1 - filled, filled)
            total = size.sum(axis=1)
            scores = np.where(total > 0, (size * turned).sum(axis=1) / np.where(total > 0, total, 1), 0.5)
        return np.where(none, np.nan, np.clip(scores, 0, 1))

    def _posterior(self, filled: NDArray[np.float64], judged: NDArray[np.bool_]) -> NDArray[np.float64]:
        assert self.sensitivity is not None
        assert self.specificity is not None
        assert self.prior is not None
        return posterior(filled * judged, (1 - filled) * judged, self.prior, self.sensitivity, self.specificity)


def posterior(
    ones: NDArray[np.float64],
    zeros: NDArray[np.float64],
    prior: float,
    sensitivity: NDArray[np.float64],
    specificity: NDArray[np.float64],
) -> NDArray[np.float64]:
    """P(class 1) (n,) of rows with votes for 1 and for 0 (n, r), fractions and 0 where a rater has not voted."""
    a, b = (np.clip(rates, SMALLEST, 1 - SMALLEST) for rates in (sensitivity, specificity))
    share = min(max(prior, SMALLEST), 1 - SMALLEST)
    return np.asarray(expit(logit(share) + ones @ np.log(a / (1 - b)) + zeros @ np.log((1 - a) / b)))
