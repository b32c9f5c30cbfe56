"""False verdicts: how often the report calls a method better or worse where it is neither."""

import numpy as np
import pandas as pd

from analyses.report.views.answer import Verdict, verdict_of
from analyses.report.views.differences import against
from analyses.results.comparisons import TaskValues, comparison_table
from tests.simulations.tables import table
from w2s_probes.stats import holm

PLAIN = "student-xent"
EXPERIMENTS = 200  # a rate of .05 is then known to .015


def one_task(seed: int, *, seeds: int, rivals: int, scatter: float, rows: int = 600, per_group: int = 1) -> Verdict:
    """The report's verdict on one task whose methods are all the plain student, trained with other luck.

    Each training moves the distance of the classes and the noise of its own; all share what is hard in a row.
    """
    rng = np.random.default_rng(seed)
    units = rows // per_group
    truth = np.repeat(np.arange(units) % 2, per_group)
    shared = np.repeat(rng.normal(size=units), per_group)
    names = [PLAIN, *(f"student-{i}" for i in range(rivals))]
    runs = {}
    for number in range(seeds):
        scores = {
            name: shared
            + np.repeat(0.5 * rng.normal(size=units), per_group)
            + (1.5 + scatter * rng.normal()) * (truth - 0.5)
            for name in names
        }
        ids = [f"r{i}" for i in range(rows)]
        runs[number] = pd.DataFrame({"id": ids, "group": np.arange(rows) // per_group, "truth": truth, **scores})
    found = against(runs, PLAIN)
    p = holm({name: one.p for name, one in found.items()})
    return Verdict.of(p, {name: one.estimate.value for name, one in found.items()})


def many_tasks(seed: int, *, tasks: int, rivals: int, skewed: bool = False) -> Verdict:
    """The report's verdict over tasks with one seed each, where no method differs from the plain student."""
    rng = np.random.default_rng(seed)
    cells: dict[tuple[str, str], dict[int, float]] = {}
    names = [PLAIN, *(f"student-{i}" for i in range(rivals))]
    for task in range(tasks):
        size = 0.02 * (np.exp(rng.normal()) if skewed else 1.0)  # tasks differ in how much a training moves
        cells[f"t{task}", "weak"], cells[f"t{task}", "ceiling"] = {0: 0.6}, {0: 0.9}
        for name in names:
            cells[f"t{task}", name] = {0: 0.75 + size * rng.normal()}
    comparisons = comparison_table([TaskValues("auroc", cells, cells)], PLAIN)
    return verdict_of(comparisons[(comparisons["metric"] == "auroc") & (comparisons["method"] != PLAIN)])


def rates(verdicts: list[Verdict]) -> tuple[float, float, float]:
    """Shares of the verdicts that name any method, a better one, a worse one."""
    told = np.array([[bool(v.better or v.worse), bool(v.better), bool(v.worse)] for v in verdicts])
    any_, better, worse = told.mean(axis=0).tolist()
    return any_, better, worse


COLUMNS = ("any verdict", "better", "worse")


def within_a_task() -> str:
    """One task, several seeds; nominal .05 for any verdict. One seed gives none."""
    lines: list[list[object]] = []
    for seeds in (1, 2, 3, 5):
        for scatter in (0.05, 0.2):
            for rivals in (1, 8):
                found = [one_task(i, seeds=seeds, rivals=rivals, scatter=scatter) for i in range(EXPERIMENTS)]
                lines.append([seeds, scatter, rivals, *rates(found)])
    grouped = [one_task(i, seeds=3, rivals=1, scatter=0.05, per_group=4) for i in range(EXPERIMENTS)]
    lines.append(["3, groups of 4", 0.05, 1, *rates(grouped)])
    return table(["seeds", "luck of a training", "methods", *COLUMNS], lines)


def across_tasks() -> str:
    """Several tasks, one seed each; nominal .05 for any verdict. Under six tasks there can be none."""
    lines = []
    for tasks in (4, 6, 8, 12):
        for rivals in (1, 8):
            for skewed in (False, True):
                found = [many_tasks(i, tasks=tasks, rivals=rivals, skewed=skewed) for i in range(EXPERIMENTS)]
                lines.append([tasks, "unequal" if skewed else "equal", rivals, *rates(found)])
    return table(["tasks", "sizes of differences", "methods", *COLUMNS], lines)
