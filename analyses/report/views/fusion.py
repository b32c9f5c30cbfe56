"""Fused logits beside their controls, and how strongly rows were moved."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...results.names import ALPHA, DYNAMIC, HALF, MORE, OTHER_ALPHA, OTHER_CHANGE, STATIC, TUNED, trial_key
from ..drawing.cells import Column, Table, TableCell, estimate, number, words
from ..drawing.figures import Figure, FigureLine, lines
from ..load.folder import FinishedRun
from .answer import over_seeds
from .differences import difference
from .more_metrics import pgr_cell, value_cell

ALONE = "prior-zeroshot"  # the strong model's own answers: α = 0
OF_OTHERS = "of other rows"
FIXED = {ALONE: "0", HALF: "0.5", STATIC: "1", MORE: "1.5", TUNED: "", OTHER_ALPHA: OF_OTHERS, OTHER_CHANGE: "by row"}
LACKING = {
    STATIC: "nothing says what a strength for each row adds to the same for all",
    ALONE: "nothing says what the strong model would have said by itself",
    TUNED: "nothing says what the tuned model says by itself",
    OTHER_ALPHA: "nothing says whether a row's own strength matters",
    OTHER_CHANGE: "nothing says whether tuning has changed the right rows",
}
BINS = 20  # of the figure
SIGNED = "+.3f"


@dataclass(frozen=True)
class FusionView:
    """What a run says of fusion: what is missing beside it, a line for each task and method, and α over the rows."""

    lines: list[str]
    table: Table
    figure: Figure | None


def fusion_view(run: FinishedRun, key: str) -> FusionView | None:
    """The fusions of a run; None where it has none."""
    there = set(run.results["method"])
    named = [name for name in (DYNAMIC, *FIXED) if name in there]
    if not {*named} - {ALONE}:
        return None
    columns = [
        Column("task", False),
        Column("method", False),
        Column("α", False, "how strongly rows are moved: of α by row the mean, and where 10, 50 and 90 % lie"),
        Column("at the cap", about="share of test rows whose α is the largest allowed"),
        Column("AUROC [95 %]"),
        Column("− α = 1 [95 %]", about="paired on the same test rows, and over seeds"),
        Column("− strong alone [95 %]", about=f"{ALONE}, which is α = 0"),
        Column("− tuned alone [95 %]", about="the small model after its tuning"),
        Column("PGR [95 %]", about="above 1 where it is better than the ceiling, which reads no tuned model"),
    ]
    rows = []
    for task, part in run.results.groupby("task", sort=False):
        found = over_seeds(part).to_dict(orient="records")
        by = {(one["method"], one["metric"]): one for one in found}
        for name in [name for name in named if (name, "auroc") in by]:
            alpha, capped = _strengths(run, str(task), name)
            rows.append(
                [
                    words(task),
                    words(name),
                    alpha,
                    capped,
                    value_cell(by[name, "auroc"]),
                    *(_difference(run, str(task), name, other) for other in (STATIC, ALONE, TUNED)),
                    pgr_cell(by.get((name, "pgr_auroc"), {})),
                ]
            )
    told = [
        f"Without {name} {why}: add it to the recipe's methods." for name, why in LACKING.items() if name not in there
    ]
    return FusionView(told, Table("Logit fusion beside its controls, by task", columns, rows), _figure(run, key))


def _strengths(run: FinishedRun, task: str, name: str) -> tuple[TableCell, TableCell]:
    """α of a method, and the share of rows at the cap."""
    if name != DYNAMIC:
        return words(FIXED[name]), number(None)
    alpha = _alpha(run, task)
    notes: list[dict[str, Any]] = [
        run.record["runs"].get(trial_key(task, seed), {}).get("methods", {}).get(name, {})
        for seed in run.record["recipe"]["seeds"]
    ]
    shares = [float(one["capped"]) for one in notes if "capped" in one]
    capped = number(sum(shares) / len(shares) if shares else None, ".2f")
    if not len(alpha):
        return words("by row"), capped
    ends = ", ".join(f"{value:.2f}" for value in np.quantile(alpha, (0.1, 0.5, 0.9)))
    return TableCell(f"by row: {alpha.mean():.2f} ({ends})", float(alpha.mean())), capped


def _alpha(run: FinishedRun, task: str) -> NDArray[np.float64]:
    """α of the test rows, of all seeds."""
    tables = [table for table in run.predictions.get(task, {}).values() if ALPHA + DYNAMIC in table]
    return np.concatenate([np.empty(0), *(table[ALPHA + DYNAMIC].to_numpy(dtype=np.float64) for table in tables)])


def _figure(run: FinishedRun, key: str) -> Figure | None:
    """The share of rows by α, a line for each task; None where no file says it."""
    by_task = {task: alpha for task in run.predictions if len(alpha := _alpha(run, task))}
    if not by_task:
        return None
    top = float(run.record["recipe"].get("fusion", {}).get("top", max(map(np.max, by_task.values())))) or 1.0
    edges = np.linspace(0, top, BINS + 1)
    centres = ((edges[:-1] + edges[1:]) / 2).tolist()
    drawn = [
        FigureLine(task, centres, (np.histogram(alpha, edges)[0] / len(alpha)).tolist(), style=number)
        for number, (task, alpha) in enumerate(by_task.items())
    ]
    title = "How strongly the strong model is moved: test rows by α"
    return lines(f"{key}-alpha", title, f"α, {BINS} bins up to the cap", "share of rows", drawn)


def _difference(run: FinishedRun, task: str, name: str, other: str) -> TableCell:
    found = None if name == other else difference(run.predictions.get(task, {}), name, other)
    if found is None:
        return number(None)
    return estimate(found.estimate.value, found.estimate.low, found.estimate.high, SIGNED)
