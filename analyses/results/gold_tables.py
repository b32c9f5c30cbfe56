"""The tables of gold rows: what a budget of true and weak labels buys, and what gold rows have chosen."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from ..recipe.gold_names import GOLD_ROWS, WEAK_ROWS, GoldName
from .names import parse_trial_key

BUDGET, CHOICES = "gold.csv", "gold_choices.csv"  # beside results.csv
BUDGET_COLUMNS = ["task", "test_set", "seed", "method", "use", "gold", "weak", "cost"]
BUDGET_COLUMNS += ["metric", "value", "low", "high", "seeds", "status"]
CHOICE_COLUMNS = ["task", "seed", "method", "gold", "candidates", "chosen", "gold_auroc", "gold_auroc_low"]
CHOICE_COLUMNS += ["gold_auroc_high", "second", "lead", "lead_low", "lead_high", "stability"]
PLAIN = "plain student"  # the use of the baseline
SHOWN = ("auroc", "pgr_auroc", "accuracy", "pgr_accuracy")

Notes = Mapping[str, Mapping[str, Any]]  # by the trial's key: what run.json says of it


def budget_table(results: pd.DataFrame, runs: Notes, costs: Mapping[str, float], baseline: str) -> pd.DataFrame:
    """A line for each task, seed, test set, metric and method of known gold and weak rows; none where no method is.

    `gold` and `weak` are the rows whose true and weak labels it was taught or chosen by, the mean over seeds; the cost
    is theirs. Validation rows, by whose weak labels all students stop, are not counted.
    """
    rows = {(*parse_trial_key(key), method): found for key, made in runs.items() for method, found in _rows_of(made)}
    for key, made in runs.items() if rows else ():
        rows[(*parse_trial_key(key), baseline)] = (0.0, float(made["splits"]["train"]["rows"]))
    lines = []
    for one in results[results["metric"].isin(SHOWN)].to_dict(orient="records"):
        seeds = [found for (task, seed, method), found in rows.items() if _same(one, task, seed, method)]
        if not seeds:
            continue
        gold, weak = (sum(counts) / len(seeds) for counts in zip(*seeds, strict=True))
        parsed = GoldName.parse(one["method"])
        use = parsed.use if parsed else PLAIN if one["method"] == baseline else one["method"]
        about = {"use": use, "gold": gold, "weak": weak}
        cost = costs["gold"] * gold + costs["weak"] * weak
        lines.append({column: one.get(column) for column in BUDGET_COLUMNS} | about | {"cost": cost})
    return pd.DataFrame(lines, columns=BUDGET_COLUMNS).astype({"seed": "Int64"})


def choice_table(runs: Notes) -> pd.DataFrame:
    """A line for each choice that gold rows, or in a control their weak labels, have made."""
    lines = [
        dict(zip(("task", "seed"), parse_trial_key(key), strict=True))
        | {"method": method, "gold": notes[GOLD_ROWS]}
        | notes
        for key, made in runs.items()
        for method, notes in made.get("methods", {}).items()
        if GOLD_ROWS in notes and "chosen" in notes
    ]
    return pd.DataFrame(lines, columns=CHOICE_COLUMNS)


def _rows_of(made: Mapping[str, Any]) -> Iterator[tuple[str, tuple[float, float]]]:
    for method, notes in made.get("methods", {}).items():
        if GOLD_ROWS in notes and WEAK_ROWS in notes:
            yield method, (float(notes[GOLD_ROWS]), float(notes[WEAK_ROWS]))


def _same(one: Mapping[Any, Any], task: str, seed: int, method: str) -> bool:
    return bool(one["task"] == task and one["method"] == method and (pd.isna(one["seed"]) or one["seed"] == seed))
