"""The registry of metrics: one entry says all that tables, comparisons and reports need to know of a metric."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..ties import above_half
from .calibration_error import (
    ResampledCalibration,
    ResampledMean,
    brier_influence,
    calibration_error,
    log_loss_influence,
    negative_logs,
    squared_errors,
)
from .checked_scores import Classes, Scores, checked
from .influence import InfluenceEstimate, mean, ranking
from .metric_names import Metric
from .ranked_retrieval import RecallAtRate, ResampledPrecision, average_precision, average_precision_influence
from .ranks import aurocs
from .resampling import Ranking, ResampleBlock

Resampled = Callable[[ResampleBlock], NDArray[np.float64]]  # the metric (b,) of each resample of a block
HardLabels = Literal["as they are", "hardened", "left out"]


@dataclass(frozen=True)
class MetricEntry:
    """A metric, called with truth (n,) and scores (n,). InputError where it has no value on them.

    >>> METRICS["brier"]([0, 1], [0.5, 1.0])
    0.125
    """

    name: Metric
    title: str  # in pages
    value: Callable[[Classes, Scores], float]  # of classes (n,) and scores (n,)
    resampled: Callable[[Classes, Scores], Resampled]
    # The value with the influence of each row on it; None: its error is that of a bootstrap of rows, or groups.
    influence: Callable[[Classes, Scores], InfluenceEstimate] | None
    higher: bool = True  # is better
    ranks: bool = False  # rows of one class among those of the other, so that the smaller class decides its error
    probabilities: bool = False  # whether scores must be P(label = 1), within 0 and 1
    most: float = 1.0  # its largest value; the least is 0
    logit: bool = True  # whether its interval is made on the logit scale; else it is cut off at 0 and `most`
    pgr: bool = True  # whether a share of the gap between supervisor and ceiling can be recovered in it
    # Of PGR where the supervisor gives labels: scores as they are, all hardened at 1/2, or no PGR.
    hard: HardLabels = "hardened"

    def __call__(self, truth: ArrayLike, scores: ArrayLike) -> float:
        """The metric of scores (n,) by the truth (n,), which is positive above 1/2."""
        positive, (s,) = self.checked(truth, scores, most=1)
        return self.value(positive, s)

    @property
    def sign(self) -> int:
        """The sign of a difference in which the first is better."""
        return 1 if self.higher else -1

    def checked(self, truth: ArrayLike, scores: ArrayLike, *, most: int | None = None) -> tuple[Classes, Scores]:
        """Classes (n,) and scores (draws, n); InputError where they are no such, or no probabilities as asked for."""
        positive, rows = checked(truth, scores, most=most)
        if self.probabilities and not ((rows >= 0) & (rows <= 1)).all():
            raise InputError(f"{self.name} is of probabilities: scores must be P(label = 1), within 0 and 1")
        return positive, rows


def _hits(positive: Classes, scores: Scores) -> NDArray[np.float64]:
    return np.asarray(above_half(scores) == positive, dtype=np.float64)


def _accuracy(positive: Classes, scores: Scores) -> float:
    return float(_hits(positive, scores).mean())


def _accuracy_influence(positive: Classes, scores: Scores) -> InfluenceEstimate:
    return mean(_hits(positive, scores))


def _auroc(positive: Classes, scores: Scores) -> float:
    return float(aurocs(positive, scores))


def _auroc_influence(positive: Classes, scores: Scores) -> InfluenceEstimate:
    measured = ranking(positive, scores)
    assert measured is not None  # of one class: refused before
    return measured


def _resampled_auroc(positive: Classes, scores: Scores) -> Resampled:
    return Ranking.of(scores, positive).auroc


def _mean_of(values: Callable[[Classes, Scores], NDArray[np.float64]]) -> Callable[[Classes, Scores], Resampled]:
    return lambda positive, scores: ResampledMean(values(positive, scores))


def _mean_value(values: Callable[[Classes, Scores], NDArray[np.float64]]) -> Callable[[Classes, Scores], float]:
    return lambda positive, scores: float(values(positive, scores).mean())


def _recall(name: Metric, title: str, rate: float) -> MetricEntry:
    point = RecallAtRate(rate)
    return MetricEntry(name, title, point.value, point.resampled, None, ranks=True, hard="left out")


METRICS: dict[Metric, MetricEntry] = {
    entry.name: entry
    for entry in (
        MetricEntry("auroc", "AUROC", _auroc, _resampled_auroc, _auroc_influence, ranks=True),
        MetricEntry("accuracy", "accuracy", _accuracy, _mean_of(_hits), _accuracy_influence, hard="as they are"),
        MetricEntry(
            "average_precision",
            "average precision",
            average_precision,
            ResampledPrecision,
            average_precision_influence,
            ranks=True,
        ),
        _recall("recall_at_1_fpr", "recall at 1 % FPR", 0.01),
        _recall("recall_at_5_fpr", "recall at 5 % FPR", 0.05),
        MetricEntry(
            "brier",
            "Brier score",
            _mean_value(squared_errors),
            _mean_of(squared_errors),
            brier_influence,
            higher=False,
            probabilities=True,
        ),
        MetricEntry(
            "ece",
            "calibration error (ECE)",
            calibration_error,
            ResampledCalibration,
            None,
            higher=False,
            probabilities=True,
            logit=False,
            pgr=False,
        ),
        MetricEntry(
            "log_loss",
            "log loss",
            _mean_value(negative_logs),
            _mean_of(negative_logs),
            log_loss_influence,
            higher=False,
            probabilities=True,
            most=np.inf,
            logit=False,
            hard="left out",
        ),
    )
}
