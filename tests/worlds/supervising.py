"""Small recipes with any weak supervisor, on one task of the miniature or on a quiz made of its texts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analyses.experiment.row_sets import RowSets
from analyses.experiment.splits import split_task
from analyses.experiment.task_models import Sources
from analyses.lessons.clock import Clock
from analyses.lessons.lesson import Scores
from analyses.recipe.read import read_recipe
from analyses.recipe.schema import Recipe
from analyses.trial import Trial, task_models
from tests.conftest import ROOT
from tests.worlds.experiments import completed
from w2s_probes.io.tables import read_table

MINIATURE = ROOT / "data" / "miniature"
HEAD = {"kind": "head", "model": str(MINIATURE / "weak"), "layer": -1, "position": "mean", "epochs": 40}
BASE: dict[str, Any] = {
    "seeds": [0],
    "methods": ["student-xent"],
    "n_boot": 100,
    "data": {"folder": str(MINIATURE / "rows"), "n_train": 250, "n_val": 80, "n_test": 250},
    "weak": {"n_truth": 100},
    "strong": {"model": str(MINIATURE / "strong"), "layer": "middle", "position": "last"},
    "student": {"epochs": 40},
    "probes": {"knn_k": 20, "topo_k": 20},
}


def recipe_with(folder: Path, weak: dict[str, Any], *settings: str, task: str = "miniature_price") -> Recipe:
    """A recipe with this weak supervisor; 100 rows of weak-train where it takes some."""
    given = weak if weak["kind"] == "labels" else {"n_truth": 100, **weak}
    folder.mkdir(exist_ok=True)
    path = folder / "recipe.toml"
    values = BASE | {"weak": given, "data": BASE["data"] | {"tasks": [task]}}
    path.write_text("\n".join(f"{key} = {_toml(value)}" for key, value in values.items()))
    return read_recipe(path, settings)


def _toml(value: Any) -> str:
    """JSON is TOML but for tables."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    return "[" + ", ".join(map(_toml, value)) + "]" if isinstance(value, list) else json.dumps(value)


def labels_by(recipe: Recipe, cache: Path) -> tuple[RowSets, Scores]:
    """One task's and seed's sets, and the supervisor's labels of them."""
    (task,), (name,) = recipe.data.tasks, recipe.task_names
    ((seed, sets),) = split_task(recipe, task).items()
    models = task_models(recipe, name, [sets], cache, Sources(), Clock())
    return sets, completed(Trial(recipe, name, seed, sets, {}, *models).weak_steps())


QUIZ = """
text = "{question} {choice}"
choices = ["a", "b", "c"]
answer = { field = "right", base = 0 }
"""


def write_quiz(folder: Path, n_train: int = 420, n_test: int = 160) -> str:
    """A multiple-choice task, which of three texts is dear, with its rows in `folder`; its task file's path."""
    (folder / "quiz.toml").write_text(QUIZ)
    (folder / "quiz").mkdir()
    rng = np.random.default_rng(0)
    for part, n in (("train", n_train), ("test", n_test)):
        rows = read_table(MINIATURE / "rows" / "miniature_price" / f"{part}.jsonl.gz")
        dear, cheap = (rows["text"][rows["label"] == side].to_numpy() for side in (1, 0))
        words = sorted(set(" ".join(dear).split()))
        questions = []
        for i in range(n):
            texts = [str(dear[i]), str(cheap[2 * i % len(cheap)]), str(cheap[(2 * i + 1) % len(cheap)])]
            order = rng.permutation(3)
            record = dict(zip("abc", [texts[place] for place in order], strict=True))
            stem = " ".join(rng.choice(words, size=6))
            questions.append({"question": stem, **record, "right": int(np.flatnonzero(order == 0)[0])})
        pd.DataFrame(questions).to_json(folder / "quiz" / f"{part}.jsonl", orient="records", lines=True)
    return str(folder / "quiz.toml")
