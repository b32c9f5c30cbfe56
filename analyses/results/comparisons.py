"""Comparisons across tasks: tests of each method against the baseline, and PGR pooled over tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from w2s_probes.metrics import METRICS
from w2s_probes.metrics.metric_names import DEFAULT_METRICS, Metric
from w2s_probes.metrics.recovery import LEAST_GAP, hard_labels, hardened, mean_metric
from w2s_probes.stats import PairedTests, holm, paired_tests, pooled

from .names import (
    CEILING,
    COMPARISON_COLUMNS,
    FROM_BASE,
    TEST,
    WEAK,
    controls_of,
    is_reference,
    kind_of_control,
)
from .table import over_seeds
from .trial_result import TrialResult, by_seeds

PGR = "pgr_"
NAN = float("nan")

Runs = Mapping[str, Mapping[int, TrialResult]]  # by task and seed
Cells = Mapping[tuple[str, str], Mapping[int, float]]  # values by task and method, then seed


@dataclass(frozen=True)
class TaskValues:
    """A metric of each method on each task and seed; of losses the negative, so that more is better in all."""

    metric: Metric
    cells: Cells
    compared: Cells  # what PGR is made of: of hardened scores on tasks whose supervisor gives hard labels, or nothing
    oracles: frozenset[str] = frozenset()
    trusted: Mapping[str, int] = field(default_factory=dict)  # true labels of weak-train that a method has read at most
    ceilings: Mapping[str, str] = field(default_factory=dict)  # of methods that have one of their own
    # Of each PGR, where there is one task: by the supervisor that it is counted from, and the method.
    statuses: Mapping[tuple[str, str], str] = field(default_factory=dict)
    base: str = ""  # the supervisor without what the run's own read beside the rows; empty where it read none

    @classmethod
    def of(cls, judged: Runs, metric: Metric) -> "TaskValues":
        """Compute the metric from the scores of every task and seed."""
        entry = METRICS[metric]
        cells: dict[tuple[str, str], dict[int, float]] = {}
        compared: dict[tuple[str, str], dict[int, float]] = {}
        ceilings: dict[str, str] = {}
        for task, runs in judged.items():
            by_kind = entry.hard != "as they are"
            hard = by_kind and any(hard_labels(one.scores[WEAK]) for one in runs.values())
            recoverable = entry.pgr and not (hard and entry.hard == "left out")
            for seed, one in runs.items():
                ceilings |= one.ceilings
                for name, scores in one.scores.items():
                    value = entry.sign * mean_metric(metric, one.truth, scores)
                    cells.setdefault((task, name), {})[seed] = value
                    if recoverable:
                        harder = entry.sign * mean_metric(metric, one.truth, hardened(scores)) if hard else value
                        compared.setdefault((task, name), {})[seed] = harder
        oracles = frozenset(name for runs in judged.values() for one in runs.values() for name in one.oracles)
        trusted: dict[str, int] = {}
        for one in (one for runs in judged.values() for one in runs.values()):
            trusted |= {name: max(trusted.get(name, 0), outcome.trusted) for name, outcome in one.outcomes.items()}
        statuses: dict[tuple[str, str], str] = {}
        bases = {one.base for runs in judged.values() for one in runs.values()}
        base = bases.pop() if len(bases) == 1 else ""
        if len(judged) == 1 and entry.pgr:
            (runs,) = judged.values()
            for those, names in by_seeds(list(runs.values())):
                results = over_seeds(those, names, metric)
                for name in [name for name in names if name in results.recovered]:
                    statuses[WEAK, name] = results.recovered[name].status
                    if all(one.counts_from_base(name) for one in those):
                        counted = results.against_base(name, base, ceilings.get(name, CEILING))
                        statuses[base, name] = counted.status
        return cls(metric, cells, compared, oracles, trusted, ceilings, statuses, base)

    @property
    def tasks(self) -> list[str]:
        """The tasks, in order."""
        return list(dict.fromkeys(task for task, _ in self.cells))

    @property
    def methods(self) -> list[str]:
        """Every evaluated method, in order, without supervisor and ceilings."""
        return [name for name in dict.fromkeys(name for _, name in self.cells) if not is_reference(name)]

    def triples(
        self, name: str, ceiling: str, other: str | None = None, *, supervisor: str = WEAK
    ) -> dict[str, tuple[float, float, float]]:
        """Values of supervisor, method and ceiling by task: means over the seeds that all three (and `other`) have."""
        found = {}
        for task in self.tasks:
            own = [self.compared.get((task, one), {}) for one in (supervisor, name, ceiling)]
            beside = [] if other is None else [self.cells.get((task, other), {})]
            seeds = sorted(set.intersection(*(set(cell) for cell in (*own, *beside))))
            if seeds:
                weak, value, top = (float(np.mean([cell[seed] for seed in seeds])) for cell in own)
                found[task] = (weak, value, top)
        return found

    def tests(self, a: str, b: str, *, pgr_from: str | None = None) -> PairedTests:
        """Tests of method a against b, of the metric or of PGR, paired on the tasks and seeds that both have."""
        if pgr_from is not None:
            both = ((a, b), (b, a))
            first, second = (self.triples(one, CEILING, other, supervisor=pgr_from) for one, other in both)
            values = [{task: _ratio(*three) for task, three in one.items()} for one in (first, second)]
        else:
            values = [{}, {}]
            for task in self.tasks:
                left, right = (self.cells.get((task, one), {}) for one in (a, b))
                seeds = sorted(left.keys() & right.keys())
                if seeds:
                    for side, cell in zip(values, (left, right), strict=True):
                        side[task] = float(np.mean([cell[seed] for seed in seeds]))
        return paired_tests(*values)


def compare(judged: Runs, baseline: str, metrics: Sequence[Metric] = DEFAULT_METRICS) -> pd.DataFrame:
    """`comparison_table` of these metrics from the scores of every task and seed, by test set.

    A test set other than the tasks' own is compared over the tasks that have one of its name.
    """
    tables = []
    for test_set in dict.fromkeys(name for runs in judged.values() for one in runs.values() for name in one.test_sets):
        there = {
            task: {seed: one.on(test_set) for seed, one in runs.items()}
            for task, runs in judged.items()
            if all(test_set in one.test_sets for one in runs.values())
        }
        table = comparison_table([TaskValues.of(there, metric) for metric in metrics], baseline)
        tables.append(table.assign(test_set=test_set))
    return pd.concat(tables, ignore_index=True)


def comparison_table(metrics: Sequence[TaskValues], baseline: str) -> pd.DataFrame:
    """One line a metric and method: tests against the baseline over tasks, and pooled PGR.

    Each metric stands there by itself and as PGR, all methods in units of the gap to the ceiling that students share.
    A task's value is the mean over the seeds that both methods have; a task on which they have none in common, or no
    PGR, is left out, and `tasks` says how many there were. `difference`, `better` and `worse` count what is better
    above 0, also of metrics of which less is better. `p` is that of the exact sign-flip test of the mean
    difference, two-sided, `p_holm` corrected over the methods compared, oracles and controls not among them. Below
    stand filters and gates against their own controls (`against`), corrected among themselves. One task tests nothing.
    Where the supervisor read more than the rows, lines of `pgr_base_` count PGR from the one that did not.
    """
    measured = [values for values in metrics if METRICS[values.metric].pgr]
    lines = [line for values in metrics for line in _lines(values, baseline)]
    lines += [line for values in measured for line in _lines(values, baseline, pgr_from=WEAK)]
    lines += [line for values in measured if values.base for line in _lines(values, baseline, pgr_from=values.base)]
    lines += [line for values in metrics for line in _beside_controls(values)]
    lines = [{"test_set": TEST} | line for line in lines]
    return pd.DataFrame(lines, columns=COMPARISON_COLUMNS).astype({"better": "Int64", "worse": "Int64"})


def _ratio(weak: float, student: float, ceiling: float) -> float:
    """PGR of one task; NaN, which the tests leave out, where it is undefined."""
    return (student - weak) / (ceiling - weak) if ceiling - weak > LEAST_GAP else NAN


def _different(test: PairedTests) -> float:
    return test.flips.different


def _by_t(test: PairedTests) -> float:
    return test.p_t


def _by_ranks(test: PairedTests) -> float:
    return test.p_wilcoxon


CORRECTED = {"p_holm": _different, "p_t_holm": _by_t, "p_wilcoxon_holm": _by_ranks}


def _lines(values: TaskValues, baseline: str, *, pgr_from: str | None = None) -> list[dict[str, Any]]:
    """Lines of the metric, or of PGR counted from a supervisor."""
    names = [name for name in values.methods if pgr_from != name]
    kind = "" if pgr_from is None else PGR if pgr_from == WEAK else f"{PGR}{FROM_BASE}"
    tested = {
        name: values.tests(name, baseline, pgr_from=pgr_from)
        for name in names
        if baseline in names and name != baseline
    }
    compared = [name for name in tested if name not in values.oracles and not name.startswith("control-")]
    corrected = {
        column: holm({name: p_of(tested[name]) for name in compared if tested[name].n > 1})
        for column, p_of in CORRECTED.items()
    }
    lines = []
    for name in names:
        line: dict[str, Any] = {
            "metric": f"{kind}{values.metric}",
            "method": name,
            "oracle": name in values.oracles,
            "trusted": values.trusted.get(name, 0),
            **_recovered(values, name, pgr_from or WEAK),
        }
        if name in tested:
            line |= {"against": baseline, **_tested(tested[name])}
            line |= {column: p.get(name, NAN) for column, p in corrected.items()}
        lines.append(line)
    return lines


def _beside_controls(values: TaskValues) -> list[dict[str, Any]]:
    """Tests of each filter and each gate against the controls that are matched to it."""
    tested = {
        (name, control): values.tests(name, control)
        for name in values.methods
        for control in controls_of(name)
        if control in values.methods
    }
    corrected: dict[str, dict[str, float]] = {column: {} for column in CORRECTED}
    for kind in dict.fromkeys(kind_of_control(control) for _, control in tested):
        same = {_pair(*pair): test for pair, test in tested.items() if kind_of_control(pair[1]) == kind}
        for column, p_of in CORRECTED.items():
            corrected[column] |= holm({pair: p_of(test) for pair, test in same.items() if test.n > 1})
    return [
        {
            "metric": values.metric,
            "method": name,
            "oracle": name in values.oracles,
            "trusted": values.trusted.get(name, 0),
            **_recovered(values, name),
            "against": control,
            **_tested(test),
            **{column: p.get(_pair(name, control), NAN) for column, p in corrected.items()},
        }
        for (name, control), test in tested.items()
    ]


def _pair(name: str, control: str) -> str:
    """A method and a control in one text: several uses of gold rows share one."""
    return f"{name}\n{control}"


def _tested(test: PairedTests) -> dict[str, float]:
    """The columns of a test; p-values of a single task, which tests nothing, are empty."""
    several = test.n > 1
    return {
        "tasks": test.n,
        "better": test.better,
        "worse": test.worse,
        "difference": test.difference,
        "low": test.low,
        "high": test.high,
        "p": test.flips.different if several else NAN,
        "p_better": test.flips.better if several else NAN,
        "p_worse": test.flips.worse if several else NAN,
        "t": test.t,
        "p_t": test.p_t,
        "p_t_worse": test.p_t_worse,
        "w": test.w,
        "p_wilcoxon": test.p_wilcoxon if several else NAN,
        "p_wilcoxon_worse": test.p_wilcoxon_worse if several else NAN,
    }


def _recovered(values: TaskValues, name: str, supervisor: str = WEAK) -> dict[str, Any]:
    """PGR over tasks in units of the method's own ceiling, and the status of the pooled gap.

    On one task that status is the task's, as in its results: no scatter between tasks says how sure the gap is.
    """
    triples = values.triples(name, values.ceilings.get(name, CEILING), supervisor=supervisor)
    weak, value, top = ({task: three[i] for task, three in triples.items()} for i in range(3))
    recovered = pooled(weak, value, top)
    return {
        "tasks": recovered.n,
        "pooled_pgr": recovered.pooled.value,
        "pooled_low": recovered.pooled.low,
        "pooled_high": recovered.pooled.high,
        "mean_pgr": recovered.mean.value,
        "median_pgr": recovered.median.value,
        "saturated": " ".join(recovered.saturated),
        "undefined": " ".join(recovered.undefined),
        "status": values.statuses.get((supervisor, name), recovered.status),
    }
