"""What a recipe asks its models, before it is run: prompts, tokens, operations."""

from collections.abc import Callable, Mapping, Sequence
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

NAMES = {WEAK: "the weak supervisor"}
FUSING = "fusion"  # all of its methods ask once
LABELLED, CALIBRATED, JUDGED = "labelled", "calibrated", "judged"  # rows that are asked about
# Which of the sets that a supervisor labels, and how many rows beside test rows by the recipe's sizes.
ROWS: dict[str, tuple[Callable[[str], bool], Callable[[Recipe], int]]] = {
    LABELLED: (lambda name: True, lambda recipe: recipe.data.n_train + recipe.data.n_val),
    CALIBRATED: (lambda name: name == "train" or is_scored(name), lambda recipe: recipe.data.n_train),
    JUDGED: (is_scored, lambda recipe: 0),
}


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
    model: str
    shots: int
    sets: str  # of rows, by `ROWS`
    times: int = 1  # how many models of this architecture read them
    whole: bool = False  # whether it wants every token's logits, which are not those that others keep


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

    Methods that ask a model the same share one; each seed has its own. A shot counts as the mean prompt. InputError for
    models, words and prompts that the run would refuse.
    """
    plans = []
    for asker, names in _askers(recipe, methods).items():
        source = describe(asker.model)
        lengths = np.concatenate(
            [_lengths(recipe, asker, source, task, sets, test_rows, tokens_per_row) for task, sets in splits.items()]
        )
        costs = estimate(source, np.tile(lengths, asker.times), batch_tokens=batch_tokens)
        plans.append(AskingPlan(" and ".join(names), source, costs))
    return plans


def _askers(recipe: Recipe, methods: Mapping[str, Method]) -> dict[_Asker, list[str]]:
    """Who asks: names by what they ask."""
    askers: dict[_Asker, list[str]] = {}
    if recipe.weak.kind == "prior":
        askers[_Asker(str(recipe.weak.model), recipe.weak.n_shots, LABELLED)] = [NAMES[WEAK]]
    calibrated = CALIBRATED if recipe.asking.calibrate == "prior" else JUDGED
    for name, method in methods.items():
        if method.asks:
            shots = recipe.asking.n_shots if name == FEW_SHOT else 0
            askers.setdefault(_Asker(recipe.strong.model, shots, calibrated), []).append(name)
        if method.tuned:
            askers.setdefault(_Asker(str(recipe.weak.model), 0, JUDGED, times=2), []).append(name)
    if any(method.fuses for method in methods.values()):
        fusion, whole = recipe.fusion, recipe.fusion.over == "vocabulary"
        small, times = str(fusion.base or recipe.weak.model), 1 + max(1, len(fusion.experts))
        for asker in (_Asker(recipe.strong.model, 0, JUDGED, whole=whole), _Asker(small, 0, JUDGED, times, whole)):
            askers.setdefault(asker, []).append(FUSING)
    return askers


def _lengths(
    recipe: Recipe,
    asker: _Asker,
    source: ModelSource,
    task: str,
    sets: Sequence[RowSets] | None,
    test_rows: int,
    tokens_per_row: int | None,
) -> NDArray[np.int64]:
    """The tokens of each prompt about one task's rows, over all seeds."""
    read, sized = ROWS[asker.sets]
    by_seed = [every_row([table for name, table in one.labelled.items() if read(name)]) for one in sets or ()]
    if tokens_per_row is not None or not by_seed:
        rows = sum(map(len, by_seed)) if by_seed else len(recipe.seeds) * (test_rows + sized(recipe))
        return np.full(rows, (tokens_per_row or 0) * (1 + asker.shots), dtype=np.int64)
    every = every_row(by_seed)
    saying = saying_in(recipe, task, source)
    tokens = pd.Series([len(row) for row in saying.of(every).tokens], index=every["id"])
    shots = 0
    if asker.shots:
        shown = every_row([one.weak for one in sets or ()])
        shots = round(asker.shots * float(np.mean([len(row) for row in saying.of(shown).tokens])))
    return np.concatenate([tokens[rows["id"]].to_numpy(dtype=np.int64) + shots for rows in by_seed])
