"""AUROC, accuracy, and the performance gap recovered (PGR) with a paired bootstrap interval and a status."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from .errors import InputError, did_you_mean
from .randomness import stream

Metric = Literal["auroc", "accuracy"]
Status = Literal["ok", "unstable", "undefined"]

LEVEL = 0.95  # of every interval
STEADY = 3.0  # standard errors of the gap from which a ratio over it is steady: a normal gap is then below 0 in .1 %
CELLS = 1 << 22  # resampling weights held at once


def auroc(truth: ArrayLike, scores: ArrayLike) -> float:
    """P(score of a positive row > score of a negative row), ties counting one half.

    `truth` (n,) is positive above ½. Constant scores give exactly 0.5, whatever the order of the rows.
    InputError if the rows are of one class.
    """
    positive, s = _checked(truth, scores)
    n_pos = int(positive.sum())
    ranks = rankdata(s)
    return float((ranks[positive].sum() - n_pos * (n_pos + 1) / 2) / (n_pos * (len(s) - n_pos)))


def accuracy(truth: ArrayLike, scores: ArrayLike) -> float:
    """The share of rows whose score is on the same side of ½ as the truth (n,)."""
    positive, s = _checked(truth, scores)
    return float(((s > 0.5) == positive).mean())


METRICS = {"auroc": auroc, "accuracy": accuracy}


@dataclass(frozen=True)
class GapRecovered:
    """PGR = (student - weak) / (ceiling - weak): 0 is no better than the supervisor, 1 is the ceiling."""

    value: float  # NaN where undefined
    low: float  # 95 % percentile interval of the paired bootstrap over test rows
    high: float
    gap: float  # ceiling - weak
    status: Status


def performance_gap_recovered(
    truth: ArrayLike,
    weak: ArrayLike,
    student: ArrayLike,
    ceiling: ArrayLike,
    metric: Metric = "auroc",
    n_boot: int = 2000,
    seed: int = 0,
) -> GapRecovered:
    """PGR of scores on the same test rows (n,), with its interval and status (see `gap_recovered`)."""
    scores = {"weak": weak, "student": student, "ceiling": ceiling}
    draws = bootstrap(truth, scores, metric, n_boot, seed)
    points = {name: METRICS[metric](truth, values) for name, values in scores.items()}
    return gap_recovered(
        points["weak"],
        points["student"],
        points["ceiling"],
        draws["weak"],
        draws["student"],
        draws["ceiling"],
    )


def gap_recovered(
    weak: float,
    student: float,
    ceiling: float,
    weak_draws: NDArray[np.float64],
    student_draws: NDArray[np.float64],
    ceiling_draws: NDArray[np.float64],
) -> GapRecovered:
    """PGR from point values and their paired bootstrap draws (n_boot,).

    `undefined` where the ceiling is not above the weak supervisor: the ratio then has no meaning and is not
    computed. `unstable` where the gap is under `STEADY` of its bootstrap standard errors: the denominator is then
    so often near 0 that the ratio's interval is no guide.
    """
    gap = ceiling - weak
    if gap <= 1e-12:  # below the rounding of a mean of ranks
        return GapRecovered(float("nan"), float("nan"), float("nan"), gap, "undefined")
    gaps = ceiling_draws - weak_draws
    usable = gaps != 0
    ratios = (student_draws - weak_draws)[usable] / gaps[usable]
    low, high = interval(ratios)
    status: Status = "ok" if gap >= STEADY * gaps.std() else "unstable"
    return GapRecovered((student - weak) / gap, low, high, gap, status)


def interval(draws: NDArray[np.float64]) -> tuple[float, float]:
    """The central 95 % of bootstrap draws."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def bootstrap(
    truth: ArrayLike,
    scores: Mapping[str, ArrayLike],
    metric: Metric = "auroc",
    n_boot: int = 2000,
    seed: int = 0,
) -> dict[str, NDArray[np.float64]]:
    """The metric of every set of scores (n,) on the same n_boot resamples of the test rows: name -> (n_boot,).

    One call for all models keeps them paired and draws the resamples once. A resample of one class is drawn
    again for AUROC. Cost O(n_boot · n) a model, no sorting inside the loop.
    """
    if metric not in METRICS:
        raise InputError(f"metric {metric!r}: {did_you_mean(metric, get_args(Metric))}")
    if n_boot < 2:
        raise InputError(f"n_boot={n_boot} must be at least 2 (2000 is usual)")
    arrays = {name: _checked(truth, values) for name, values in scores.items()}
    positive = next(iter(arrays.values()))[0]
    parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in arrays}
    plans = {name: _SortedScores.of(s) for name, (_, s) in arrays.items()}
    for counts in _resamples(positive, n_boot, seed):
        for name, (_, s) in arrays.items():
            if metric == "auroc":
                parts[name].append(plans[name].auroc(positive, counts))
            else:
                parts[name].append(counts @ ((s > 0.5) == positive) / len(s))
    return {name: np.concatenate(drawn) for name, drawn in parts.items()}


def _resamples(positive: NDArray[np.bool_], n_boot: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Blocks of resamples as counts (b, n) of how often each row was drawn; both classes are in each."""
    n, rng = len(positive), stream(seed, "bootstrap")
    left = n_boot
    while left:
        size = min(left, max(1, CELLS // n))
        drawn = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)
        n_pos = counts @ positive
        counts = counts[(n_pos > 0) & (n_pos < n)]
        left -= len(counts)
        yield counts


@dataclass(frozen=True)
class _SortedScores:
    """Scores sorted once, so that a resample's AUROC is a cumulative sum of its counts."""

    order: NDArray[np.intp]  # (n,) rows by ascending score
    starts: NDArray[np.intp]  # (g,) where each run of equal scores begins

    @classmethod
    def of(cls, scores: NDArray[np.float64]) -> "_SortedScores":
        order = np.argsort(scores, kind="stable")
        return cls(order, np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0]))

    def auroc(self, positive: NDArray[np.bool_], counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """AUROC (b,) of resamples given as counts (b, n)."""
        sorted_counts, sides = counts[:, self.order], positive[self.order]
        pos = np.add.reduceat(sorted_counts * sides, self.starts, axis=1)
        neg = np.add.reduceat(sorted_counts * ~sides, self.starts, axis=1)
        below = np.cumsum(neg, axis=1) - neg / 2
        return np.asarray((pos * below).sum(axis=1) / (pos.sum(axis=1) * neg.sum(axis=1)))


def _checked(truth: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    t, s = np.asarray(truth, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if t.ndim != 1 or t.shape != s.shape:
        raise InputError(f"truth has shape {t.shape} and scores {s.shape}: one number a row is needed of each")
    if not np.isfinite(t).all() or not np.isfinite(s).all():
        raise InputError("truth and scores must be finite numbers")
    positive = t > 0.5
    if positive.all() or not positive.any():
        raise InputError(f"one class only: the truth of all {len(t)} test rows is the same, so nothing can be ranked")
    return positive, s
