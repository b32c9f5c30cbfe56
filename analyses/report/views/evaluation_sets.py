"""The test sets of a run beside each other: what each method reaches on the tasks' own and on others."""

import pandas as pd

from ...results.names import TEST
from ..drawing.cells import Column, Table, TableCell, estimate, number, words
from ..load.folder import FinishedRun
from .answer import over_seeds
from .more_metrics import pgr_cell, value_cell


def set_tables(run: FinishedRun) -> list[Table]:
    """By task and method, and over tasks; none where every task has its own test set alone."""
    if run.other_results.empty:
        return []
    return [_by_method(run), *_across(run)]


def _by_method(run: FinishedRun) -> Table:
    sets = [TEST, *dict.fromkeys(run.other_results["test_set"])]
    results = pd.concat([run.results.assign(test_set=TEST), run.other_results])
    columns = [Column("task", False), Column("method", False)]
    for name in sets:
        columns += [Column(f"{name}: rows"), Column(f"{name}: AUROC [95 %]"), Column(f"{name}: PGR [95 %]")]
    rows: list[list[TableCell]] = []
    for task, part in results.groupby("task", sort=False):
        by = {
            (one["method"], test_set, one["metric"]): one
            for test_set, lines in part.groupby("test_set", sort=False)
            for one in over_seeds(lines).to_dict(orient="records")
        }
        for method in dict.fromkeys(part["method"]):
            cells = [words(task), words(method)]
            for name in sets:
                line = by.get((method, name, "auroc"), {})
                cells += [number(line.get("n"), ",.0f"), value_cell(line)]
                cells.append(pgr_cell(by.get((method, name, "pgr_auroc"), {})))
            rows.append(cells)
    return Table(f"Test sets beside each other: {TEST} is the task's own", columns, rows)


def _across(run: FinishedRun) -> list[Table]:
    """Differences to the plain student in AUROC over several tasks, a line for each test set and method."""
    table = run.other_comparisons
    part = table[(table["metric"] == "auroc") & table["difference"].notna() & (table["tasks"] > 1)]
    if part.empty:
        return []
    columns = [Column("test set", False), Column("method", False), Column("tasks")]
    columns += [Column("difference [95 %]", about="method − plain student, mean over tasks, t interval")]
    columns += [Column("p (Holm)", about="exact sign flips, two-sided, corrected within the test set")]
    columns += [Column("pooled PGR [95 %]"), Column("status", False)]
    rows = [
        [
            words(one["test_set"]),
            words(one["method"]),
            number(one["tasks"], ".0f"),
            estimate(one["difference"], one["low"], one["high"], "+.3f"),
            number(one["p_holm"]),
            estimate(one["pooled_pgr"], one["pooled_low"], one["pooled_high"], ".2f"),
            words(one["status"]),
        ]
        for one in part.to_dict(orient="records")
    ]
    return [Table("Other test sets over tasks, AUROC", columns, rows)]
