"""Measures of scores on some rows, with intervals that hold where the rows come in groups.

Each measure is an average over rows, or over pairs of rows, and so has an influence function: what each row adds to
its error. The variance is that of the influences summed by group: for single rows DeLong et al. (1988), for grouped
ones Obuchowski (1997).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from .intervals import Estimate, quantile, share_interval, unseen

NAN = float("nan")


class MeasuredValue(ABC):
    """A measure with an error that is a sum of parts, which other measures on the same rows share."""

    value: float
    blind: int  # measures of a difference whose rows are all alike, as where scores are perfect

    @abstractmethod
    def parts(self, groups: NDArray[np.intp] | None) -> NDArray[np.float64]:
        """Numbers (u,) whose inner product with those of another measure is their covariance."""

    @abstractmethod
    def freedom(self, groups: NDArray[np.intp] | None) -> int:
        """Degrees of freedom of the error: rows, or groups, less one; where classes are compared, of the smaller."""

    def error(self, groups: NDArray[np.intp] | None) -> float:
        """Standard error, over rows or over groups numbered (n,); NaN for a single one."""
        return float(np.linalg.norm(self.parts(groups))) if self.freedom(groups) > 0 else NAN

    def estimate(self, groups: NDArray[np.intp] | None) -> Estimate:
        """The value with its 95 % interval by Student's t.

        A perfect measure has no error of its own: a difference is widened by half the width of its interval.
        """
        error = self.error(groups)
        half = math.hypot(self._half(groups, error), self.blind**0.5 * unseen(self.freedom(groups) + 1))
        return Estimate(self.value, self.value - half, self.value + half, error)

    def share(self, groups: NDArray[np.intp] | None) -> Estimate:
        """As `estimate` for a value in [0, 1]: the interval is made on the logit scale and stays inside."""
        error, units = self.error(groups), self.freedom(groups) + 1
        return Estimate(self.value, *share_interval(self.value, self._half(groups, error), units), error)

    def _half(self, groups: NDArray[np.intp] | None, error: float) -> float:
        return NAN if math.isnan(error) else quantile(self.freedom(groups)) * error


@dataclass(frozen=True, eq=False)
class InfluenceEstimate(MeasuredValue):
    """A measure on n rows, and the influence of each row on it.

    >>> hits = mean(np.array([1.0, 1.0, 0.0, 1.0]))
    >>> hits.value, round(hits.error(None), 3)
    (0.75, 0.25)
    >>> (hits - hits).estimate(None).error
    0.0
    """

    value: float
    influence: NDArray[np.float64]  # (n,) sums to 0
    positive: NDArray[np.bool_] | None = None  # (n,) the classes, of a measure that compares rows of one with the other
    blind: int = 0

    def __sub__(self, other: "InfluenceEstimate") -> "InfluenceEstimate":
        """The difference of two measures on the same rows: paired."""
        blind = sum(side.blind or not side.influence.any() for side in (self, other))
        return InfluenceEstimate(self.value - other.value, self.influence - other.influence, self.positive, int(blind))

    def parts(self, groups: NDArray[np.intp] | None) -> NDArray[np.float64]:
        """One number a row, or a group, whose inner product with those of another measure is their covariance.

        The variance is that of a sample (n - 1) of rows, or of groups (n,): within each class where classes are
        compared. NaN where that leaves a single row or group of one.
        """
        moved = self.influence * self._by_class(groups, unbiased)
        return moved if groups is None else np.asarray(np.bincount(groups, weights=moved))

    def freedom(self, groups: NDArray[np.intp] | None) -> int:
        """Degrees of freedom of the error: rows, or groups, less one; where classes are compared, of the smaller."""
        return int(self._by_class(groups, float).min()) - 1

    def _by_class(self, groups: NDArray[np.intp] | None, of: Callable[[int], float]) -> NDArray[np.float64]:
        """`of` the number of rows, or groups, of each row's class (n,); of all where no classes are compared."""
        classes = np.zeros(len(self.influence), dtype=bool) if self.positive is None else self.positive
        numbers = np.empty(len(classes))
        for side in (classes, ~classes):
            if side.any():
                numbers[side] = of(int(side.sum()) if groups is None else len(np.unique(groups[side])))
        return numbers


def unbiased(count: int) -> float:
    """The factor that makes a root of a mean square the deviation of a sample."""
    return math.sqrt(count / (count - 1)) if count > 1 else NAN


def mean(values: NDArray[np.float64]) -> InfluenceEstimate:
    """The mean of numbers (n,), such as hits or squared differences."""
    value = float(values.mean())
    return InfluenceEstimate(value, (values - value) / len(values))


def ranking(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> InfluenceEstimate | None:
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
    return InfluenceEstimate(value, influence, positive)
