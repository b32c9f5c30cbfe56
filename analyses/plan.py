"""What a recipe will cost, before it is run: the extractions of its models, and the fits that read them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from extract.estimate import Costs, estimate
from extract.lengths import equal_lengths, token_lengths
from extract.models import ModelSource
from extract.tasks import find_task
from w2s_probes.errors import InputError

from .methods import find_methods
from .protocol import rows_needed, split_task
from .recipe import Recipe, Strong, Weak
from .splits import Splits

REFERENCES = 2  # weak supervisor and ceiling, which are fitted beside the methods


@dataclass(frozen=True)
class ModelPlan:
    """One model's part: its activations on the rows of all tasks."""

    model: str
    costs: Costs
    at_most: bool  # whether rows were counted by the recipe's sizes alone: seeds may share some


@dataclass(frozen=True)
class RecipePlan:
    """What a run of a recipe needs."""

    models: dict[str, ModelPlan]  # `strong`, and `weak` where the supervisor is a head on a model
    tasks: int
    seeds: int
    methods: int
    test_rows: int  # of each task

    @property
    def fits(self) -> int:
        """Of weak supervisors, ceilings and methods, on cached activations."""
        return self.tasks * self.seeds * (REFERENCES + self.methods)


def plan_recipe(recipe: Recipe, *, tokens_per_row: int | None = None, batch_tokens: int | None = None) -> RecipePlan:
    """The costs of `protocol.run`, from the configs of its models.

    Where the folder of a task is there, its rows are read, split as the run splits them, and tokenized. Where it is
    not, rows are counted by the recipe's sizes, and `tokens_per_row` must be given; it goes before all counting.

    Raises InputError for methods, tasks, sizes and models that the run would refuse.
    """
    find_methods(recipe.methods)
    splits = {task: _splits(recipe, task) for task in recipe.data.tasks}
    models: dict[str, Strong | Weak] = {"strong": recipe.strong}
    if recipe.weak.model is not None:
        models["weak"] = recipe.weak
    plans = {}
    for role, settings in models.items():
        source = ModelSource.describe(str(settings.model))
        needed = [_needed(recipe, sets, role) for sets in splits.values()]
        lengths = np.concatenate([_lengths(source, rows, tokens_per_row) for rows in needed])
        chosen: dict[str, Any] = {"layers": settings.layer, "position": settings.position, "batch_tokens": batch_tokens}
        plans[role] = ModelPlan(
            source.name, estimate(source, lengths, **chosen), any(isinstance(n, int) for n in needed)
        )
    return RecipePlan(plans, len(splits), len(recipe.seeds), len(recipe.methods), recipe.data.n_test)


def _splits(recipe: Recipe, task: str) -> list[Splits] | None:
    """A task's row sets, one for each seed; None where there are no files to read."""
    short, _ = find_task(task)
    return list(split_task(recipe, task).values()) if (recipe.data.folder / short).is_dir() else None


def _needed(recipe: Recipe, splits: list[Splits] | None, role: str) -> pd.DataFrame | int:
    """The rows that a model reads, or the most that the recipe's sizes allow."""
    if splits is not None:
        return rows_needed(splits, with_weak=role == "weak")
    by_seed = recipe.data.n_train + recipe.data.n_val + (recipe.weak.n_truth if role == "weak" else 0)
    return recipe.data.n_test + len(recipe.seeds) * by_seed


def _lengths(source: ModelSource, rows: pd.DataFrame | int, tokens_per_row: int | None) -> NDArray[np.int64]:
    count = rows if isinstance(rows, int) else len(rows)
    if tokens_per_row is not None:
        return equal_lengths(source, count, tokens_per_row)
    if isinstance(rows, int):
        raise InputError(
            "data.folder does not hold the tasks' files, so there is no text to count: give --tokens-per-row"
        )
    return token_lengths(source, rows)
