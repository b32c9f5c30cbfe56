"""Gold rows: what true labels buy beside weak ones, beside what they teach alone; and what they have chosen."""

from dataclasses import dataclass

import pandas as pd

from ...recipe.gold_names import GOLD, GOLD_ALONE, OF_WEAK, SELECT, GoldName, gold_controls
from ...results.gold_tables import CHOICES, PLAIN, budget_table, choice_table
from ...results.names import CEILING, ceiling_of
from ..drawing.cells import Column, Table, TableCell, estimate, number, words
from ..drawing.figures import Figure, FigureLine, lines
from ..load.folder import FinishedRun
from .differences import difference

SIGNED = "+.3f"
LEAST = 2  # points that make a line
LISTED = 4  # chosen values that are told one by one


@dataclass(frozen=True)
class GoldView:
    """What a run says of gold rows: sentences, a table by budget, curves, and the choices made by gold rows."""

    lines: list[str]
    table: Table
    figures: list[Figure]
    choices: Table | None


def gold_view(run: FinishedRun, key: str) -> GoldView | None:
    """The gold rows of a run; None where no method reads any."""
    runs, recipe = run.record["runs"], run.record["recipe"]
    costs = recipe.get("gold", {}).get("costs", {"gold": 1.0, "weak": 0.01})
    budget = budget_table(run.results, runs, costs, run.baseline)
    if budget.empty:
        return None
    budget = budget[budget["seed"].isna()] if budget["seed"].isna().any() else budget
    columns = [
        Column("task", False),
        Column("method", False),
        Column("true labels", about="of gold rows of strong-train, that it has read"),
        Column("weak labels", about="that it was taught; validation rows are not counted"),
        Column("cost", about=f"{costs['gold']:g} a true label and {costs['weak']:g} a weak one"),
        Column("AUROC [95 %]"),
        Column("− plain student [95 %]", about="paired on the same test rows, and over seeds"),
        Column("− gold rows alone [95 %]", about="its control: a student of these true labels and no weak one"),
        Column("− by weak labels [95 %]", about="its control: the same with the weak labels of the gold rows"),
        Column("PGR [95 %]"),
    ]
    auroc, pgr = (budget[budget["metric"] == metric] for metric in ("auroc", "pgr_auroc"))
    recovered = {(one["task"], one["method"]): one for one in pgr.to_dict(orient="records")}
    rows = []
    for one in auroc.sort_values(["task", "cost"], kind="stable").to_dict(orient="records"):
        task, name = str(one["task"]), str(one["method"])
        parsed = GoldName.parse(name)
        alone = None if parsed is None or not name.startswith(GOLD) else f"{GOLD_ALONE}{_size(name)}"
        against = [run.baseline, alone, OF_WEAK + name]
        found = recovered.get((task, name), {})
        rows.append(
            [
                words(task),
                words(name),
                *(number(one[part], ",.0f") for part in ("gold", "weak")),
                number(one["cost"], ",.4g"),
                estimate(one["value"], one["low"], one["high"], ".3f"),
                *(_difference(run, task, name, other) for other in against),
                estimate(found.get("value"), found.get("low"), found.get("high"), ".2f"),
            ]
        )
    figures = [
        drawn
        for at, (task, part) in enumerate(auroc.groupby("task", sort=False))
        if (drawn := _curve(part, str(task), f"{key}-g{at}")) is not None
    ]
    there = list(dict.fromkeys(budget["method"]))
    return GoldView(
        _lacking(there), Table("Budgets of true and weak labels, by task", columns, rows), figures, _choices(runs)
    )


def _size(name: str) -> str:
    parsed = GoldName.parse(name)
    return "" if parsed is None or parsed.gold is None else f":{parsed.gold}"


def _difference(run: FinishedRun, task: str, name: str, other: str | None) -> TableCell:
    found = None if other in (None, name) else difference(run.predictions.get(task, {}), name, str(other))
    if found is None:
        return number(None)
    return estimate(found.estimate.value, found.estimate.low, found.estimate.high, SIGNED)


def _curve(part: pd.DataFrame, task: str, key: str) -> Figure | None:
    """AUROC over cost, a line for each use that has several points; students of weak rows begin at the plain one."""
    made: list[FigureLine] = []
    plain = part[part["use"] == PLAIN]
    for use, points in part[part["use"] != PLAIN].groupby("use", sort=False):
        begins = not str(use).endswith(("alone", "by weak labels")) and not _is_probe(str(use))
        line = pd.concat([plain, points]) if begins else points
        line = line.sort_values("cost", kind="stable")
        if len(line) >= LEAST:
            x, y, low, high = (line[column].tolist() for column in ("cost", "value", "low", "high"))
            made.append(FigureLine(str(use), x, y, low, high, len(made)))
    return lines(key, f"{task}: what labels buy", "cost of all labels", "AUROC", made) if made else None


def _is_probe(use: str) -> bool:
    """Whether a use trains no student: gold rows choose the value of a probe."""
    return ceiling_of(f"{GOLD}{use}") != CEILING


def _choices(runs: dict[str, dict[str, object]]) -> Table | None:
    """A line for each task and method, over its seeds; the lines of each seed stand in a file."""
    found = choice_table(runs)
    if found.empty:
        return None
    columns = [
        Column("task", False),
        Column("method", False),
        Column("gold rows"),
        Column("seeds"),
        Column("chosen", False, "a k, λ or layer, or an epoch, with the number of seeds that chose it"),
        Column("candidates"),
        Column("AUROC on gold rows", about="which chose it: too high on the average; mean over seeds"),
        Column("lead over the second", about="mean over seeds; of one with a 95 % bootstrap interval over gold rows"),
        Column("best in resamples", about="of gold rows: how often the chosen one is the best; mean over seeds"),
        Column("told apart", about="seeds whose lead has an interval above 0"),
    ]
    rows = []
    for (task, method), part in found.groupby(["task", "method"], sort=False):
        means = part[["gold", "gold_auroc", "lead", "stability"]].astype(float).mean()
        (low, high) = part[["lead_low", "lead_high"]].iloc[0] if len(part) == 1 else (None, None)
        apart = int((part["lead_low"] > 0).sum())
        rows.append(
            [
                words(str(task)),
                words(str(method)),
                number(means["gold"], ",.0f"),
                number(len(part), ".0f"),
                words(_chosen(part["chosen"])),
                number(part["candidates"].max(), ".0f"),
                number(means["gold_auroc"], ".3f"),
                number(means["lead"], SIGNED) if low is None else estimate(means["lead"], low, high, SIGNED),
                number(means["stability"], ".0%"),
                TableCell(f"{apart} of {len(part)}", float(apart)),
            ]
        )
    return Table(f"What gold rows have chosen, in full in {CHOICES}", columns, rows)


def _chosen(values: "pd.Series[float]") -> str:
    """What seeds have chosen: each value with their number, or the least and the largest of many."""
    counts = values.value_counts(sort=False).sort_index()
    if len(counts) > LISTED:
        return f"{values.min():g} to {values.max():g}"
    return ", ".join(f"{value:g}" + (f" × {count}" if len(values) > 1 else "") for value, count in counts.items())


def _lacking(there: list[str]) -> list[str]:
    """Sentences on controls that were not run."""
    bare = [name for name in there if name.startswith(GOLD) and not name.startswith(SELECT)]
    bare = [name for name in bare if gold_controls(name)[-1] not in there]
    return (
        [f"Without {GOLD_ALONE} nothing says what the gold rows teach by themselves: {', '.join(bare)}."]
        if bare
        else []
    )
