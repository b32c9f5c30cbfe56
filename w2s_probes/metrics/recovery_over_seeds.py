"""The gap recovered by many methods over training seeds, with errors by the test rows and by the seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, did_you_mean, preview
from ..rows.groups import group_numbers
from .influence import InfluenceEstimate, measure
from .intervals import NORMAL, Estimate, SeededMeans
from .recovery import (
    LEAST_GAP,
    REMEDIES,
    STEADY,
    Metric,
    Status,
    checked,
    hard_labels,
    hardened,
    status_of,
    status_reason,
)

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
    gain: Estimate  # student - weak: defined whatever the gap
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
    gap: Estimate  # ceiling - weak
    recovered: dict[str, GapRecoveredOverSeeds]  # of each model but the supervisor and the ceilings
    _means: "ModelMeans" = field(repr=False, compare=False)
    _compared: "ModelMeans" = field(repr=False, compare=False)  # what PGR is made of: hardened scores of hard labels

    def difference(self, a: str, b: str) -> Estimate:
        """Metric of model `a` - model `b`, paired over rows and seeds; their gains differ by the same."""
        return self._means.difference(a, b)

    def against_common(self, name: str) -> GapRecoveredOverSeeds:
        """PGR of a method with a ceiling of its own in units of the gap to the ceiling that students share."""
        return self._compared.recovered(name, CEILING, hard=self._compared is not self._means)

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

    @classmethod
    def of(
        cls, truth: ArrayLike, runs: Sequence[Run], metric: Metric = "auroc", groups: ArrayLike | None = None
    ) -> "ModelMeans":
        """From the scores of the same models in every run: (n,), or (draws, n) of a model that was repeated.

        A repeated model counts by the mean of its draws' metrics, and the draws' spread is part of its error. Errors
        by rows are DeLong's, over `groups` (n,) Obuchowski's.
        """
        names, m, n_seeds = tuple(runs[0]), len(runs[0]), len(runs)
        points, spread = np.empty((m, n_seeds)), np.zeros(m)
        parts: list[list[NDArray[np.float64]]] = [[] for _ in names]
        freedom, n_draws, numbers = np.inf, 1, None
        for at, name in enumerate(names):
            for s, run in enumerate(runs):
                positive, scores = checked(truth, run[name])
                numbers = group_numbers(groups, len(positive)) if numbers is None else numbers
                draws = [_measure(metric, positive, draw) for draw in scores]
                points[at, s] = np.mean([draw.value for draw in draws])
                by_draw = np.array([draw.parts(numbers) for draw in draws])
                parts[at].append(by_draw.mean(axis=0))
                freedom = draws[0].freedom(numbers)
                if len(draws) > 1 and n_seeds == 1:
                    n_draws = max(n_draws, len(draws))
                    spread[at] = np.var([draw.value for draw in draws], ddof=1) / len(draws)
        return cls(names, SeededMeans.of(points, np.array(parts), freedom, spread, n_draws))

    def weights(self, name: str) -> NDArray[np.float64]:
        """The weights (m,) of one model's mean; InputError for an unknown model."""
        if name not in self.names:
            raise InputError(f"no model {name!r}: {did_you_mean(name, self.names)}")
        return np.array([float(other == name) for other in self.names])

    def difference(self, a: str, b: str) -> Estimate:
        """Model `a` - model `b`."""
        return self.means.estimate(self.weights(a) - self.weights(b))

    def p_value(self, a: str, b: str) -> float:
        """Two-sided p of no difference; NaN with one seed."""
        return NAN if self.means.n_seeds == 1 else self.means.p_value(self.weights(a) - self.weights(b))

    def recovered(self, name: str, ceiling: str, *, hard: bool) -> GapRecoveredOverSeeds:
        """PGR of a model in units of the gap to a ceiling."""
        above = self.weights(name) - self.weights(WEAK)
        below = self.weights(ceiling) - self.weights(WEAK)
        gain, gap = self.means.estimate(above), self.means.estimate(below)
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
    hardened scores, while `values` are of the scores as they are.
    """
    ceiling_of = ceilings or {}
    names = _names(runs)
    plain = ModelMeans.of(truth, runs, metric, groups)
    hard = metric == "auroc" and any(hard_labels(run[WEAK]) for run in runs)
    hardened_runs = [{name: hardened(run[name]) for name in names} for run in runs] if hard else []
    means = ModelMeans.of(truth, hardened_runs, metric, groups) if hard else plain
    references = {WEAK, CEILING, *ceiling_of.values()}
    return SeedResults(
        metric,
        np.size(truth),
        len(runs),
        "rows only" if len(runs) == 1 else "rows and seeds",
        {name: plain.means.proportion(plain.weights(name)) for name in names},
        means.difference(CEILING, WEAK),
        {
            name: means.recovered(name, ceiling_of.get(name, CEILING), hard=hard)
            for name in names
            if name not in references
        },
        plain,
        means,
    )


def _measure(metric: Metric, positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> InfluenceEstimate:
    estimate = measure(metric, positive, scores)
    assert estimate is not None  # of one class: refused before
    return estimate


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
