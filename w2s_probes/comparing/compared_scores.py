"""Models compared by their scores of the same rows: metrics, paired differences with tests, and PGR."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, did_you_mean
from ..metrics.checked_scores import checked
from ..metrics.influence import InfluenceEstimate
from ..metrics.intervals import NO_ESTIMATE, Estimate
from ..metrics.metric_names import Metric
from ..metrics.paired_scores import METRIC_NAMES
from ..metrics.recovery import GapRecovered, hard_labels, performance_gap_recovered
from ..metrics.registry import METRICS
from ..rows.groups import group_numbers
from ..stats.multiplicity import holm
from .significance import paired_test

OUTSIDE = "scores outside [0, 1]"  # status: accuracy has no meaning there
HARD = "hard labels"  # status: of scores with so few values that they rank nothing
COLUMNS = ["name", "against", "metric", "value", "low", "high", "n", "status", "z", "p", "p_holm"]
COLUMNS += ["gap", "gap_low", "gap_high"]
NAN = float("nan")


@dataclass(frozen=True)
class ScoredModel:
    """A metric of one model's scores; NaN where it has none, and the status says why."""

    name: str
    metric: Metric
    estimate: Estimate
    status: str = "ok"  # ok, hard labels, scores outside [0, 1]


@dataclass(frozen=True)
class PairedDifference:
    """A metric of one model less that of another on the same rows, and the test that it is 0."""

    name: str
    against: str
    metric: Metric
    estimate: Estimate
    z: float  # the difference over its standard error: for AUROC that of DeLong et al.
    p: float  # two-sided
    p_holm: float = NAN  # corrected for all differences of this metric
    status: str = "ok"


@dataclass(frozen=True)
class RecoveredGap:
    """PGR of one model between two others."""

    name: str
    metric: Metric
    pgr: GapRecovered
    status: str  # as `GapRecovered.status`, or scores outside [0, 1]


@dataclass(frozen=True, repr=False)
class ScoreComparison:
    """What `compare_scores` found. Every interval holds the choice of the rows alone.

    >>> rng, truth = np.random.default_rng(0), np.arange(400) % 2
    >>> better, worse = (truth * apart + rng.normal(size=400) for apart in (2.0, 1.0))
    >>> found = compare_scores(truth, {"better": better, "worse": worse})
    >>> [f"{one.name} {one.metric} {one.estimate.value:.2f}" for one in found.scores]
    ['better auroc 0.94', 'better accuracy nan', 'worse auroc 0.77', 'worse accuracy nan']
    >>> found.differences[0].against, found.differences[0].p < 0.001
    ('better', True)
    """

    n: int  # rows
    positive: int  # of class 1
    groups: int | None  # of related rows; None where every row stands alone
    scores: tuple[ScoredModel, ...]
    differences: tuple[PairedDifference, ...]
    recovered: tuple[RecoveredGap, ...]

    def to_frame(self) -> pd.DataFrame:
        """A line each for metrics, differences (`against` is full) and PGR (`pgr_auroc`, `pgr_accuracy`)."""
        lines: list[dict[str, object]] = [
            {"name": one.name, "metric": one.metric, **_ends(one.estimate), "status": one.status} for one in self.scores
        ]
        for pair in self.differences:
            line = {"name": pair.name, "against": pair.against, "metric": pair.metric, **_ends(pair.estimate)}
            lines.append(line | {"status": pair.status, "z": pair.z, "p": pair.p, "p_holm": pair.p_holm})
        for gap in self.recovered:
            line = {"name": gap.name, "metric": f"pgr_{gap.metric}", **_ends(gap.pgr), "status": gap.status}
            lines.append(line | {"gap": gap.pgr.gap, "gap_low": gap.pgr.gap_low, "gap_high": gap.pgr.gap_high})
        return pd.DataFrame(lines, columns=COLUMNS).assign(n=self.n)


