"""What a recipe asks its models, before it is run: prompts, tokens, operations."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from extract.costs.estimate import Costs, estimate
from extract.models.source import ModelSource

from .experiment.asked_models import saying_in
from .experiment.method import Method
from .experiment.row_sets import RowSets, is_scored
from .experiment.task_models import every_row
from .recipe.asking import FEW_SHOT
from .recipe.schema import Recipe
from .results.names import WEAK

Tables = Sequence[pd.DataFrame]
NAMES = {WEAK: "the weak supervisor"}


@dataclass(frozen=True)
class AskingPlan:
    """One model that is asked, for a supervisor's labels or a method, over all tasks and seeds."""

    what: str  # who asks
    source: ModelSource
    costs: Costs  # of the passes through the blocks

    @property
    def flops(self) -> float:
        """Operations: those of the blocks, and of the language-model head after each prompt's last token."""
        return self.costs.flops + 2 * self.costs.rows * self.source.vocabulary * self.source.width


@dataclass(frozen=True)
class _Asker:
    what: str
    model: str
    shots: int
    times: int  # how many models of this architecture read the rows
    rows: Callable[[RowSets], Tables]  # of one seed
    sizes: int  # rows of one seed, by the recipe's sizes


def plan_askings(
    recipe: Recipe,
    methods: Mapping[str, Method],
    splits: Mapping[str, Sequence[RowSets] | None],
    describe: Callable[[str], ModelSource],
    *,
    test_rows: int,
    tokens_per_row: int | None = None,
    batch_tokens: int | None = None,
) -> list[AskingPlan]:
    """The askings of a run whose cache is empty; `splits` are by task's short name, None where no rows were read.

    Rows are counted for each seed and each method that asks: those that share an asking need no second one. A shot
    counts as the mean prompt. InputError for models, words and prompts that the run would refuse.
    """
    plans = []
    for asker in _askers(recipe, methods, test_rows):
        source = describe(asker.model)
        lengths = np.concatenate(
            [_lengths(recipe, asker, source, task, sets, tokens_per_row) for task, sets in splits.items()]
        )
        every = np.tile(lengths, asker.times)
        plans.append(AskingPlan(asker.what, source, estimate(source, every, batch_tokens=batch_tokens)))
    return plans


def _askers(recipe: Recipe, methods: Mapping[str, Method], test_rows: int) -> Iterator[_Asker]:
    weak, data = recipe.weak, recipe.data
    if weak.kind == "prior":
        sizes = data.n_train + data.n_val + test_rows
        yield _Asker(NAMES[WEAK], str(weak.model), weak.n_shots, 1, lambda sets: list(sets.labelled.values()), sizes)
    for name, method in methods.items():
        read = data.n_train + test_rows
        if method.asks:
            yield _Asker(name, recipe.strong.model, recipe.asking.n_shots * (name == FEW_SHOT), 1, _judged, read)
        if method.tuned:
            yield _Asker(f"{name}, before and after its training,", str(weak.model), 0, 2, _judged, read)


def _judged(sets: RowSets) -> Tables:
    """The training rows, by which answers are calibrated, and those that are scored."""
    return [sets.train, *(table for name, table in sets.labelled.items() if is_scored(name))]


def _lengths(
    recipe: Recipe,
    asker: _Asker,
    source: ModelSource,
    task: str,
    sets: Sequence[RowSets] | None,
    tokens_per_row: int | None,
) -> NDArray[np.int64]:
    """The tokens of each prompt about one task's rows, over all seeds."""
    by_seed = [every_row(list(asker.rows(one))) for one in sets or ()]
    if tokens_per_row is not None or not by_seed:
        rows = sum(map(len, by_seed)) if by_seed else len(recipe.seeds) * asker.sizes
        return np.full(rows, (tokens_per_row or 0) * (1 + asker.shots), dtype=np.int64)
    every = every_row(by_seed)
    saying = saying_in(recipe, task, source)
    tokens = pd.Series([len(row) for row in saying.of(every).tokens], index=every["id"])
    shots = 0
    if asker.shots:
        shown = every_row([one.weak for one in sets or ()])
        shots = round(asker.shots * float(np.mean([len(row) for row in saying.of(shown).tokens])))
    return np.concatenate([tokens[rows["id"]].to_numpy(dtype=np.int64) + shots for rows in by_seed])
