"""Metrics of the rows that rank highest: average precision, and recall at a rate of false positives.

Rows of equal scores are one step of the curve, whatever their order, and thresholds stand between such steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .influence import InfluenceEstimate
from .resampling import ResampleBlock

Scores = NDArray[np.float64]
Classes = NDArray[np.bool_]

ROUNDING = 1e-9  # of a product of a rate and a number of rows


@dataclass(frozen=True)
class ScoreSteps:
    """The rows of one class by score, from the highest, rows of equal scores together, and the other class beside them.

    >>> steps = ScoreSteps.of(np.array([0.2, 0.9, 0.2]), np.array([0.5, 0.2]))
    >>> [rows.tolist() for rows, _, _ in steps], steps.above.tolist(), steps.reached.tolist()
    ([[1], [0, 2]], [0, 1], [0, 2])
    """

    rows: NDArray[np.intp]  # from the highest score
    ends: NDArray[np.intp]  # of each step among `rows`
    others: NDArray[np.intp]  # the other class's rows by score, from the highest
    above: NDArray[np.intp]  # how many of them score higher than each step
    reached: NDArray[np.intp]  # how many score as high, or higher

    @classmethod
    def of(cls, scores: Scores, others: Scores) -> "ScoreSteps":
        order, other_order = (np.argsort(-one, kind="stable") for one in (scores, others))
        starts = np.flatnonzero(np.diff(scores[order])) + 1
        heights, falling = -scores[order][np.append(0, starts)], -others[other_order]
        above, reached = (np.searchsorted(falling, heights, side) for side in ("left", "right"))
        return cls(order, np.append(starts, len(order)), other_order, above, reached)

    def __iter__(self) -> Iterator[tuple[NDArray[np.intp], int, int]]:
        """Each step's rows, and how many of the other class score higher, and as high or higher."""
        first = 0
        for last, above, reached in zip(self.ends.tolist(), self.above.tolist(), self.reached.tolist(), strict=True):
            yield self.rows[first:last], above, reached
            first = last


def average_precision(positive: Classes, scores: Scores) -> float:
    """The mean over positive rows of the precision among all rows that score as high, or higher."""
    above, positives_above = _at_or_above(positive, scores)
    return float((positives_above[positive] / above[positive]).mean())


def average_precision_influence(positive: Classes, scores: Scores) -> InfluenceEstimate:
    """Average precision with the influence of each row: its derivative by the row's weight, O(n log n).

    A row counts in the precision at every positive that scores as low or lower. The share of positives is taken as the
    rows have it by chance, and so is part of the error, as it is in a bootstrap of rows.
    """
    above, positives_above = _at_or_above(positive, scores)
    precision = np.where(positive, positives_above / above, 0.0)
    n_pos = int(positive.sum())
    value = float(precision.sum() / n_pos)
    order = np.argsort(scores, kind="stable")
    last = np.searchsorted(scores[order], scores, "right") - 1  # of the rows that score as low or lower

    def below(terms: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.cumsum(np.where(positive, terms, 0.0)[order])[last])

    more = np.where(positive, below((above - positives_above) / above**2), -below(positives_above / above**2))
    return InfluenceEstimate(value, (np.where(positive, precision - value, 0.0) + more) / n_pos, positive)


def _at_or_above(positive: Classes, scores: Scores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows, and positive rows, that score as high as each row (n,) or higher."""
    ordered, ordered_positive = np.sort(scores), np.sort(scores[positive])
    above = len(scores) - np.searchsorted(ordered, scores, "left")
    positives_above = len(ordered_positive) - np.searchsorted(ordered_positive, scores, "left")
    return above.astype(np.float64), positives_above.astype(np.float64)


class ResampledPrecision:
    """Average precision of many resamples, step by step over all resamples of a block."""

    def __init__(self, positive: Classes, scores: Scores) -> None:
        self.steps = ScoreSteps.of(scores[positive], scores[~positive])

    def __call__(self, block: ResampleBlock) -> NDArray[np.float64]:
        """Average precision (b,) of each resample."""
        size, steps, first = len(block.pairs), self.steps, 0
        above = np.full(size, 1e-300)  # no row drawn yet: 0 of 0 is to be 0, and no count feels this
        positives_above, total = np.zeros(size), np.zeros(size)
        for rows, _, last in steps:
            for row in steps.others[first:last]:
                above += block.negatives[row]
            added, first = _sum(block.positives, rows), last
            above += added
            positives_above += added
            total += added * positives_above / above
        return np.asarray(total / positives_above)


class RecallAtRate:
    """Recall of positive rows at the threshold that a share `rate` of the negative rows passes: a point of the ROC.

    Of rows of equal scores across which the threshold falls, as large a share counts as completes the rate, as AUROC
    has it: constant scores have the recall `rate`. With fewer than 1/`rate` negative rows no false positive is allowed.

    >>> RecallAtRate(0.5).value(np.array([True, True, False, False]), np.array([0.9, 0.3, 0.5, 0.2]))
    1.0
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def value(self, positive: Classes, scores: Scores) -> float:
        """Recall at the rate."""
        counts = np.ones((1, len(scores)))
        return float(self.resampled(positive, scores)(ResampleBlock.of(counts, positive))[0])

    def resampled(self, positive: Classes, scores: Scores) -> "ResampledRecall":
        """The recall of many resamples of these rows."""
        return ResampledRecall(ScoreSteps.of(scores[~positive], scores[positive]), self.rate)


@dataclass(frozen=True)
class ResampledRecall:
    """Recall at a rate of false positives, of many resamples at once; ends at the steps that all of them allow."""

    steps: ScoreSteps  # of the negative rows
    rate: float

    def __call__(self, block: ResampleBlock) -> NDArray[np.float64]:
        """Recall (b,) of each resample."""
        steps, first = self.steps, 0
        left = block.negatives.sum(axis=0) * self.rate + ROUNDING  # false positives that are still allowed
        recalled, within = np.zeros(len(left)), np.ones(len(left))
        for rows, above, reached in steps:
            false = _sum(block.negatives, rows)
            if first < above:
                recalled += _sum(block.positives, steps.others[first:above]) * within
            if above < reached:
                partly = np.maximum(left - ROUNDING, 0) / np.maximum(false, 1)
                recalled += _sum(block.positives, steps.others[above:reached]) * np.where(false <= left, 1.0, partly)
            first = reached
            left = left - false  # below 0 from here on once it is
            within = (left >= 0).astype(np.float64)
            if not within.any():
                break
        return np.asarray(recalled / block.positives.sum(axis=0))


def _sum(counts: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """The counts (rows, b) of these rows, together."""
    return counts[rows[0]] if len(rows) == 1 else np.asarray(counts[rows].sum(axis=0))
