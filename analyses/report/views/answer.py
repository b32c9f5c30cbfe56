"""The headline of a run: whether a method differs from the plain student, and how certain that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from w2s_probes.stats import holm

from ...results.names import HARD
from ...results.unreadable_pgr import remedies, unreadable_pgr
from ..drawing.cells import shown, true_minus
from ..load.folder import FinishedRun
from .beside_controls import beside_controls
from .differences import Difference
from .wording import FEW, first_names, signed, signed_difference

ALPHA = 0.05  # of verdicts
METRICS = {"auroc": "AUROC", "pgr_auroc": "PGR"}  # in which the headline speaks

Differences = Mapping[str, Mapping[str, Difference]]  # by task, then method: AUROC - the plain student's


@dataclass(frozen=True)
class RunAnswer:
    """A headline and the facts that belong to it."""

    headline: str
    facts: list[str]


@dataclass(frozen=True)
class Verdict:
    """The methods that differ from the plain student by more than chance explains."""

    better: tuple[str, ...]
    worse: tuple[str, ...]

    @classmethod
    def of(cls, p: Mapping[str, float], difference: Mapping[str, float]) -> "Verdict":
        """By corrected two-sided p-values and the signs of the differences."""
        sure = [name for name, value in p.items() if value < ALPHA]
        return cls(tuple(n for n in sure if difference[n] > 0), tuple(n for n in sure if difference[n] < 0))

    def words(self, of: int, plain: str) -> str:
        """A sentence that names both sides, of this number of methods."""
        if not self.better and not self.worse:
            return f"no method differs from {plain} by more than chance explains"
        sides = [(self.better, "better"), (self.worse, "worse")]
        told = [f"{len(names)} of {of} methods {word}: {first_names(names)}" for names, word in sides if names]
        if not self.better or not self.worse:
            told.append(f"none {'better' if not self.better else 'worse'}")
        return f"against {plain}, by more than chance explains, " + "; ".join(told)


def answer(run: FinishedRun, differences: Differences) -> RunAnswer:
    """The comparison of a run's methods with the plain student. Oracles and controls are no candidates."""
    table = run.comparisons[run.comparisons["metric"] == "auroc"]
    plain = f"the plain student ({run.baseline})"
    if run.baseline not in set(table["method"]):
        return RunAnswer(f"Nothing is compared: {plain} was not run." + _unreadable(run), _reasons(run))
    rivals = _rivals(table, run.baseline)
    if rivals.empty:
        headline = f"Nothing is compared: no method was run beside {plain}."
        return RunAnswer(headline + _unreadable(run), _pgr(table, run))
    tasks = sorted(set(run.results["task"]))
    several = len(tasks) > 1 and rivals["p"].notna().any()
    found = _across(run, plain) if several else _one_task(list(rivals["method"]), differences, tasks, plain)
    return RunAnswer(found.headline + _unreadable(run), [*found.facts, *_pgr(table, run), *beside_controls(run)])


def _rivals(table: pd.DataFrame, baseline: str) -> pd.DataFrame:
    honest = ~table["oracle"].astype(bool) & (table["method"] != baseline)
    return table[honest & ~table["method"].str.startswith("control-")]


