"""AUROC, accuracy, and the performance gap recovered (PGR) on one set of test rows, with its interval and a status."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from ..errors import InputError, did_you_mean
from ..labels.label_set import ids_of, refuse_other_ids
from ..rows.groups import group_numbers
from ..ties import above_half, levels
from .resampling import Ranking, ResampleBlock, interval, resamples

Metric = Literal["auroc", "accuracy"]
Status = Literal["ok", "hard labels", "unstable", "undefined"]
Name = TypeVar("Name", bound=Hashable)
Scores = NDArray[np.float64]

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
    positive, (s,) = checked(truth, scores, most=1)
    return float(aurocs(positive, s))


def aurocs(positive: NDArray[np.bool_], scores: NDArray[np.floating]) -> Scores:
    """AUROC (...) of finite scores (..., n) against classes (..., n), of which there are both in each."""
    n, n_pos = scores.shape[-1], positive.sum(axis=-1)
    order = scores.argsort(axis=-1)
    ordered = np.take_along_axis(scores, order, axis=-1)
    if (ordered[..., 1:] == ordered[..., :-1]).any():
        ranks = np.where(positive, rankdata(scores, axis=-1), 0).sum(axis=-1)
    else:  # four times as fast
        ranks = np.take_along_axis(positive, order, axis=-1) @ np.arange(1.0, n + 1)
    return np.asarray((ranks - n_pos * (n_pos + 1) / 2) / (n_pos * (n - n_pos)))


def accuracy(truth: ArrayLike, scores: ArrayLike) -> float:
    """The share of rows whose score is on the same side of ½ as the truth (n,)."""
    positive, (s,) = checked(truth, scores, most=1)
    return float((above_half(s) == positive).mean())


METRICS = {"auroc": auroc, "accuracy": accuracy}


def mean_metric(metric: Metric, truth: ArrayLike, scores: ArrayLike) -> float:
    """The metric of scores (n,), or the mean of the metrics of several draws of a method (draws, n)."""
    return float(np.mean([METRICS[metric](truth, drawn) for drawn in np.atleast_2d(np.asarray(scores))]))


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
        return f"GapRecovered({self.value:.2f} [{self.low:.2f}, {self.high:.2f}], gap {self.gap:.3f}, {self.status})"

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

    Status `hard labels`: the supervisor has at most `FEW_VALUES` values here, so that its AUROC is its balanced
    accuracy, below that of the soft scores it was made of. Student and ceiling are then hardened at ½ too, or a
    student that repeats the supervisor would seem to recover a part of the gap; the metric to read is accuracy.

    Where a class has a single row, or group, resamples cannot tell how AUROC varies with it: no interval, `unstable`.
    """
    scores = {"weak": weak, "student": student, "ceiling": ceiling}
    refuse_other_ids({name: ids_of(values) for name, values in {"truth": truth, **scores}.items()})
    hard = metric == "auroc" and hard_labels(weak)
    if hard:
        scores = {name: hardened(values) for name, values in scores.items()}
    draws = bootstrap(truth, scores, metric, n_boot, seed, groups=groups)
    points = {name: mean_metric(metric, truth, values) for name, values in scores.items()}
    result = gap_recovered(
        points["weak"],
        points["student"],
        points["ceiling"],
        draws["weak"],
        draws["student"],
        draws["ceiling"],
        hard=hard,
    )
    if _units(metric, truth, groups) > 1:
        return result
    result = replace(result, gap_low=NAN, gap_high=NAN)
    return result if result.status == "undefined" else replace(result, low=NAN, high=NAN, status="unstable")


def _units(metric: Metric, truth: ArrayLike, groups: ArrayLike | None) -> int:
    """Rows, or groups, that resamples choose among: for AUROC of the smaller class."""
    positive, _ = checked(truth, truth)
    numbers = group_numbers(groups, len(positive))
    units = np.arange(len(positive)) if numbers is None else numbers
    sides = (positive, ~positive) if metric == "auroc" else (np.ones(len(positive), dtype=bool),)
    return min(len(np.unique(units[side])) for side in sides)


def hard_labels(weak: ArrayLike) -> bool:
    """Whether a supervisor's scores (n,) have so few values that they are labels, not scores."""
    return int(levels(np.ravel(weak)).max(initial=-1)) < FEW_VALUES


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
    if metric not in METRICS:
        raise InputError(f"metric {metric!r}: {did_you_mean(metric, get_args(Metric))}")
    if n_boot < 2:
        raise InputError(f"n_boot={n_boot} must be at least 2 (2000 is usual)")
    arrays = {name: checked(truth, values) for name, values in scores.items()}
    if not arrays:
        return {}
    positive = next(iter(arrays.values()))[0]
    drawn_rows = resamples(positive, n_boot, seed, group_numbers(groups, len(positive)))
    blocks = []
    if metric == "auroc":
        rankings = [[Ranking.of(draw, positive) for draw in s] for _, s in arrays.values()]
        for counts in drawn_rows:
            block = ResampleBlock.of(counts, positive)
            blocks.append(np.array([np.mean([draw.auroc(block) for draw in draws], axis=0) for draws in rankings]))
    else:
        right = np.array([(above_half(s) == positive).mean(axis=0) for _, s in arrays.values()], dtype=np.float64)
        blocks = [right @ counts.T / counts.sum(axis=1) for counts in drawn_rows]
    return dict(zip(arrays, np.concatenate(blocks, axis=1), strict=True))


def checked(truth: ArrayLike, scores: ArrayLike, *, most: int | None = None) -> tuple[NDArray[np.bool_], Scores]:
    """The classes (n,) by the truth, and the scores as (draws, n); InputError for other shapes or one class."""
    refuse_other_ids({"truth": ids_of(truth), "scores": ids_of(scores)})
    t, s = np.asarray(truth, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    rows = np.atleast_2d(s)
    if t.ndim != 1 or rows.ndim != 2 or t.shape != rows.shape[1:] or (most is not None and s.ndim > most):
        raise InputError(f"truth has shape {t.shape} and scores {s.shape}: one number a row is needed of each")
    if not np.isfinite(t).all() or not np.isfinite(s).all():
        raise InputError("truth and scores must be finite numbers")
    positive = above_half(t)
    if positive.all() or not positive.any():
        raise InputError(f"one class only: the truth of all {len(t)} test rows is the same, so nothing can be ranked")
    return positive, rows
