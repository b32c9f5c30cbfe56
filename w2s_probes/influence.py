"""Measures of scores on some rows, with intervals that hold where the rows come in groups.

Each measure is an average over rows, or over pairs of rows, and so has an influence function: what each row adds to
its error. The variance is that of the influences summed by group: for single rows DeLong et al. (1988), for grouped
ones Obuchowski (1997).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from .intervals import NORMAL, Estimate

NAN = float("nan")
NOTHING = Estimate(NAN, NAN, NAN, NAN)


@dataclass(frozen=True, eq=False)
class Measured:
    """A measure on n rows, and how much each of them moves it."""

    value: float
    influence: NDArray[np.float64]  # (n,) sums to 0

    def __sub__(self, other: "Measured") -> "Measured":
        """The difference of two measures on the same rows: paired."""
        return Measured(self.value - other.value, self.influence - other.influence)

    def error(self, groups: NDArray[np.intp] | None) -> float:
        """Standard error, over rows or over groups numbered (n,)."""
        parts = self.influence if groups is None else np.bincount(groups, weights=self.influence)
        count = len(parts) if groups is None else len(np.unique(groups))
        return math.sqrt(count / (count - 1) * float(parts @ parts)) if count > 1 else NAN

    def estimate(self, groups: NDArray[np.intp] | None) -> Estimate:
        """With a normal 95 % interval."""
        error = self.error(groups)
        return Estimate(self.value, self.value - NORMAL * error, self.value + NORMAL * error, error)

    def share(self, groups: NDArray[np.intp] | None) -> Estimate:
        """As `estimate` for a value in [0, 1]: the interval is made on the logit scale and stays inside."""
        error, spread = self.error(groups), self.value * (1 - self.value)
        if not spread > 0:
            return Estimate(self.value, self.value, self.value, error)
        logit, half = math.log(self.value / (1 - self.value)), NORMAL * error / spread
        low, high = (1 / (1 + math.exp(min(-end, 700.0))) for end in (logit - half, logit + half))
        return Estimate(self.value, low, high, error)


def mean(values: NDArray[np.float64]) -> Measured:
    """The mean of numbers (n,), such as hits or squared differences."""
    value = float(values.mean())
    return Measured(value, (values - value) / len(values))


def ranking(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> Measured | None:
    """AUROC of scores (n,), ties counting one half; None where the rows are of one class. O(n log n)."""
    n_pos, n_neg = int(positive.sum()), int((~positive).sum())
    if not n_pos or not n_neg:
        return None
    ranks = rankdata(scores)
    influence = np.empty(len(scores))
    # Ranks among all less ranks within the class: how many of the other class are below.
    influence[positive] = (ranks[positive] - rankdata(scores[positive])) / n_neg
    influence[~positive] = 1 - (ranks[~positive] - rankdata(scores[~positive])) / n_pos
    value = float(influence[positive].mean())
    influence -= value
    influence[positive] /= n_pos
    influence[~positive] /= n_neg
    return Measured(value, influence)
