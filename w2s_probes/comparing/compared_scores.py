"""Models compared by their scores of the same rows: metrics, paired differences with tests, and PGR."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, did_you_mean
from ..metrics.checked_scores import checked
from ..metrics.influence import MeasuredValue
from ..metrics.intervals import NO_ESTIMATE, Estimate
from ..metrics.measured import measure_all, with_error
from ..metrics.metric_names import DEFAULT_METRICS, Metric
from ..metrics.recovery import GapRecovered, entry_of, hard_labels, performance_gap_recovered
from ..metrics.registry import MetricEntry
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
    metrics: Sequence[Metric] = DEFAULT_METRICS,
    n_boot: int = 2000,
    seed: int = 0,
) -> ScoreComparison:
    """Compare models by their scores (n,) of the same rows, by name, against the truth (n,), class 1 above ½.

    Differences are to the first model, or of all pairs, the first less the second whatever is better; `metrics` are
    any of the registry, those of probabilities for scores in [0, 1]. Intervals are by rows (DeLong et al. 1988) or by
    `groups` (n,) of related rows (Obuchowski 1997), of metrics without influence functions by a bootstrap of them. With
    `weak` and `ceiling`, the names of two models, there is also PGR of every other in the metrics that have one, with a
    paired bootstrap of `n_boot` draws. What ranks rows is not compared between hard labels and scores. InputError for a
    truth of one class, scores that are not finite, and names that are not there.
    """
    if not scores:
        raise InputError("no scores to compare: give those of a model at least")
    _refuse_references(weak, ceiling, scores)
    given = {name: checked(truth, values, most=1) for name, values in scores.items()}
    positive = next(iter(given.values()))[0]
    entries = [entry_of(metric) for metric in metrics]
    codes = group_numbers(groups, len(positive))
    models = _models({name: rows[0] for name, (_, rows) in given.items()}, positive, entries, codes)
    first, *others = models.values()
    pairs = list(combinations(models.values(), 2)) if all_pairs else [(first, other) for other in others]
    found = [_difference(b, a, entry, codes) for a, b in pairs for entry in entries]
    gaps = []
    if weak is not None and ceiling is not None:
        between = [model for name, model in models.items() if name not in (weak, ceiling)]
        references = models[weak], models[ceiling]
        for student in between:
            for entry in [entry for entry in entries if entry.pgr]:
                gaps.append(_recovered(truth, references, student, entry, groups, n_boot, seed))
    return ScoreComparison(
        len(positive),
        int(positive.sum()),
        None if codes is None else len(np.unique(codes)),
        tuple(model.scored(entry, codes) for model in models.values() for entry in entries),
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
    inside: bool  # whether they are within [0, 1]
    hard: bool  # whether they have too few values to rank rows
    measures: dict[Metric, MeasuredValue] = field(default_factory=dict)  # without those that they have not

    def status(self, entry: MetricEntry) -> str:
        if entry.name not in self.measures:
            return OUTSIDE
        return HARD if self.hard and entry.ranks else "ok"

    def scored(self, entry: MetricEntry, codes: NDArray[np.intp] | None) -> ScoredModel:
        measured = self.measures.get(entry.name)
        estimate = NO_ESTIMATE if measured is None else with_error(entry, measured, codes)
        return ScoredModel(self.name, entry.name, estimate, self.status(entry))


def _models(
    scores: Mapping[str, NDArray[np.float64]],
    positive: NDArray[np.bool_],
    entries: Sequence[MetricEntry],
    codes: NDArray[np.intp] | None,
) -> dict[str, _Model]:
    """The models with every metric that their scores can have, measured on the same rows or resamples of them."""
    models = {
        name: _Model(name, values, bool((values >= 0).all() and (values <= 1).all()), hard_labels(values))
        for name, values in scores.items()
    }
    for entry in entries:
        # One half is a threshold of probabilities, too: accuracy asks for them.
        able = [m for m in models.values() if m.inside or not (entry.probabilities or entry.name == "accuracy")]
        for model, measured in zip(
            able, measure_all(entry, positive, [model.scores for model in able], codes) if able else [], strict=True
        ):
            model.measures[entry.name] = measured
    return models


def _difference(a: _Model, b: _Model, entry: MetricEntry, codes: NDArray[np.intp] | None) -> PairedDifference:
    """The metric of a less that of b."""
    metric, statuses = entry.name, (a.status(entry), b.status(entry))
    status = OUTSIDE if OUTSIDE in statuses else "ok"
    if status == "ok" and entry.ranks and a.hard != b.hard:
        status = HARD  # a ranking against labels that rank nothing
    if status != "ok":
        return PairedDifference(a.name, b.name, metric, NO_ESTIMATE, NAN, NAN, status=status)
    left: Any = a.measures[metric]
    measured = left - b.measures[metric]  # of one kind: both by influence, or both by the same resamples
    return PairedDifference(a.name, b.name, metric, measured.estimate(codes), *paired_test(measured, codes))


def _corrected(pairs: list[PairedDifference]) -> list[PairedDifference]:
    """The differences with Holm's p over those of the same metric."""
    adjusted: dict[str, float] = {}
    for metric in {pair.metric for pair in pairs}:
        adjusted |= holm({str(i): pair.p for i, pair in enumerate(pairs) if pair.metric == metric})
    return [replace(pair, p_holm=adjusted[str(i)]) for i, pair in enumerate(pairs)]


def _recovered(
    truth: ArrayLike,
    references: tuple[_Model, _Model],
    student: _Model,
    entry: MetricEntry,
    groups: ArrayLike | None,
    n_boot: int,
    seed: int,
) -> RecoveredGap:
    weak, ceiling = references
    if OUTSIDE in (model.status(entry) for model in (weak, ceiling, student)):
        nothing = GapRecovered(NAN, NAN, NAN, NAN, "undefined")
        return RecoveredGap(student.name, entry.name, nothing, OUTSIDE)
    pgr = performance_gap_recovered(
        truth, weak.scores, student.scores, ceiling.scores, entry.name, n_boot, seed, groups=groups
    )
    return RecoveredGap(student.name, entry.name, pgr, pgr.status)


def _ends(estimate: Estimate | GapRecovered) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
