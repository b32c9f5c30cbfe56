"""Intervals of means over training seeds, their contrasts and the ratio of two, from several sources of error.

A model's metric on n test rows, averaged over S seeds, misses its expectation by the choice of the rows, which every
model and seed shares, by how one seed's model fares on these rows, and by the seeds themselves. Influence functions of
the rows see the first two, the scatter between seeds the last two. What that scatter has beyond what the rows explain
is the error by seeds, known with S - 1 degrees of freedom.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import stdtrit

from .resampling import LEVEL

TAIL = (1 + LEVEL) / 2
NORMAL = float(stdtrit(np.inf, TAIL))  # 1.96
FARTHEST = 2.0**60  # standard errors away: an interval that has not ended there is taken to have no end
LEAST_P = 1e-12  # below, a p-value is given as this


@dataclass(frozen=True)
class Estimate:
    """A mean, contrast, share or ratio with its 95 % interval; a number that is not known is NaN, and then not written.

    >>> estimate = Estimate(0.857, 0.821, 0.886)
    >>> f"{estimate:.2f}"
    '0.86 [0.82, 0.89]'
    >>> f"{Estimate(1.0, math.nan, math.nan):.2f}"
    '1.00 (no interval)'
    """

    value: float
    low: float
    high: float
    error: float = math.nan  # standard error; NaN where the interval was made without one

    def __format__(self, spec: str) -> str:
        return f"{self.value:{spec}} {interval_in_words(self.low, self.high, spec)}"


def interval_in_words(low: float, high: float, spec: str) -> str:
    """`[low, high]`, or that there is no interval."""
    return "(no interval)" if math.isnan(low) or math.isnan(high) else f"[{low:{spec}}, {high:{spec}}]"


NO_ESTIMATE = Estimate(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Source:
    """A source of error of m means: the covariances (m, m) that it adds, and their degrees of freedom.

    >>> Source(np.diag([4.0, 1.0]), freedom=9).variance(np.array([1.0, -1.0]))
    5.0
    """

    covariance: NDArray[np.float64]
    freedom: float  # degrees of freedom

    def variance(self, weights: NDArray[np.float64]) -> float:
        """Variance of the contrast with these weights (m,); a difference of covariances may be below 0."""
        return max(float(weights @ self.covariance @ weights), 0.0)


@dataclass(frozen=True)
class SeededMeans:
    """Means over seeds of m metric values, and the sources of their errors.

    >>> means = SeededMeans(np.array([0.9, 0.8]), Source(np.diag([9e-4, 16e-4]), math.inf), n_seeds=1)
    >>> f"{means.estimate(np.array([1.0, -1.0])):.3f}"
    '0.100 [0.002, 0.198]'
    """

    means: NDArray[np.float64]  # (m,)
    rows: Source  # the choice of the test rows, or of their groups
    n_seeds: int
    others: tuple[Source, ...] = field(default=())  # the seeds beyond what the rows explain; draws within one seed
    own_rows: NDArray[np.float64] | None = None  # (m, m) the part of `rows` within seeds; of several seeds only

    @classmethod
    def of(
        cls,
        points: NDArray[np.float64],
        parts: NDArray[np.float64],
        freedom: float = math.inf,
        spread: NDArray[np.float64] | None = None,
        n_draws: int = 1,
    ) -> "SeededMeans":
        """The means of values (m, S), from the parts (m, S, u) that each of u rows, or groups, adds to their error.

        Inner products of `parts` over u are covariances (`InfluenceEstimate.parts`), known with `freedom` degrees.
        `spread` (m,): the variance of the mean of `n_draws` repetitions within a seed, 0 for a model that is not
        repeated. With several seeds it is part of their scatter; with one it is a source by itself.
        """
        m, n_seeds, _ = parts.shape
        mean = parts.mean(axis=1)
        rows = Source(mean @ mean.T, freedom)
        if n_seeds == 1:
            repeated = spread is not None and bool(spread.any())
            draws = (Source(np.diag(spread), n_draws - 1),) if spread is not None and repeated else ()
            return cls(points.mean(axis=1), rows, 1, draws)
        scatter = np.cov(points).reshape(m, m) / n_seeds
        within = parts - mean[:, None]
        by_rows = np.einsum("asu,csu->ac", within, within) / (n_seeds * (n_seeds - 1))
        return cls(points.mean(axis=1), rows, n_seeds, (Source(scatter - by_rows, n_seeds - 1),), by_rows)

    def error(self, weights: NDArray[np.float64], level: float = LEVEL) -> tuple[float, float]:
        """Standard error of the contrast with these weights (m,), and half the width of its interval at this level.

        Each source has its own quantile of Student's t, and the halves add in squares. A common t with the degrees of
        freedom of the mix (Welch-Satterthwaite) is too sure where two or three seeds happen to be alike: it then
        forgets what it does not know. Simulated coverage of both, with two seeds and their variance three times the
        rows': .93 to .96 this way, .90 that.
        """
        return _joined((self.rows, *self.others), weights, level)

    def estimate(self, weights: NDArray[np.float64]) -> Estimate:
        """The contrast of the means with these weights (m,), with its interval."""
        value = float(weights @ self.means)
        error, half = self.error(weights)
        return Estimate(value, value - half, value + half, error)

    def p_value(self, weights: NDArray[np.float64]) -> float:
        """Two-sided p of no contrast, which holds in the tail too, where many comparisons are corrected for.

        NaN where the error is unknown: of a single row of a class.

        What two or three seeds scatter beyond what the rows explain is often estimated as nothing. At 95 % the
        interval makes up for that by its wide quantile; at the small p of a correction it does not (eight equal
        methods were told apart in .13 to .17 of experiments). Here the whole scatter between seeds has Student's
        quantile, and the rows count by what all seeds have in common: without that part it is the paired t test.
        """
        value = abs(float(weights @ self.means))
        sources: tuple[Source, ...] = (self.rows, *self.others)
        if self.own_rows is not None:
            (seeds,) = self.others
            common = Source(self.rows.covariance - self.own_rows, self.rows.freedom)
            sources = (common, Source(seeds.covariance + self.own_rows, seeds.freedom))
        if math.isnan(_joined(sources, weights, LEVEL)[1]):  # a single row of a class: its error is unknown
            return math.nan
        if value == 0:
            return 1.0
        if _joined(sources, weights, 1 - LEAST_P)[1] <= value:
            return LEAST_P
        return float(brentq(lambda p: _joined(sources, weights, 1 - p)[1] - value, LEAST_P, 1, xtol=1e-12))

    def proportion(self, weights: NDArray[np.float64]) -> Estimate:
        """As `estimate` for a value in [0, 1], whose interval is made on the logit scale and stays inside.

        `error` is that of the value itself.
        """
        plain = self.estimate(weights)
        ends = share_interval(plain.value, plain.high - plain.value, self.rows.freedom + 1)
        return Estimate(plain.value, *ends, plain.error)

    def ratio(self, above: NDArray[np.float64], below: NDArray[np.float64]) -> tuple[float, float, float]:
        """The ratio of two contrasts and the ends of its 95 % interval (Fieller 1954).

        In it is every r for which the contrast `above` - r · `below` does not differ from 0 by its own interval.
        Unlike a normal interval of the ratio it is as skewed as the ratio is, and has no end (infinity) on a side
        where the data set none, as happens where `below` may be 0.
        """
        value = float(above @ self.means) / float(below @ self.means)

        def excess(r: float) -> float:
            contrast = self.estimate(above - r * below)
            return max(contrast.low, -contrast.high)

        _, step = self.error((above - value * below) / float(below @ self.means))
        if step == 0:
            return value, value, value
        if not math.isfinite(step):  # a single row of a class: its error is unknown
            return value, math.nan, math.nan
        ends = []
        for side in (-1, 1):
            far = step
            while excess(value + side * far) <= 0 and far < FARTHEST * step:
                far *= 2
            if far >= FARTHEST * step:
                ends.append(side * math.inf)
            else:
                ends.append(brentq(excess, value, value + side * far, xtol=1e-9 * step))
        return value, ends[0], ends[1]


def _joined(sources: tuple[Source, ...], weights: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Standard error of a contrast from several sources, and half the width of its interval."""
    variances = [(source.variance(weights), source.freedom) for source in sources]
    halves = [quantile(freedom, level) * math.sqrt(variance) for variance, freedom in variances if variance]
    return math.sqrt(sum(variance for variance, _ in variances)), math.hypot(*halves)


def quantile(freedom: float, level: float = LEVEL) -> float:
    """The quantile of Student's t for a two-sided interval, in standard errors."""
    return float(stdtrit(freedom, (1 + level) / 2))


def share_interval(value: float, half: float, units: float) -> tuple[float, float]:
    """The 95 % interval of a value in [0, 1] with half the width `half` on its own scale: symmetric in its logit.

    At exactly 0 or 1, or where all rows are alike in another way, there is no width to go by: then half of it is
    `unseen(units)`, and the interval of a perfect share is the binomial one (Clopper and Pearson 1934). For an AUROC
    `units` are the rows, or groups, of the smaller class.
    """
    spread = value * (1 - value)
    if math.isnan(half) or math.isnan(value):
        return math.nan, math.nan
    if spread <= 0 or half <= 0:
        return max(0.0, value - unseen(units)), min(1.0, value + unseen(units))
    logit = math.log(value / (1 - value))
    return _logistic(logit - half / spread), _logistic(logit + half / spread)


def unseen(units: float) -> float:
    """The largest share of exceptions, at 95 %, that this number of independent rows, or groups, may all miss."""
    return 1 - float((1 - TAIL) ** (1 / units))


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
