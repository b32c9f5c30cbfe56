"""The gap recovered by many methods over training seeds, with errors by the test rows and by the seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, did_you_mean, preview
from ..rows.groups import group_numbers
from .intervals import NORMAL, Estimate, SeededMeans
from .measured import measure_all, within_bounds
from .metric_names import Metric
from .recovery import (
    LEAST_GAP,
    REMEDIES,
    STEADY,
    Status,
    entry_of,
    hard_labels,
    hardened,
    status_of,
    status_reason,
)
from .registry import MetricEntry

NAN = float("nan")
WEAK, CEILING = "weak", "ceiling"

Run = Mapping[str, ArrayLike]  # of one training seed: the scores of each model


@dataclass(frozen=True)
class GapRecoveredOverSeeds:
    """PGR of one method: mean over seeds of student - weak, divided by that of ceiling - weak.

    >>> truth = np.tile([0, 1], 50)
    >>> wrong = lambda every: np.where(np.arange(100) % every, truth, 1 - truth)
    >>> runs = [{"weak": wrong(4), "student": wrong(6), "ceiling": wrong(10)} for _ in range(2)]
    >>> pgr = gap_recovered_over_seeds(truth, runs, "accuracy").recovered["student"]
    >>> f"{pgr.value:.2f} of {pgr.gap.value:.2f}"
    '0.53 of 0.15'
    """

    value: float  # NaN where undefined
    low: float  # 95 % interval by Fieller's theorem; -inf or inf on a side that the data leave open
    high: float
    gain: Estimate  # student - weak: defined whatever the gap; above 0 is better, also of losses, as in `gap`
    gap: Estimate  # ceiling - weak
    status: Status

    @property
    def reason(self) -> str:
        """Why PGR is `undefined` or `unstable` (`metrics.status_reason`); empty where it is neither."""
        return status_reason(self.status, self.gap.value, self.gap.low, self.gap.high)

    @property
    def remedy(self) -> str:
        """The remedy that may make PGR readable; empty where it is."""
        return REMEDIES.get(self.status, "")


@dataclass(frozen=True)
class SeedResults:
    """Every model of several training seeds on the same test rows, with errors by both the rows and the seeds.

    >>> truth = np.tile([0, 1], 50)
    >>> wrong = lambda every: np.where(np.arange(100) % every, truth, 1 - truth)
    >>> runs = [{"weak": wrong(4), "student": wrong(6), "ceiling": wrong(10)}]
    >>> results = gap_recovered_over_seeds(truth, runs, "accuracy")
    >>> results.sources, f"{results.difference('student', 'weak').value:.2f}"
    ('rows only', '0.08')
    """

    metric: Metric
    n_rows: int
    n_seeds: int
    sources: Literal["rows only", "rows and seeds"]  # of error in the intervals; one seed shows none by seeds
    values: dict[str, Estimate]  # the metric of each model
    gap: Estimate  # ceiling - weak, or weak - ceiling of a metric of which less is better
    recovered: dict[str, GapRecoveredOverSeeds]  # of each model but the supervisor and the ceilings; empty without PGR
    hard: bool  # whether the supervisor gives labels, which decide what PGR is made of (`MetricEntry.hard`)
    _means: "ModelMeans" = field(repr=False, compare=False)
    _compared: "ModelMeans" = field(repr=False, compare=False)  # what PGR is made of: hardened scores of hard labels

    def difference(self, a: str, b: str) -> Estimate:
        """Metric of model `a` - model `b`, paired over rows and seeds; their gains differ by the same."""
        return self._means.difference(a, b)

    def improvement(self, a: str, b: str) -> Estimate:
        """By how much model `a` is better than model `b`: their difference, or its negative where less is better."""
        return self._means.improvement(a, b)

    def against_common(self, name: str) -> GapRecoveredOverSeeds:
        """PGR of a method with a ceiling of its own in units of the gap to the ceiling that students share."""
        return self._compared.recovered(name, CEILING, hard=self.hard)

    def against_base(self, name: str, base: str, ceiling: str = CEILING) -> GapRecoveredOverSeeds:
        """PGR of a model counted from another supervisor: (model - base) / (ceiling - base)."""
        return self._compared.recovered(name, ceiling, hard=self.hard, weak=base)

    def p_value(self, a: str, b: str) -> float:
        """Two-sided p of no difference between the models; NaN with one seed, which cannot tell.

        With one seed the interval of a difference takes the trained models as fixed. Two trainings of one model then
        differ "significantly" as often as not, and the more so the more test rows there are.
        """
        return self._means.p_value(a, b)


@dataclass(frozen=True)
class ModelMeans:
    """The metric of each model, mean over seeds, and the errors of all contrasts.

    >>> truth = np.array([0, 0, 1, 1, 0, 1])
    >>> means = ModelMeans.of(truth, [{"weak": [0.1, 0.6, 0.4, 0.9, 0.2, 0.7], "ceiling": truth}], "accuracy")
    >>> round(means.difference("ceiling", "weak").value, 2)
    0.33
    """

    names: tuple[str, ...]
    means: SeededMeans
    entry: MetricEntry

    @classmethod
    def of(
        cls, truth: ArrayLike, runs: Sequence[Run], metric: Metric = "auroc", groups: ArrayLike | None = None
    ) -> "ModelMeans":
        """From the scores of the same models in every run: (n,), or (draws, n) of a model that was repeated.

        A repeated model counts by the mean of its draws' metrics, and the draws' spread is part of its error. Errors
        by rows are DeLong's, over `groups` (n,) Obuchowski's.
        """
        entry, names, m, n_seeds = entry_of(metric), tuple(runs[0]), len(runs[0]), len(runs)
        cells = [entry.checked(truth, run[name]) for name in names for run in runs]
        positive, numbers = cells[0][0], group_numbers(groups, len(cells[0][0]))
        measured = iter(measure_all(entry, positive, [draw for _, draws in cells for draw in draws], numbers))
        points, spread, n_draws = np.empty(m * n_seeds), np.zeros(m), 1
        parts = []
        for at, (_, scores) in enumerate(cells):
            draws = [next(measured) for _ in scores]
            values = [draw.value for draw in draws]
            points[at] = np.mean(values)
            parts.append(np.mean([draw.parts(numbers) for draw in draws], axis=0))
            freedom = draws[0].freedom(numbers)
            if len(draws) > 1 and n_seeds == 1:
                n_draws = max(n_draws, len(draws))
                spread[at] = np.var(values, ddof=1) / len(draws)
        stacked = np.array(parts).reshape(m, n_seeds, -1)
        means = SeededMeans.of(points.reshape(m, n_seeds), stacked, freedom, spread, n_draws)
        return cls(names, means, entry)

    def value(self, name: str) -> Estimate:
        """The metric of one model, with an interval that stays within what the metric can be."""
        weights = self.weights(name)
        if self.entry.logit:
            return self.means.proportion(weights)
        return within_bounds(self.entry, self.means.estimate(weights))

    def weights(self, name: str) -> NDArray[np.float64]:
        """The weights (m,) of one model's mean; InputError for an unknown model."""
        if name not in self.names:
            raise InputError(f"no model {name!r}: {did_you_mean(name, self.names)}")
        return np.array([float(other == name) for other in self.names])

    def difference(self, a: str, b: str) -> Estimate:
        """Model `a` - model `b`."""
        return self.means.estimate(self.weights(a) - self.weights(b))

    def improvement(self, a: str, b: str) -> Estimate:
        """By how much model `a` is better than model `b`."""
        return self.means.estimate(self.entry.sign * (self.weights(a) - self.weights(b)))

    def p_value(self, a: str, b: str) -> float:
        """Two-sided p of no difference; NaN with one seed."""
        return NAN if self.means.n_seeds == 1 else self.means.p_value(self.weights(a) - self.weights(b))

    def recovered(self, name: str, ceiling: str, *, hard: bool, weak: str = WEAK) -> GapRecoveredOverSeeds:
        """PGR of a model in units of the gap from a supervisor to a ceiling."""
        above = self.entry.sign * (self.weights(name) - self.weights(weak))
        below = self.entry.sign * (self.weights(ceiling) - self.weights(weak))
        gain, gap = self.means.estimate(above), self.means.estimate(below)
        if hard and self.entry.hard == "left out":
            return GapRecoveredOverSeeds(NAN, NAN, NAN, gain, gap, "hard labels")
        if not gap.value > LEAST_GAP:
            return GapRecoveredOverSeeds(NAN, NAN, NAN, gain, gap, "undefined")
        steady = gap.value >= STEADY / NORMAL * (gap.high - gap.value)
        return GapRecoveredOverSeeds(*self.means.ratio(above, below), gain, gap, status_of(steady, hard=hard))


