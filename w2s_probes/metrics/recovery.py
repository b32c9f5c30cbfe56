"""Metrics, and the performance gap recovered (PGR) on one set of test rows, with its interval and a status."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, did_you_mean
from ..labels.label_set import ids_of, refuse_other_ids
from ..rows.groups import group_numbers
from ..tensors import as_numpy
from ..ties import above_half, levels
from .checked_scores import Scores, checked
from .intervals import interval_in_words
from .measured import units_of
from .metric_names import Metric
from .registry import METRICS, MetricEntry, Resampled
from .resampling import ResampleBlock, interval, resamples

Status = Literal["ok", "hard labels", "unstable", "undefined"]
Name = TypeVar("Name", bound=Hashable)
STEADY = 3.0  # standard errors of the gap from which a ratio over it is steady: a normal gap is then below 0 in .1 %
LEAST_GAP = 1e-12  # the rounding of a mean of ranks
FEW_VALUES = 3  # of a supervisor on the test rows: a class, perhaps "unsure", and no ranking beyond
NAN = float("nan")
REMEDIES = {  # of a status: what to do about its reason
    "undefined": "another layer or position, a stronger strong model, or a weaker supervisor",
    "unstable": "more test rows or seeds, another layer or position, a stronger strong model, or a weaker supervisor",
}


def auroc(truth: ArrayLike, scores: ArrayLike) -> float:
    """P(score of a positive row > score of a negative row), ties counting one half.

    `truth` (n,) is positive above ½. Constant scores give exactly 0.5, whatever the order of the rows.
    InputError if the rows are of one class.
    """
    return METRICS["auroc"](truth, scores)


def accuracy(truth: ArrayLike, scores: ArrayLike) -> float:
    """The share of rows whose score is on the same side of ½ as the truth (n,)."""
    return METRICS["accuracy"](truth, scores)


def mean_metric(metric: Metric, truth: ArrayLike, scores: ArrayLike) -> float:
    """The metric of scores (n,), or the mean of the metrics of several draws of a method (draws, n)."""
    return float(np.mean([METRICS[metric](truth, drawn) for drawn in np.atleast_2d(np.asarray(as_numpy(scores)))]))


def entry_of(metric: str) -> MetricEntry:
    """The registry's entry of a metric; InputError for an unknown name."""
    for name, entry in METRICS.items():
        if name == metric:
            return entry
    raise InputError(f"metric {metric!r}: {did_you_mean(metric, METRICS)}")


@dataclass(frozen=True, repr=False)
class GapRecovered:
    """PGR = (student - weak) / (ceiling - weak): 0 is no better than the supervisor, 1 is the ceiling.

    The interval holds the choice of the test rows alone, for these trained models: another training seed moves PGR
    too (`recovery_over_seeds.gap_recovered_over_seeds`).

    >>> truth = np.tile([0, 1], 50)
    >>> scores = lambda every: np.where(np.arange(100) % every, 0.2 + 0.6 * truth, 0.8 - 0.6 * truth)
    >>> performance_gap_recovered(truth, scores(4), scores(6), truth, metric="accuracy")
    GapRecovered(0.32 [..., ...], gap 0.250, ok)
    """

    value: float  # NaN where undefined
    low: float  # 95 % percentile interval of the paired bootstrap over test rows, or their groups
    high: float
    gap: float  # ceiling - weak
    status: Status
    gap_low: float = NAN  # the gap's 95 % interval, of the same resamples
    gap_high: float = NAN

    @property
    def reason(self) -> str:
        """Why PGR is `undefined` or `unstable` (see `status_reason`); empty where it is neither."""
        return status_reason(self.status, self.gap, self.gap_low, self.gap_high)

    @property
    def remedy(self) -> str:
        """The remedy that may make PGR readable; empty where it is."""
        return REMEDIES.get(self.status, "")

    def to_frame(self) -> pd.DataFrame:
        """One line: `pgr`, its 95 % interval `pgr_low` and `pgr_high`, `gap` and `status`; NaN where undefined."""
        values = {"pgr": self.value, "pgr_low": self.low, "pgr_high": self.high, "gap": self.gap}
        return pd.DataFrame([{**values, "status": self.status}])

    def __repr__(self) -> str:
        if self.status == "undefined":
            return f"GapRecovered(undefined: the ceiling is not above the supervisor, gap {self.gap:.3f})"
        ends = interval_in_words(self.low, self.high, ".2f")
        return f"GapRecovered({self.value:.2f} {ends}, gap {self.gap:.3f}, {self.status})"

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(index=False, border=0, float_format="{:.3f}".format, na_rep="")
        return f"<p>PGR = (student - weak) / (ceiling - weak), with its 95 % interval</p>{table}"


