"""Metrics of scores as probabilities: Brier score, log loss, expected calibration error."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from .influence import InfluenceEstimate, mean
from .resampling import ResampleBlock

Scores = NDArray[np.float64]
Classes = NDArray[np.bool_]

BINS = 15  # as calibration errors are usually given (Guo et al. 2017)
ROWS_A_BIN = 10  # at least; fewer bins on few rows
SURE = float(np.finfo(np.float64).eps)  # probabilities are kept this far from 0 and 1 in log loss, as scikit-learn does


def squared_errors(positive: Classes, scores: Scores) -> NDArray[np.float64]:
    """(P(1) - class)² of each row (n,): their mean is the Brier score."""
    return np.asarray((scores - positive) ** 2)


def negative_logs(positive: Classes, scores: Scores) -> NDArray[np.float64]:
    """-log P(class) of each row (n,): their mean is the log loss, at most 36 where a sure row is wrong."""
    return np.asarray(-np.log(np.clip(np.where(positive, scores, 1 - scores), SURE, 1)))


def brier_influence(positive: Classes, scores: Scores) -> InfluenceEstimate:
    """The Brier score: a mean over rows."""
    return mean(squared_errors(positive, scores))


def log_loss_influence(positive: Classes, scores: Scores) -> InfluenceEstimate:
    """Log loss: a mean over rows."""
    return mean(negative_logs(positive, scores))


class ResampledMean:
    """The mean of numbers (n,) over the rows of many resamples."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        self.values = values

    def __call__(self, block: ResampleBlock) -> NDArray[np.float64]:
        """The mean (b,) of each resample."""
        return np.asarray(block.counts @ self.values / block.counts.sum(axis=1))


def bins(scores: Scores) -> NDArray[np.intp]:
    """The bin (n,) of each row: `BINS` of as many rows each, by score; rows of equal scores share the lower one."""
    number = min(BINS, max(1, len(scores) // ROWS_A_BIN))
    return np.searchsorted(np.sort(scores), scores, "left") * number // len(scores)


def calibration_error(positive: Classes, scores: Scores) -> float:
    """Expected calibration error in equal-mass bins, debiased: mean over rows of |share of class 1 - mean P(1)|.

    The share of class 1 in a bin of m rows is off by chance, so that the plain error of even perfect probabilities is
    some √(p(1 - p)/m). Its bias is taken away as Kumar et al. (2019) do for this error (`normal_debiased_ce` of their
    code): twice the plain error less its expectation with shares drawn anew, normal with deviation √(p(1 - p)/m). That
    expectation is taken in closed form. It takes away about half of the bias of perfect probabilities, most of it
    where they are far off. Never below 0.
    """
    return float(ResampledCalibration(positive, scores)(ResampleBlock.of(np.ones((1, len(scores))), positive))[0])


class ResampledCalibration:
    """The calibration error of many resamples, in the bins of all rows."""

    def __init__(self, positive: Classes, scores: Scores) -> None:
        self.positive, self.scores = positive, scores
        self.codes = np.unique(bins(scores), return_inverse=True)[1]

    def __call__(self, block: ResampleBlock) -> NDArray[np.float64]:
        """The calibration error (b,) of each resample."""
        # Made here and dropped again: of a hundred models, tables of n rows and 45 columns are too much to hold.
        member = (self.codes[:, None] == np.arange(self.codes.max() + 1)).astype(np.float64)
        terms = [member, member * (self.positive - self.scores)[:, None], member * self.positive[:, None]]
        n, excess, ones = np.split(block.counts @ np.concatenate(terms, axis=1), 3, axis=1)
        rows = np.maximum(n, 1)  # a bin of which no row was drawn weighs nothing
        off, share = np.abs(excess) / rows, ones / rows
        debiased = 2 * off - folded_normal(off, np.sqrt(share * (1 - share) / rows))
        return np.asarray(np.maximum((n * debiased).sum(axis=1) / n.sum(axis=1), 0))


def folded_normal(centre: NDArray[np.float64], deviation: NDArray[np.float64]) -> NDArray[np.float64]:
    """E|N(centre, deviation²)|, elementwise; |centre| where there is no deviation."""
    z = np.divide(centre, deviation * np.sqrt(2), out=np.full_like(centre, np.inf), where=deviation > 0)
    return np.asarray(deviation * np.sqrt(2 / np.pi) * np.exp(-(z**2)) + centre * erf(z))
