"""Metrics of scores on rows, and the paired difference of two sets of scores there, with 95 % intervals.

The intervals hold the choice of the rows (DeLong et al. 1988; by groups Obuchowski 1997; of metrics without influence
functions a bootstrap of rows, or groups), for scores as they are: of models that were trained, another training seed
moves the numbers, too.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..rows.groups import group_numbers
from ..ties import above_half
from .influence import InfluenceEstimate
from .intervals import Estimate
from .measured import ResampledEstimate, measure, with_error
from .metric_names import DEFAULT_METRICS, Metric
from .registry import METRICS

METRIC_NAMES: dict[Metric, str] = {name: METRICS[name].title for name in DEFAULT_METRICS}


def estimate(
    metric: Metric, truth: NDArray[np.float64], scores: NDArray[np.float64], groups: ArrayLike | None = None
) -> Estimate | None:
    """The metric of scores (n,); None where it ranks rows and all are of one class."""
    numbers = group_numbers(groups, len(truth))
    measured = measure(metric, above_half(truth), scores, numbers)
    return None if measured is None else with_error(METRICS[metric], measured, numbers)


def difference(
    metric: Metric,
    truth: NDArray[np.float64],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    groups: ArrayLike | None = None,
) -> Estimate | None:
    """The metric of scores a (n,) minus that of b (n,), paired on the rows; None where rows of one class are ranked.

    Above 0 a is better, but for metrics of which less is better (`registry.METRICS`).
    """
    numbers = group_numbers(groups, len(truth))
    left, right = (measure(metric, above_half(truth), scores, numbers) for scores in (a, b))
    if isinstance(left, InfluenceEstimate) and isinstance(right, InfluenceEstimate):
        return (left - right).estimate(numbers)
    if isinstance(left, ResampledEstimate) and isinstance(right, ResampledEstimate):
        return (left - right).estimate(numbers)
    return None


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