def status_reason(status: str, gap: float = NAN, low: float = NAN, high: float = NAN) -> str:
    """Why a PGR is `undefined` or `unstable`, from its gap (ceiling - weak) and the gap's 95 % interval.

    `status` may say more beside, as that of a line of results.csv does. A gap that is NaN is not known: the reason is
    then what the status means. Empty for other statuses.
    """
    numbers = "" if math.isnan(gap) else f" (gap {gap:+.3f}"
    numbers += "" if not numbers else ")" if math.isnan(low) else f" [{low:+.3f}, {high:+.3f}])"
    if "undefined" in status:
        if math.isnan(gap):
            return "the ceiling is not above the supervisor"
        level = abs(gap) <= LEAST_GAP
        return f"the ceiling {'equals' if level else 'is below'} the supervisor{numbers}"
    if "unstable" in status:
        if not math.isnan(gap) and math.isnan(low):
            return f"the error of the gap is unknown: a single row, or group, of a class{numbers}"
        return f"the gap between supervisor and ceiling is too small beside its error{numbers}"
    return ""


def performance_gap_recovered(
    truth: ArrayLike,
    weak: ArrayLike,
    student: ArrayLike,
    ceiling: ArrayLike,
    metric: Metric = "auroc",
    n_boot: int = 2000,
    seed: int = 0,
    *,
    groups: ArrayLike | None = None,
) -> GapRecovered:
    """PGR of scores on the same test rows (n,), with its interval and status (see `gap_recovered`).

    Rows of one of the `groups` (n,) stay together in every resample: where such rows are alike, intervals by single
    rows are too narrow. A row whose group is None or NaN is alone.

    Of metrics of which less is better, `gap` is weak - ceiling: above 0 the ceiling is better. `metric` is any of
    `METRICS` but "ece": an error of calibration has no ceiling.

    Status `hard labels`: the supervisor has at most `FEW_VALUES` values here, so that its AUROC is its balanced
    accuracy, below that of the soft scores it was made of. Student and ceiling are then hardened at ½ too, or a
    student that repeats the supervisor would seem to recover a part of the gap; the metric to read is accuracy. The
    same holds for average precision and Brier score; log loss and recall at a rate of false positives are nothing that
    labels have, and their PGR is NaN.

    Where a class has a single row, or group, resamples cannot tell how AUROC varies with it: no interval, `unstable`.
    """
    scores = {"weak": weak, "student": student, "ceiling": ceiling}
    refuse_other_ids({name: ids_of(values) for name, values in {"truth": truth, **scores}.items()})
    entry = entry_of(metric)
    if not entry.pgr:
        raise InputError(f"metric {metric!r} has no PGR: calibration is no performance that a ceiling bounds")
    hard = entry.hard != "as they are" and hard_labels(weak)
    if hard and entry.hard == "hardened":
        scores = {name: hardened(values) for name, values in scores.items()}
    points = {name: entry.sign * mean_metric(metric, truth, values) for name, values in scores.items()}
    draws = {
        name: entry.sign * values
        for name, values in bootstrap(truth, scores, metric, n_boot, seed, groups=groups).items()
    }
    result = gap_recovered(
        points["weak"],
        points["student"],
        points["ceiling"],
        draws["weak"],
        draws["student"],
        draws["ceiling"],
        hard=hard,
    )
    if hard and entry.hard == "left out":
        return replace(result, value=NAN, low=NAN, high=NAN, status="hard labels")
    positive, _ = checked(truth, truth)
    if units_of(entry, positive, group_numbers(groups, len(positive))) > 1:
        return result
    result = replace(result, gap_low=NAN, gap_high=NAN)
    return result if result.status == "undefined" else replace(result, low=NAN, high=NAN, status="unstable")


