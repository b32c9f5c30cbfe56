"""Tests of the difference of methods a and b over tasks: sign flips, Student's t and Wilcoxon's signed ranks."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr
from scipy.stats import rankdata

from ..metrics.intervals import quantile
from ..tensors import as_numpy
from .signflip import SignFlip, sign_flip
from .smallest_effect import smallest_effect
from .tasks import PerTask, aligned

Zeros = Literal["drop", "pratt"]

EXACT = 500  # pairs up to which Wilcoxon's p is exact (.1 s); the normal one is then off by less than .0002
DIGITS = 12  # of the values: differences that agree so far are ties, for 0.3 - 0.2 and 0.2 - 0.1 must be
NAN = float("nan")


@dataclass(frozen=True)
class PairedTests:
    """Differences a - b over n tasks. P-values are one-sided for a > b unless they say otherwise.

    >>> tests = paired_tests([0.8, 0.9, 0.7, 0.6, 0.9], [0.7, 0.7, 0.6, 0.5, 0.8])
    >>> tests.better, tests.n, tests.p_wilcoxon
    (5, 5, 0.03125)
    """

    better: int  # tasks with a > b
    worse: int  # a < b
    n: int  # tasks with both values, ties included
    dropped: int  # tasks left out because a value is NaN
    difference: float  # mean of a - b
    low: float  # its 95 % t interval
    high: float
    t: float  # ± inf where all differences are the same, NaN where they are all 0
    p_t: float
    w: float  # Wilcoxon's W+: the sum of the ranks of the positive differences
    p_wilcoxon: float
    p_t_worse: float  # for a < b
    p_wilcoxon_worse: float
    flips: SignFlip  # exact test of the mean difference: either side and both

    @property
    def error(self) -> float:
        """The standard error of the mean difference over tasks; NaN with fewer than two."""
        return NAN if self.n < 2 else (self.high - self.low) / (2 * quantile(self.n - 1))

    @property
    def smallest_effect(self) -> float:
        """The mean difference that this design finds with 80 % probability."""
        return smallest_effect(self.n, self.error)


def paired_tests(a: PerTask, b: PerTask, *, zeros: Zeros = "drop") -> PairedTests:
    """Sign-flip, paired t and exact Wilcoxon signed-rank test of one value a task (n,) of two methods.

    A task where either value is NaN, such as an undefined PGR, is dropped and counted. Ties share their mean rank,
    and the exact distribution is that of the ranks as they are. Zero differences are left out of Wilcoxon's test
    (`drop`, Wilcoxon 1945) or take part in the ranking and then give their ranks up (`pratt`, Pratt 1959). Undefined
    numbers are NaN, such as t and its interval with fewer than two tasks.

    InputError for infinite values and for tasks that differ.
    """
    _, (first, second) = aligned({"a": a, "b": b})
    known = ~(np.isnan(first) | np.isnan(second))
    d = _rounded(first[known], second[known])
    difference = float(d.mean()) if len(d) else NAN
    low, high, t, p_t = _student(d, difference)
    w, p_wilcoxon = wilcoxon(d, zeros=zeros)
    better, worse = int((d > 0).sum()), int((d < 0).sum())
    return PairedTests(
        better,
        worse,
        len(d),
        int((~known).sum()),
        difference,
        low,
        high,
        t,
        p_t,
        w,
        p_wilcoxon,
        1 - p_t,
        wilcoxon(-d, zeros=zeros)[1],
        sign_flip(d),
    )


def wilcoxon(d: NDArray[np.float64], *, zeros: Zeros = "drop") -> tuple[float, float]:
    """W+ of differences (n,) and P(W+ at least as large) if each sign is a fair coin; NaN without differences.

    Exact up to `EXACT` differences by convolving one coin after the other, in O(n³); beyond, normal.
    All zeros give 0 and 1.
    """
    d = np.asarray(as_numpy(d), dtype=np.float64)
    if not len(d):
        return NAN, NAN
    if zeros == "drop":
        d = d[d != 0]
    ranks = rankdata(np.abs(d))[d != 0]
    w = float(ranks[d[d != 0] > 0].sum())
    if len(ranks) > EXACT:
        centre, spread = ranks.sum() / 2, np.sqrt((ranks**2).sum()) / 2
        return w, float(ndtr((centre - w) / spread))
    doubled = np.rint(2 * ranks).astype(np.int64)  # mean ranks are halves
    chances = np.zeros(int(doubled.sum()) + 1)
    chances[0] = 1
    reached = 0
    for rank in doubled:
        chances[: reached + rank + 1] /= 2
        chances[rank : reached + rank + 1] += chances[: reached + 1].copy()
        reached += rank
    return w, float(min(chances[round(2 * w) :].sum(), 1.0))


def _student(d: NDArray[np.float64], mean: float) -> tuple[float, float, float, float]:
    """The ends of the mean's 95 % interval, t and its one-sided p."""
    if len(d) < 2:
        return NAN, NAN, NAN, NAN
    if np.ptp(d) == 0:
        t = math.copysign(math.inf, mean) if mean else NAN
        return mean, mean, t, float(t < 0) if mean else NAN
    freedom = len(d) - 1
    error = float(d.std(ddof=1)) / math.sqrt(len(d))
    half, t = quantile(freedom) * error, mean / error
    return mean - half, mean + half, t, float(stdtr(freedom, -t))


def _rounded(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """a - b to `DIGITS` decimal digits of the largest value."""
    largest = float(np.abs([a, b]).max(initial=0))
    return np.round(a - b, DIGITS - int(np.ceil(np.log10(largest)))) if largest else a - b
