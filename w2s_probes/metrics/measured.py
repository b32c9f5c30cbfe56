"""Any metric of scores on rows, with its error: by influence functions, or by a bootstrap of rows where it has none."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .checked_scores import Classes, Scores
from .influence import MeasuredValue, unbiased
from .intervals import Estimate
from .metric_names import Metric
from .registry import METRICS, MetricEntry
from .resampling import ResampleBlock, resamples

DRAWS = 500  # resamples, the same ones for all scores of the same rows: they give a standard error to 3 %


@dataclass(frozen=True, eq=False)
class ResampledEstimate(MeasuredValue):
    """A measure on rows, and its values on resamples of them, or of their groups.

    >>> draws = np.array([0.4, 0.6, 0.5])
    >>> half = ResampledEstimate(0.5, draws, units=100)
    >>> round(half.error(None), 2), (half - half).error(None)
    (0.1, 0.0)
    """

    value: float
    draws: NDArray[np.float64]  # (b,)
    units: int  # rows, or groups, of the smaller class where classes are compared
    blind: int = 0

    def __sub__(self, other: "ResampledEstimate") -> "ResampledEstimate":
        """The difference of two measures on the same resamples: paired."""
        blind = sum(side.blind or not np.ptp(side.draws) for side in (self, other))
        return ResampledEstimate(self.value - other.value, self.draws - other.draws, self.units, int(blind))

    def parts(self, groups: NDArray[np.intp] | None) -> NDArray[np.float64]:
        """Deviations (b,) of the resamples from their mean, whose inner products are covariances.

        As of a sample of rows, or of the groups that were drawn; NaN for a single one.
        """
        return np.asarray((self.draws - self.draws.mean()) * unbiased(self.units) / np.sqrt(len(self.draws) - 1))

    def freedom(self, groups: NDArray[np.intp] | None) -> int:
        """Degrees of freedom of the error: rows, or groups, less one."""
        return self.units - 1


def measure(
    metric: Metric, positive: Classes, scores: Scores, groups: NDArray[np.intp] | None = None
) -> MeasuredValue | None:
    """The metric of scores (n,) against classes (n,); None where it ranks rows and they are of one class."""
    entry = METRICS[metric]
    if entry.ranks and (positive.all() or not positive.any()):
        return None
    return measure_all(entry, positive, [scores], groups)[0]


def measure_all(
    entry: MetricEntry, positive: Classes, every: Sequence[Scores], groups: NDArray[np.intp] | None
) -> list[MeasuredValue]:
    """The metric of many scores (n,), on the same rows or resamples of them; of both classes where it ranks rows."""
    if entry.influence is not None:
        return [entry.influence(positive, scores) for scores in every]
    of = [entry.resampled(positive, scores) for scores in every]
    both = not positive.all() and bool(positive.any())
    drawn = resamples(positive, DRAWS, 0, groups, both_classes=both)
    blocks = (ResampleBlock.of(counts, positive) for counts in drawn)
    draws = np.concatenate([np.array([one(block) for one in of]) for block in blocks], axis=1)
    units = units_of(entry, positive, groups)
    return [
        ResampledEstimate(entry.value(positive, scores), own, units) for scores, own in zip(every, draws, strict=True)
    ]


def units_of(entry: MetricEntry, positive: Classes, groups: NDArray[np.intp] | None) -> int:
    """Rows, or groups, that resamples choose among: of the smaller class where the metric compares classes."""
    units = np.arange(len(positive)) if groups is None else groups
    sides = (positive, ~positive) if entry.ranks else (np.ones(len(positive), dtype=bool),)
    return min(len(np.unique(units[side])) for side in sides)


def within_bounds(entry: MetricEntry, estimate: Estimate) -> Estimate:
    """A value whose interval is not made on the logit scale, with ends that the metric can have."""
    low, high = (min(max(end, 0.0), entry.most) for end in (estimate.low, estimate.high))
    return Estimate(estimate.value, low, high, estimate.error)


def with_error(entry: MetricEntry, measured: MeasuredValue, groups: NDArray[np.intp] | None) -> Estimate:
    """The value with its 95 % interval, which stays within what the metric can be."""
    return measured.share(groups) if entry.logit else within_bounds(entry, measured.estimate(groups))