def _across(run: FinishedRun, plain: str) -> RunAnswer:
    """Several tasks: tests corrected for the number of methods that were tried, in AUROC and in PGR."""
    tables = {metric: _rivals(run.comparisons[run.comparisons["metric"] == metric], run.baseline) for metric in METRICS}
    tables = {metric: table for metric, table in tables.items() if table["p_holm"].notna().any()}
    verdicts = {metric: verdict_of(table) for metric, table in tables.items()}
    rivals = tables.get("auroc", next(iter(tables.values())))
    n, tried = int(rivals["tasks"].max()), len(rivals)
    said = {METRICS[metric]: verdict.words(len(tables[metric]), plain) for metric, verdict in verdicts.items()}
    if len(set(said.values())) == 1:
        headline = f"Over {n} tasks {next(iter(said.values()))}."
    else:
        headline = f"Over {n} tasks, " + ". ".join(f"in {name} {words}" for name, words in said.items()) + "."
    facts = [
        "Test: exact sign flips of the mean difference, two-sided, corrected by Holm for "
        f"{_some(tried, 'comparison')}. Differences between tasks hold the luck of each task's trainings, too."
    ]
    least = 2 * 0.5**n
    if least * tried >= ALPHA:
        corrected = shown(min(1, least * tried), ".2g")
        facts.append(
            f"With {n} tasks the smallest p this test can give is {shown(least, '.3g')}, and {corrected} once "
            "corrected for all: hardly an outcome of this run could have been significant. More tasks are needed, not "
            "more seeds."
        )
    for metric, table in tables.items():
        facts.append(_largest(table, METRICS[metric]))
    beside = [
        fact
        for metric, table in tables.items()
        for name, column in _OTHERS.items()
        if (fact := _beside(table, METRICS[metric], name, column))
    ]
    others = " and ".join(_OTHERS)
    return RunAnswer(headline, [*facts, *(beside or [f"By {others}, one-sided, each side corrected: none either."])])


_OTHERS = {"Wilcoxon's signed ranks": "p_wilcoxon", "the paired t test": "p_t"}


def verdict_of(table: pd.DataFrame) -> Verdict:
    """The verdict of a table of comparisons in one metric."""
    columns = zip(table["method"], table["p_holm"], table["difference"], strict=True)
    lines = [(str(method), float(p), float(difference)) for method, p, difference in columns]
    return Verdict.of({name: p for name, p, _ in lines}, {name: difference for name, _, difference in lines})


def _beside(table: pd.DataFrame, metric: str, name: str, column: str) -> str:
    """The result of another test, each side corrected by itself; empty where it names no method."""
    by = table.set_index("method")
    sides, any_named = [], False
    for word, own in (("better", column), ("worse", f"{column}_worse")):
        p = holm({str(method): float(value) for method, value in by[own].items()})
        named = [method for method, value in p.items() if value < ALPHA]
        sides.append(f"{word} {first_names(named) if named else 'none'}")
        any_named |= bool(named)
    if not any_named:
        return ""
    return f"By {name} in {metric}, one-sided, each side corrected: {', '.join(sides)}."


def _largest(table: pd.DataFrame, metric: str) -> str:
    """Both ends of the range of mean differences."""
    ordered = table.sort_values("difference", ascending=False, kind="stable")
    ends = [ordered.iloc[0]] if len(ordered) == 1 else [ordered.iloc[0], ordered.iloc[-1]]
    told = [
        f"{one['method']} {signed(one['difference'])} [{signed(one['low'])}, {signed(one['high'])}], above on "
        f"{int(one['better'])} of {int(one['tasks'])} tasks"
        for one in ends
    ]
    return (
        f"Mean difference in {metric}, highest and lowest of {len(table)}: {'; '.join(told)}. Those intervals do not "
        "allow for being the ends of so many."
    )


def _one_task(rivals: Sequence[str], differences: Differences, tasks: Sequence[str], plain: str) -> RunAnswer:
    """One task: no test across tasks, but intervals of the differences by rows and seeds."""
    found = {m: one for m, one in differences.get(tasks[0], {}).items() if m in rivals}
    alone = "One task says nothing about others: whether a method is better in general cannot be tested here."
    if not found:
        return RunAnswer(
            f"Whether anything differs from {plain} cannot be told: no test scores are in the folder.", [alone]
        )
    if all(one.seeds == 1 for one in found.values()):
        return RunAnswer(
            f"One seed on one task, {tasks[0]}: nothing here can be called better or worse than {plain}.",
            [
                "Intervals hold the choice of the test rows only (rows only): two trainings of one method can differ "
                "by more. Run three seeds or more, on several tasks.",
                alone,
            ],
        )
    p = holm({name: one.p for name, one in found.items()})
    verdict = Verdict.of(p, {name: one.estimate.value for name, one in found.items()})
    ordered = sorted(found, key=lambda m: -found[m].estimate.value)
    ends = [ordered[0]] if len(ordered) == 1 else [ordered[0], ordered[-1]]
    facts = [
        "Test: errors by the test rows and by the seeds, two-sided, corrected by Holm for "
        f"{_some(len(found), 'comparison')}.",
        f"Difference in AUROC, highest and lowest of {len(found)}: "
        + "; ".join(f"{m} {signed_difference(found[m])}" for m in ends)
        + ". Those intervals do not allow for being the ends of so many.",
        alone,
    ]
    return RunAnswer(f"On the one task, {tasks[0]}, {verdict.words(len(found), plain)}.", facts)


