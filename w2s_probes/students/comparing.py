"""AUROC and accuracy of scores on test rows, and of two models' difference on the same rows, with 95 % intervals.

The intervals hold the choice of the test rows (DeLong; by groups Obuchowski), for the models as they were trained:
another training seed moves the numbers, too.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ..metrics.influence import Measured, mean, ranking
from ..metrics.intervals import Estimate
from ..metrics.recovery import Metric
from ..rows.groups import group_numbers
from ..ties import above_half

METRIC_NAMES: dict[Metric, str] = {"auroc": "AUROC", "accuracy": "accuracy"}


def estimate(
    metric: Metric, truth: NDArray[np.float64], scores: NDArray[np.float64], groups: NDArray[np.object_] | None = None
) -> Estimate | None:
    """The metric of scores (n,); None for the AUROC of rows of one class, which nothing can rank."""
    measured = _measured(metric, truth, scores)
    return None if measured is None else measured.share(group_numbers(groups, len(truth)))


def difference(
    metric: Metric,
    truth: NDArray[np.float64],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    groups: NDArray[np.object_] | None = None,
) -> Estimate | None:
    """The metric of scores a (n,) - that of b, paired on the rows; None for the AUROC of rows of one class."""
    left, right = (_measured(metric, truth, scores) for scores in (a, b))
    if left is None or right is None:
        return None
    return (left - right).estimate(group_numbers(groups, len(truth)))


def with_interval(value: Estimate | None, spec: str = ".3f") -> str:
    """`0.857 [0.821, 0.886]`; in words where there is no value, or no interval."""
    if value is None:
        return "undefined (rows of one class)"
    if math.isnan(value.low):
        return f"{value.value:{spec}} (too few rows for an interval)"
    return f"{value:{spec}}"


def as_listed(value: Estimate | None) -> list[float | None] | None:
    """Value, low and high for a record: None where there is none."""
    if value is None:
        return None
    return [None if math.isnan(end) else end for end in (value.value, value.low, value.high)]


def _measured(metric: Metric, truth: NDArray[np.float64], scores: NDArray[np.float64]) -> Measured | None:
    positive = above_half(truth)
    if metric == "accuracy":
        return mean((above_half(scores) == positive).astype(np.float64))
    return ranking(positive, scores)
