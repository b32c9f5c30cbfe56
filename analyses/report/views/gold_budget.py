"""Gold rows: what true labels buy beside weak ones, beside what they teach alone; and what they have chosen."""

from dataclasses import dataclass

import pandas as pd

from ...recipe.gold_names import GOLD, GOLD_ALONE, OF_WEAK, SELECT, GoldName, gold_controls
from ...results.gold_tables import PLAIN, budget_table, choice_table
from ..drawing.cells import Column, Table, TableCell, estimate, number, words
from ..drawing.figures import Figure, FigureLine, lines
from ..load.folder import FinishedRun
from .differences import difference

SIGNED = "+.3f"
LEAST = 2  # points that make a line


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
    """AUROC over cost, a line for each use that has several points; uses of weak rows begin at the plain student."""
    made: list[FigureLine] = []
    plain = part[part["use"] == PLAIN]
    for use, points in part[part["use"] != PLAIN].groupby("use", sort=False):
        begins = not str(use).endswith(("alone", "by weak labels"))
        line = pd.concat([plain, points]) if begins else points
        line = line.sort_values("cost", kind="stable")
        if len(line) >= LEAST:
            x, y, low, high = (line[column].tolist() for column in ("cost", "value", "low", "high"))
            made.append(FigureLine(str(use), x, y, low, high, len(made)))
    return lines(key, f"{task}: what labels buy", "cost of all labels", "AUROC", made) if made else None


def _choices(runs: dict[str, dict[str, object]]) -> Table | None:
    found = choice_table(runs)
    if found.empty:
        return None
    columns = [
        Column("task", False),
        Column("seed"),
        Column("method", False),
        Column("gold rows"),
        Column("chosen", about="a k, λ or layer, or an epoch; in brackets the number of candidates"),
        Column("AUROC on gold rows [95 %]", about="which chose it: too high on the average"),
        Column("second", about="of a checkpoint: the one that weak labels choose"),
        Column("lead [95 %]", about="paired bootstrap over gold rows; too large on the average"),
        Column("best in resamples"),
        Column("told apart", False),
    ]
    rows = [
        [
            words(str(one["task"])),
            number(one["seed"], ".0f"),
            words(str(one["method"])),
            number(one["gold"], ",.0f"),
            TableCell(f"{one['chosen']:g} ({one['candidates']:.0f})", float(one["chosen"])),
            estimate(one["gold_auroc"], one["gold_auroc_low"], one["gold_auroc_high"], ".3f"),
            number(one["second"], "g"),
            estimate(one["lead"], one["lead_low"], one["lead_high"], SIGNED),
            number(one["stability"], ".0%"),
            words("yes" if one["lead_low"] > 0 else "no"),
        ]
        for one in found.to_dict(orient="records")
    ]
    return Table("What gold rows have chosen", columns, rows)


def _lacking(there: list[str]) -> list[str]:
    """Sentences on controls that were not run."""
    bare = [name for name in there if name.startswith(GOLD) and not name.startswith(SELECT)]
    bare = [name for name in bare if gold_controls(name)[-1] not in there]
    return (
        [f"Without {GOLD_ALONE} nothing says what the gold rows teach by themselves: {', '.join(bare)}."]
        if bare
        else []
    )
