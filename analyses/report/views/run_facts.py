"""What was run, in a few lines of words: tasks, seeds, models, probes, gold rows."""

from pathlib import Path
from typing import Any

import pandas as pd

from ...recipe.gold_names import GoldName
from ..load.folder import FinishedRun
from .wording import recipe_words


def run_facts(run: FinishedRun, recipe: dict[str, Any]) -> list[tuple[str, str]]:
    """The name and words of each line."""
    weak, strong, student = recipe["weak"], recipe["strong"], recipe["student"]
    layers = sorted({int(x) for x in run.results.get("layer", pd.Series(dtype=float)).dropna()})
    supervisor = weak["kind"] + (f": {Path(weak['model']).name}" if weak.get("model") else "")
    if weak.get("file"):
        supervisor += f": {Path(weak['file']).name}"
    if weak["kind"] != "labels" and "n_truth" in weak:  # labels of a file learn from nothing here
        supervisor += f", {weak['n_truth']:,} rows with ground truth"
    place = ", ".join([*([site] if (site := strong.get("site", "residual")) != "residual" else []), strong["position"]])
    return [
        ("Tasks", ", ".join(dict.fromkeys(run.results["task"]))),
        ("Seeds", ", ".join(map(str, recipe["seeds"]))),
        ("Weak supervisor", supervisor),
        ("Strong model", f"{Path(strong['model']).name}, layer {', '.join(map(str, layers))} ({place})"),
        ("Students", f"{student['kind']}, loss {student['loss']}"),
        ("Plain student", run.baseline),
        ("Probes", ", ".join(recipe_words(_probes_read(recipe)))),
        *_gold_facts(recipe),
    ]


def _probes_read(recipe: dict[str, Any]) -> dict[str, Any]:
    """The settings of probes, those of attention only where a method or the strong model's position reads them."""
    probes = dict(recipe.get("probes", {}))
    if not any("attention" in name for name in (recipe["strong"]["position"], *recipe.get("methods", ()))):
        probes.pop("attention", None)
    return probes


def _gold_facts(recipe: dict[str, Any]) -> list[tuple[str, str]]:
    """What a recipe says of gold rows, where some method reads them."""
    gold = dict(recipe.get("gold", {}))
    if not any(GoldName.parse(name) for name in recipe.get("methods", ())):
        return []
    if gold.get("file"):
        gold["file"] = Path(gold["file"]).name
    unread = [name for name, use in (("share", "weight"), ("select", "select")) if use not in gold.get("use", [])]
    return [("Gold rows", "; ".join(recipe_words({name: gold[name] for name in gold if name not in unread})))]
