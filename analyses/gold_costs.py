"""The true labels of gold rows that a recipe reads, before anything is run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .experiment.gold_rows import GoldUse, gold_rows
from .experiment.method import Method
from .experiment.row_sets import RowSets
from .recipe.schema import Recipe


@dataclass(frozen=True)
class GoldCosts:
    """The true labels of gold rows that are read; fewer rows of a curve are among more."""

    most: int  # of one task and seed
    labels: int  # of all tasks and seeds; seeds may share some
    cost: float  # of these, in the recipe's own unit
    tasks: int
    seeds: int

    @property
    def line(self) -> str:
        """The same in a sentence."""
        return (
            f"gold rows: at most {self.most:,} true labels on each of tasks {self.tasks} x seeds {self.seeds}, "
            f"{self.labels:,} in all, a cost of {self.cost:,.4g}; fewer rows of a curve are among more"
        )


def gold_costs(
    recipe: Recipe, methods: Mapping[str, Method], splits: Mapping[str, Sequence[RowSets] | None]
) -> GoldCosts | None:
    """The true labels that the methods of a recipe read; None where none reads any.

    `splits` are the row sets of each task by seed; None where its files are not there. Rows of a `file` are then
    counted as all of strong-train.
    """
    uses = [method.gold for method in methods.values() if method.gold is not None and method.gold.gold != 0]
    if not uses:
        return None
    numbers = [
        max(_number(recipe, use, Path(task).stem, seed, None if sets is None else sets[at]) for use in uses)
        for task, sets in splits.items()
        for at, seed in enumerate(recipe.seeds)
    ]
    labels = sum(numbers)
    return GoldCosts(max(numbers), labels, labels * recipe.gold.costs.gold, len(splits), len(recipe.seeds))


def _number(recipe: Recipe, use: GoldUse, task: str, seed: int, sets: RowSets | None) -> int:
    wanted = use.gold if use.gold is not None else next((n for n in recipe.gold.n if n), None)
    if wanted is not None:
        return wanted
    return recipe.data.n_train if sets is None else len(gold_rows(recipe.gold, sets, task, seed).drawn)
