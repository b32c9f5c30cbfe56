"""The gap recovered over many tasks: pooled, and as mean and median of the tasks' ratios."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom

from ..metrics.intervals import NO_ESTIMATE, NORMAL, TAIL, Estimate, SeededMeans, Source
from ..metrics.recovery import LEAST_GAP, STEADY, Status
from .tasks import PerTask, aligned

LEAST_MEDIAN = 6  # tasks: 2 · ½⁶ is the first chance of all lying on one side that is under .05
SATURATED = 0.999  # AUROC above which weak, student and ceiling leave nothing to tell apart
NAN = float("nan")
GAIN, GAP = np.eye(2)

Values = NDArray[np.float64]


@dataclass(frozen=True)
class PooledRecovery:
    """Three summaries of the same tasks, each with its 95 % interval over tasks.

    A ratio of small gaps can be anything, and counts in the mean as much as one of large gaps; `pooled` weights each
    task by its gap. Where the two differ, some tasks have small gaps.

    >>> recovery = pooled(weak=[0.6, 0.7, 0.7], student=[0.7, 0.8, 0.8], ceiling=[0.8, 0.9, 0.95])
    >>> recovery.status, recovery.n, f"{recovery.pooled.value:.3f}", f"{recovery.mean.value:.3f}"
    ('ok', 3, '0.462', '0.467')
    """

    pooled: Estimate  # sum of student - weak over sum of ceiling - weak, over n tasks
    status: Status  # of the pooled gap, with the scatter between tasks as its error
    mean: Estimate  # of the PGR of single tasks, over the n - len(undefined) that have one
    median: Estimate
    n: int  # tasks neither saturated nor missing
    saturated: tuple[str, ...]  # tasks left out because all three values are too near 1
    missing: tuple[str, ...]  # tasks left out because a value is NaN
    undefined: tuple[str, ...]  # tasks whose ceiling is not above the supervisor: in `pooled` alone


def saturated(weak: PerTask, student: PerTask, ceiling: PerTask, *, above: float = SATURATED) -> NDArray[np.bool_]:
    """The tasks (n,) on which all three values are greater than `above`."""
    _, values = aligned({"weak": weak, "student": student, "ceiling": ceiling})
    return np.asarray((values > above).all(axis=0))


def pooled(
    weak: PerTask,
    student: PerTask,
    ceiling: PerTask,
    *,
    saturation: float | None = SATURATED,
) -> PooledRecovery:
    """The gap recovered over tasks from one value a task of each model (n,), arrays in one order or by name.

    Tasks where all three values exceed `saturation` are left out (None: none is). A task whose ceiling is at or below
    the supervisor stays in the pooled ratio: leaving it out, which is partly for chance, would widen the pooled gap.

    The intervals are over tasks, whose three values go together: what other tasks of the same kind would give. Those
    of the pooled ratio (Fieller) and of the mean (t) have n - 1 degrees of freedom, because a bootstrap of 5 tasks
    covered .87 and .90 instead of .95 in simulations; that of the median is between two of the ratios in order, the
    innermost that hold it in 95 % of all samples whatever their distribution. Under `LEAST_MEDIAN` tasks not even the
    outermost do, and its ends are NaN. All are NaN where there is one task.
    """
    names, values = aligned({"weak": weak, "student": student, "ceiling": ceiling})
    missing = np.isnan(values).any(axis=0)
    full = np.zeros_like(missing) if saturation is None else (values > saturation).all(axis=0)
    used = values[:, ~missing & ~full]
    gains_gaps = used[1:] - used[0]  # (2, n)
    defined = gains_gaps[1] > LEAST_GAP
    ratios = gains_gaps[0, defined] / gains_gaps[1, defined]
    status, ratio = _pooled(gains_gaps)

    def named(mask: ArrayLike) -> tuple[str, ...]:
        return tuple(np.array(names, dtype=object)[np.asarray(mask, dtype=bool)])

    return PooledRecovery(
        ratio,
        status,
        _mean(ratios),
        _median(ratios),
        used.shape[1],
        named(full),
        named(missing),
        named(~missing & ~full & (values[2] - values[0] <= LEAST_GAP)),
    )


def _pooled(gains_gaps: Values) -> tuple[Status, Estimate]:
    """Status and ratio of the sums of gains and gaps (2, n)."""
    n = gains_gaps.shape[1]
    if gains_gaps[1].sum() <= LEAST_GAP:
        return "undefined", NO_ESTIMATE
    if n < 2:
        return "unstable", Estimate(float(gains_gaps[0, 0] / gains_gaps[1, 0]), NAN, NAN)
    means = _over_tasks(gains_gaps)
    gap = means.estimate(GAP)
    value, low, high = means.ratio(GAIN, GAP)
    error, _ = means.error((GAIN - value * GAP) / gap.value)
    steady = gap.value >= STEADY / NORMAL * (gap.high - gap.value)
    return "ok" if steady else "unstable", Estimate(value, low, high, error)


def _mean(ratios: Values) -> Estimate:
    if len(ratios) < 2:
        return Estimate(float(ratios[0]), NAN, NAN) if len(ratios) else NO_ESTIMATE
    return _over_tasks(ratios[None]).estimate(np.ones(1))


def _over_tasks(values: Values) -> SeededMeans:
    """Means of values (m, n) over tasks, which scatter as seeds do; the test rows' part is in that scatter."""
    m, n = values.shape
    return SeededMeans(values.mean(axis=1), Source(np.cov(values).reshape(m, m) / n, n - 1), 1)


def _median(ratios: Values) -> Estimate:
    """The median with the order statistics between which it lies: below each end are as few as a fair coin allows."""
    n = len(ratios)
    if n < LEAST_MEDIAN:
        return Estimate(float(np.median(ratios)), NAN, NAN) if n else NO_ESTIMATE
    outside = int(binom.ppf(1 - TAIL, n, 0.5))  # ratios left out at each end: P(fewer below the median) ≤ 2.5 %
    ordered = np.sort(ratios)
    return Estimate(float(np.median(ratios)), float(ordered[outside - 1]), float(ordered[n - outside]))