def _pgr(table: pd.DataFrame, run: FinishedRun) -> list[str]:
    """The share of the gap that the plain student recovers by itself, and the tasks whose PGR cannot be read."""
    own = table[table["method"] == run.baseline].iloc[0]
    facts = []
    if pd.notna(own["pooled_pgr"]):
        ends = f" [{shown(own['pooled_low'], '.2f')}, {shown(own['pooled_high'], '.2f')}]" if own["tasks"] > 1 else ""
        facts.append(
            f"The plain student by itself recovers {shown(own['pooled_pgr'], '.2f')}{ends} of the gap between weak "
            f"supervisor and ceiling ({own['status']})."
        )
    plain = run.results[(run.results["metric"] == "pgr_auroc") & (run.results["method"] == run.baseline)]
    lines = pd.concat([over_seeds(part) for _, part in plain.groupby("task", sort=False)])
    here = lines[[HARD in status for status in lines["status"]]]
    if len(here):
        where = [
            f"{task} ({', '.join(sorted(set(part['status'])))})" for task, part in here.groupby("task", sort=False)
        ]
        facts.append(f"The supervisor gives hard labels, so that PGR is to be read in accuracy: {first_names(where)}.")
    return [*facts, *_reasons(run)]


def _reasons(run: FinishedRun) -> list[str]:
    """Reasons why PGR cannot be read, by task, and remedies."""
    found = unreadable_pgr(run.results)
    facts = [true_minus(one.line) for one in found[:FEW]]
    if len(found) > FEW:
        facts.append(f"PGR cannot be relied on in {len(found) - FEW} more cases: the table by task says why.")
    return [*facts, *remedies(found)]


def _unreadable(run: FinishedRun) -> str:
    """A sentence of the headline on tasks whose PGR cannot be read, and why; empty where there are none."""
    found = unreadable_pgr(run.results)
    tasks, of = list(dict.fromkeys(one.task for one in found)), run.results["task"].nunique()
    if not found:
        return ""
    if len(tasks) == 1 and found[0].all_methods:
        return " " + true_minus(found[0].line if of > 1 else f"PGR is {found[0].status}: {found[0].reason}.")
    reasons = {
        "undefined": "where the ceiling is not above the supervisor",
        "unstable": "where the gap between the two is too small beside its error",
    }
    told = []
    for status, why in reasons.items():
        here = list(dict.fromkeys(one.task for one in found if one.status == status))
        if here:
            told.append(f"{status} on {first_names(here) if len(here) <= 3 else f'{len(here)} of {of} tasks'}, {why}")
    return f" PGR is {'; '.join(told)}."


def over_seeds(part: pd.DataFrame) -> pd.DataFrame:
    """The lines of one task over all seeds, or the only seed's; of methods that some seed lacks, the first's."""
    together = part[part["seed"].isna()]
    left = part[part["seed"].notna() & ~part["method"].isin(together["method"])]
    return pd.concat([together, left]).drop_duplicates(["method", "metric"])


def _some(count: int, thing: str) -> str:
    return f"{count} {thing}" + ("" if count == 1 else "s")