def gap_recovered_over_seeds(
    truth: ArrayLike,
    runs: Sequence[Run],
    metric: Metric = "auroc",
    *,
    groups: ArrayLike | None = None,
    ceilings: Mapping[str, str] | None = None,
) -> SeedResults:
    """PGR, gaps and values of all methods of one task, each averaged over training seeds.

    `truth` (n,) is the test rows'. `runs` has a mapping for each training seed with the scores of `weak`, `ceiling`
    and any number of students, (n,) or (draws, n), the same names in each. A model that no seed changes is given in
    all. `ceilings` names the ceiling of a method that has its own, a model like the others. Rows of one of the
    `groups` (n,) are not taken for independent.

    All models and seeds share the rows, and so their errors are paired. The error by seeds is taken from their
    scatter and has S - 1 degrees of freedom (`intervals.SeededMeans`), which holds with as few as two seeds, where a
    bootstrap of seeds would be too sure by far. What no interval here can see is chance that all seeds share, such as
    one training set: that needs runs on other data.

    `undefined` where the mean ceiling is not above the mean supervisor. `unstable` where the gap is under `STEADY` of
    its standard errors, or, since few seeds leave that error uncertain, under as much of its interval. `hard labels`
    where the supervisor's scores are labels (`metrics.performance_gap_recovered`): PGR in AUROC is then that of
    hardened scores, while `values` are of the scores as they are. A metric without PGR (`MetricEntry.pgr`) has gaps
    and improvements alone.
    """
    ceiling_of = ceilings or {}
    names = _names(runs)
    plain = ModelMeans.of(truth, runs, metric, groups)
    entry = entry_of(metric)
    hard = entry.hard != "as they are" and any(hard_labels(run[WEAK]) for run in runs)
    if hard and entry.hard == "hardened":
        hardened_runs = [{name: hardened(run[name]) for name in names} for run in runs]
        means = ModelMeans.of(truth, hardened_runs, metric, groups)
    else:
        means = plain
    references = {WEAK, CEILING, *ceiling_of.values()}
    return SeedResults(
        metric,
        np.size(truth),
        len(runs),
        "rows only" if len(runs) == 1 else "rows and seeds",
        {name: plain.value(name) for name in names},
        means.improvement(CEILING, WEAK),
        {
            name: means.recovered(name, ceiling_of.get(name, CEILING), hard=hard)
            for name in names
            if entry.pgr and name not in references
        },
        hard,
        plain,
        means,
    )


def _names(runs: Sequence[Run]) -> list[str]:
    """The models, which every seed must have."""
    if not runs:
        raise InputError("no runs: give the scores of at least one training seed")
    names = list(runs[0])
    for s, run in enumerate(runs):
        if missing := [name for name in (WEAK, CEILING) if name not in run]:
            raise InputError(f"run {s} has no {missing[0]!r}: each needs the scores of {WEAK} and {CEILING}")
        if uneven := sorted(set(names) ^ set(run)):
            raise InputError(f"runs 0 and {s} have not the same models ({preview(uneven)}): leave out what one lacks")
    return names