def compare_scores(
    truth: ArrayLike,
    scores: Mapping[str, ArrayLike],
    *,
    groups: ArrayLike | None = None,
    all_pairs: bool = False,
    weak: str | None = None,
    ceiling: str | None = None,
    n_boot: int = 2000,
    seed: int = 0,
) -> ScoreComparison:
    """Compare models by their scores (n,) of the same rows, by name, against the truth (n,), class 1 above ½.

    Differences are to the first model, or of all pairs; the metrics are AUROC and, of scores in [0, 1], accuracy.
    Intervals are by rows (DeLong et al. 1988) or by `groups` (n,) of related rows (Obuchowski 1997). With `weak` and
    `ceiling`, the names of two models, there is also PGR of every other, with a paired bootstrap of `n_boot` draws.
    AUROC of hard labels is not compared with that of scores. InputError for a truth of one class, scores that are not
    finite, and names that are not there.
    """
    if not scores:
        raise InputError("no scores to compare: give those of a model at least")
    _refuse_references(weak, ceiling, scores)
    given = {name: checked(truth, values, most=1) for name, values in scores.items()}
    positive = next(iter(given.values()))[0]
    models = {name: _Model.of(name, rows[0], positive) for name, (_, rows) in given.items()}
    codes = group_numbers(groups, len(positive))
    first, *others = models.values()
    pairs = list(combinations(models.values(), 2)) if all_pairs else [(first, other) for other in others]
    found = [_difference(b, a, metric, codes) for a, b in pairs for metric in METRIC_NAMES]
    gaps = []
    if weak is not None and ceiling is not None:
        between = [model for name, model in models.items() if name not in (weak, ceiling)]
        references = models[weak], models[ceiling]
        for student in between:
            for metric in METRIC_NAMES:
                gaps.append(_recovered(truth, references, student, metric, groups, n_boot, seed))
    return ScoreComparison(
        len(positive),
        int(positive.sum()),
        None if codes is None else len(np.unique(codes)),
        tuple(model.scored(metric, codes) for model in models.values() for metric in METRIC_NAMES),
        tuple(_corrected(found)),
        tuple(gaps),
    )


def _refuse_references(weak: str | None, ceiling: str | None, names: Iterable[str]) -> None:
    if (weak is None) != (ceiling is None):
        missing = "weak" if weak is None else "ceiling"
        raise InputError(f"PGR needs the weak supervisor and the ceiling: {missing} is missing")
    for role, name in (("weak", weak), ("ceiling", ceiling)):
        if name is not None and name not in names:
            raise InputError(f"{role} {name!r}: no scores of this name; {did_you_mean(name, names)}")
    if weak is not None and weak == ceiling:
        raise InputError(f"weak and ceiling are both {weak!r}: give two")


@dataclass(frozen=True, eq=False)
class _Model:
    name: str
    scores: NDArray[np.float64]  # (n,)
    measures: dict[Metric, InfluenceEstimate | None]
    hard: bool

    @classmethod
    def of(cls, name: str, scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> "_Model":
        inside = bool((scores >= 0).all() and (scores <= 1).all())
        measures: dict[Metric, InfluenceEstimate | None] = {
            metric: _measured(metric, positive, scores) if metric != "accuracy" or inside else None
            for metric in METRIC_NAMES
        }
        return cls(name, scores, measures, hard_labels(scores))

    def status(self, metric: Metric) -> str:
        if self.measures[metric] is None:
            return OUTSIDE
        return HARD if self.hard and metric == "auroc" else "ok"

    def scored(self, metric: Metric, codes: NDArray[np.intp] | None) -> ScoredModel:
        measured = self.measures[metric]
        estimate = NO_ESTIMATE if measured is None else measured.share(codes)
        return ScoredModel(self.name, metric, estimate, self.status(metric))


def _measured(metric: Metric, positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> InfluenceEstimate | None:
    influence = METRICS[metric].influence
    return None if influence is None else influence(positive, scores)


def _difference(a: _Model, b: _Model, metric: Metric, codes: NDArray[np.intp] | None) -> PairedDifference:
    """The metric of a less that of b."""
    left, right = a.measures[metric], b.measures[metric]
    status = OUTSIDE if OUTSIDE in (a.status(metric), b.status(metric)) else "ok"
    if status == "ok" and metric == "auroc" and a.hard != b.hard:
        status = HARD  # a ranking against labels that rank nothing
    if left is None or right is None or status == HARD:
        return PairedDifference(a.name, b.name, metric, NO_ESTIMATE, NAN, NAN, status=status)
    measured = left - right
    return PairedDifference(
        a.name, b.name, metric, measured.estimate(codes), *paired_test(measured, codes), status=status
    )


def _corrected(pairs: list[PairedDifference]) -> list[PairedDifference]:
    """The differences with Holm's p over those of the same metric."""
    adjusted: dict[str, float] = {}
    for metric in METRIC_NAMES:
        adjusted |= holm({str(i): pair.p for i, pair in enumerate(pairs) if pair.metric == metric})
    return [replace(pair, p_holm=adjusted[str(i)]) for i, pair in enumerate(pairs)]


def _recovered(
    truth: ArrayLike,
    references: tuple[_Model, _Model],
    student: _Model,
    metric: Metric,
    groups: ArrayLike | None,
    n_boot: int,
    seed: int,
) -> RecoveredGap:
    weak, ceiling = references
    if OUTSIDE in (model.status(metric) for model in (weak, ceiling, student)):
        nothing = GapRecovered(NAN, NAN, NAN, NAN, "undefined")
        return RecoveredGap(student.name, metric, nothing, OUTSIDE)
    pgr = performance_gap_recovered(
        truth, weak.scores, student.scores, ceiling.scores, metric, n_boot, seed, groups=groups
    )
    return RecoveredGap(student.name, metric, pgr, pgr.status)


def _ends(estimate: Estimate | GapRecovered) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
