"""The first thing a reader wants to know: did anything beat the plain student, and how sure is that?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from w2s_probes.intervals import Estimate
from w2s_probes.stats import holm, paired_tests

from .reading import Run
from .tables import shown

LEVEL = 0.05
RANDOM = "control-random-filter"
FEW = 6  # methods named in a sentence

Differences = Mapping[str, Mapping[str, Estimate]]  # by task, then method: AUROC - the plain student's


@dataclass(frozen=True)
class Answer:
    """A headline and the facts that belong to it."""

    headline: str
    facts: list[str]


def answer(run: Run, differences: Differences) -> Answer:
    """What a run says about the plain student, with its uncertainty. Oracles and controls are no candidates."""
    table = run.comparisons[run.comparisons["metric"] == "auroc"]
    plain = f"the plain student ({run.baseline})"
    if run.baseline not in set(table["method"]):
        return Answer(f"Nothing is compared: {plain} was not run.", [])
    tested = table[~table["oracle"].astype(bool) & (table["method"] != run.baseline)]
    rivals = tested[~tested["method"].str.startswith("control-")]
    if rivals.empty:
        return Answer(f"Nothing is compared: no method was run beside {plain}.", [])
    tasks = sorted(set(run.results["task"]))
    several = len(tasks) > 1 and tested["p_wilcoxon"].notna().any()
    found = _across(tested, rivals, plain) if several else _one_task(rivals, differences, tasks, plain)
    return Answer(found.headline, [*found.facts, *_pgr(table, run), *against_random(run)])


def _across(tested: pd.DataFrame, rivals: pd.DataFrame, plain: str) -> Answer:
    """Several tasks: tests corrected for the number of methods that were tried."""
    n, tried = int(rivals["tasks"].max()), len(tested)
    winners = rivals[rivals["p_wilcoxon_holm"] < LEVEL]["method"].tolist()
    if winners:
        headline = (
            f"{len(winners)} of {len(rivals)} methods did better than {plain} over {n} tasks by more than chance "
            f"explains: {_names(winners)}."
        )
    else:
        headline = f"No method is shown to beat {plain} over {n} tasks."
    facts = [
        f"Test: exact Wilcoxon signed ranks on AUROC, one-sided, corrected by Holm for {_some(tried, 'comparison')}."
    ]
    least = 0.5**n
    if least * tried >= LEVEL:
        corrected = shown(min(1, least * tried), ".2g")
        facts.append(
            f"With {n} tasks the smallest p this test can give is {shown(least, '.2g')}, and {corrected} once "
            "corrected: no outcome of this run could have been significant. More tasks are needed, not more seeds."
        )
    by_t = rivals[rivals["p_t_holm"] < LEVEL]["method"].tolist()
    facts.append(
        f"By the paired t test, which takes differences between tasks for normal: {_names(by_t) if by_t else 'none'} "
        "(p < .05, corrected)."
    )
    best = rivals.sort_values("difference", ascending=False, kind="stable").iloc[0]
    facts.append(
        f"Largest mean difference in AUROC: {best['method']} {signed(best['difference'])} "
        f"[{signed(best['low'])}, {signed(best['high'])}], better on {int(best['better'])} of {int(best['tasks'])} "
        f"tasks. That interval does not allow for being the largest of {len(rivals)}."
    )
    worse = rivals[rivals["high"] < 0]["method"].tolist()
    if worse:
        facts.append(f"Worse than {plain}, with an interval below 0: {_names(worse)}.")
    also = tested[tested["method"].str.startswith("control-") & (tested["p_wilcoxon_holm"] < LEVEL)]["method"].tolist()
    if also:
        facts.append(f"So did {_names(also)}, where no probe was asked: the gain of a filter is not the probe's.")
    return Answer(headline, facts)


def _one_task(rivals: pd.DataFrame, differences: Differences, tasks: Sequence[str], plain: str) -> Answer:
    """One task: nothing can be tested across tasks, but its test rows say how large the differences are."""
    found = {m: e for m, e in differences.get(tasks[0], {}).items() if m in set(rivals["method"])}
    alone = "One task says nothing about others: whether a method is better in general cannot be tested here."
    if not found:
        return Answer(f"Whether anything beats {plain} cannot be told: the test scores are not in the folder.", [alone])
    above = [m for m, e in found.items() if e.low > 0]
    best = max(found, key=lambda m: found[m].value)
    if above:
        headline = (
            f"On the one task, {tasks[0]}, {len(above)} of {len(found)} methods are above {plain} by more than the "
            f"95 % error of each: {_names(above)}."
        )
    else:
        headline = f"On the one task, {tasks[0]}, no method is above {plain} by more than its 95 % error."
    facts = [
        f"Largest difference in AUROC: {best} {_signed(found[best])}, paired on the same test rows. That interval does "
        f"not allow for being the largest of {len(found)}; about one method in forty is above by chance alone.",
        alone,
    ]
    below = [m for m, e in found.items() if e.high < 0]
    if below:
        facts.append(f"Below {plain} by more than their error: {_names(below)}.")
    return Answer(headline, facts)


def _pgr(table: pd.DataFrame, run: Run) -> list[str]:
    """How much of the gap the plain student recovers by itself, and where PGR cannot be read."""
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
    shaky = lines[lines["status"] != "ok"]
    if len(shaky):
        where = [
            f"{task} ({', '.join(sorted(set(part['status'])))})" for task, part in shaky.groupby("task", sort=False)
        ]
        facts.append(f"PGR cannot be relied on where the gap is too small: {_names(where)}.")
    return facts


def against_random(run: Run) -> list[str]:
    """Filters beside dropping as many rows at random, over tasks; without that control a filter says nothing."""
    means = task_means(run.results)
    filters = [name for name in means if name.startswith("filter-")]
    if not filters:
        return []
    if RANDOM not in means:
        return [f"Filters were run without {RANDOM}: their numbers say nothing about the probes."]
    tests = {
        name: paired_tests(means[name], means[RANDOM]) for name in filters if means[name].keys() == means[RANDOM].keys()
    }
    p = holm({name: test.p_wilcoxon for name, test in tests.items()})
    told = [
        f"{name} {signed(test.difference)}" + (f" (p = {shown(p[name], '.2g')})" if test.n > 1 else "")
        for name, test in tests.items()
    ]
    return [
        "Filters against dropping as many rows at random, mean difference in AUROC"
        + (" (one-sided Wilcoxon, corrected by Holm)" if len(next(iter(means.values()))) > 1 else "")
        + f": {'; '.join(told)}."
    ]


def over_seeds(part: pd.DataFrame) -> pd.DataFrame:
    """Of one task's lines those over all seeds, or the only seed's; of methods that some seed lacks, its first."""
    together = part[part["seed"].isna()]
    left = part[part["seed"].notna() & ~part["method"].isin(together["method"])]
    return pd.concat([together, left]).drop_duplicates(["method", "metric"])


def task_means(results: pd.DataFrame, metric: str = "auroc") -> dict[str, dict[str, float]]:
    """Each method's metric by task, mean over seeds."""
    own = results[(results["metric"] == metric) & results["seed"].notna()]
    means: dict[str, dict[str, float]] = {}
    for (method, task), part in own.groupby(["method", "task"], sort=False):
        means.setdefault(str(method), {})[str(task)] = float(part["value"].mean())
    return means


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more


def _some(count: int, thing: str) -> str:
    return f"{count} {thing}" + ("" if count == 1 else "s")


def signed(value: float) -> str:
    """A difference with its sign."""
    return shown(value, "+.3f")


def _signed(one: Estimate) -> str:
    return f"{signed(one.value)} [{signed(one.low)}, {signed(one.high)}]"