def hard_labels(weak: ArrayLike) -> bool:
    """Whether a supervisor's scores (n,) have so few values that they are labels, not scores."""
    return int(levels(np.ravel(as_numpy(weak))).max(initial=-1)) < FEW_VALUES


def hardened(scores: ArrayLike) -> Scores:
    """1 where a score is above ½, else 0."""
    return above_half(scores).astype(np.float64)


def gap_recovered(
    weak: float,
    student: float,
    ceiling: float,
    weak_draws: NDArray[np.float64],
    student_draws: NDArray[np.float64],
    ceiling_draws: NDArray[np.float64],
    *,
    hard: bool = False,
) -> GapRecovered:
    """PGR from point values and their paired bootstrap draws (n_boot,).

    `undefined` where the ceiling is not above the weak supervisor: the ratio then has no meaning and is not
    computed. `unstable` where the gap is under `STEADY` of its bootstrap standard errors: the denominator is then
    so often near 0 that the ratio's interval is no guide. Else `hard labels` if they are so, or `ok`.
    """
    gap = ceiling - weak
    gaps = ceiling_draws - weak_draws
    gap_low, gap_high = interval(gaps)
    if gap <= LEAST_GAP:
        return GapRecovered(NAN, NAN, NAN, gap, "undefined", gap_low, gap_high)
    usable = gaps != 0
    ratios = (student_draws - weak_draws)[usable] / gaps[usable]
    low, high = interval(ratios)
    status = status_of(gap >= STEADY * gaps.std(), hard=hard)
    return GapRecovered((student - weak) / gap, low, high, gap, status, gap_low, gap_high)


def status_of(steady: bool, *, hard: bool) -> Status:
    """The status of a PGR whose gap is above 0."""
    return "unstable" if not steady else "hard labels" if hard else "ok"


def bootstrap(
    truth: ArrayLike,
    scores: Mapping[Name, ArrayLike],
    metric: Metric = "auroc",
    n_boot: int = 2000,
    seed: int = 0,
    *,
    groups: ArrayLike | None = None,
) -> dict[Name, NDArray[np.float64]]:
    """The metric of every set of scores on the same n_boot resamples of the test rows: name -> (n_boot,).

    Scores are (n,), or (draws, n) of a method that was repeated, whose mean metric is taken. One call for all models
    keeps them paired and draws the resamples once. With `groups` (n,) whole groups are drawn. A resample of one class
    is drawn again, whatever the metric. Cost O(n_boot · n) a model, no sorting inside the loop.
    """
    (draws,) = bootstraps(truth, [(metric, scores)], n_boot, seed, groups=groups)
    return draws


def bootstraps(
    truth: ArrayLike,
    wanted: Sequence[tuple[Metric, Mapping[Name, ArrayLike]]],
    n_boot: int = 2000,
    seed: int = 0,
    *,
    groups: ArrayLike | None = None,
) -> list[dict[Name, NDArray[np.float64]]]:
    """As `bootstrap` for several metrics, each of its own scores: all on the same resamples, which are drawn once."""
    entries = [entry_of(metric) for metric, _ in wanted]
    if n_boot < 2:
        raise InputError(f"n_boot={n_boot} must be at least 2 (2000 is usual)")
    positive = None
    ready: list[list[list[Resampled]]] = []  # by metric, model and draw of the model
    for entry, (_, scores) in zip(entries, wanted, strict=True):
        ready.append([])
        for values in scores.values():
            positive, rows = entry.checked(truth, values)
            ready[-1].append([entry.resampled(positive, row) for row in rows])
    if positive is None:
        return [{} for _ in wanted]
    blocks: list[list[NDArray[np.float64]]] = [[] for _ in wanted]
    for counts in resamples(positive, n_boot, seed, group_numbers(groups, len(positive))):
        block = ResampleBlock.of(counts, positive)
        for found, models in zip(blocks, ready, strict=True):
            if models:
                found.append(np.array([np.mean([draw(block) for draw in draws], axis=0) for draws in models]))
    return [
        dict(zip(scores, np.concatenate(found, axis=1), strict=True)) if scores else {}
        for (_, scores), found in zip(wanted, blocks, strict=True)
    ]
