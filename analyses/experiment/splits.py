"""Four disjoint row sets: weak-train, strong-train, validation and test; related rows stay together.

Beside the task's own test set there may be others (`evaluation_sets`).
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from extract.tasks import TaskRows, load_task
from w2s_probes.errors import InputError
from w2s_probes.randomness import stream
from w2s_probes.rows.groups import GROUP

from ..recipe.rater_keys import reads_truth
from ..recipe.schema import Recipe
from .conflict_rows import with_conflict
from .drawing_rows import balanced, dealt_exactly, drawn
from .evaluation_sets import with_test_sets
from .row_sets import RowSets
from .stress import easy_training, stressed


def split_task(recipe: Recipe, name: str) -> dict[int, RowSets]:
    """A task's row sets by seed."""
    return split_loaded(recipe, load_rows(recipe, name))


def load_rows(recipe: Recipe, name: str) -> TaskRows:
    """A task's rows, with the values of the field by which its test rows are told apart."""
    subset = recipe.data.subset
    return load_task(name, recipe.data.folder, () if subset is None else (subset.field,))


def split_loaded(recipe: Recipe, loaded: TaskRows) -> dict[int, RowSets]:
    """The row sets of loaded rows, by seed."""
    sizes = {"n_weak": recipe.weak.n_truth, **recipe.data.model_dump(include={"n_train", "n_val", "n_test"})}
    if not reads_truth(recipe.weak):
        sizes["n_weak"] = 0
    by_seed, taught = {}, easy_training(loaded)
    for seed in recipe.seeds:
        sets = split(
            taught.train,
            loaded.test,
            **sizes,
            at_most=recipe.data.at_most,
            balance=loaded.task.balance,
            seed=seed,
            task=loaded.name,
            drawn_as=loaded.drawn_as,
            share=None if loaded.task.stress is None else loaded.task.stress.imbalance,
        )
        if loaded.candidates is not None:
            sets = replace(sets, candidates=loaded.candidates_of(sets.test["id"]))
        by_seed[seed] = stressed(loaded, sets, seed)
    return with_conflict(recipe, loaded, with_test_sets(recipe, loaded, by_seed))


def split(
    train: pd.DataFrame,
    test: pd.DataFrame,
    *,
    n_weak: int,
    n_train: int,
    n_val: int,
    n_test: int,
    balance: bool,
    seed: int,
    task: str,
    at_most: bool = False,
    drawn_as: str | None = None,
    share: float | None = None,
) -> RowSets:
    """Draw the sets: test from `test`, the same rows for every seed; the others from `train`, by seed.

    Groups are dealt whole, in random order, to the weak-train, then the validation, then the strong-train set.
    With `balance` the larger class is first cut to the size of the other. InputError where rows run out, unless the
    sizes are meant `at_most`: then those of the sets from `train` shrink alike, and the test set to what there is.
    Tasks that are `drawn_as` one another get the same rows. `share` of label 1 is exact in the sets from `train`, in
    place of balance; of a group rows of a class that is complete are then unused.
    """
    for name, table in {"train": train, "test": test}.items():
        if table["label"].nunique() < 2:
            raise InputError(
                f"{task}: {name} has one class only after equal texts were taken away ({len(table)} rows are left): "
                "give it more rows"
            )
    # The test rows must not depend on the seed, or seeds could not be compared row by row.
    chosen_test = drawn(test, n_test, balance, stream(0, drawn_as or task, "test"), f"{task}: n_test", at_most=at_most)
    rng = stream(seed, drawn_as or task, "split")
    pool = balanced(train, rng) if balance and share is None else train
    needed = n_weak + n_val + n_train
    sizes = [n_weak, n_val, n_train]
    if at_most and len(pool) < needed:
        sizes = [len(pool) * size // needed for size in sizes]
    elif len(pool) < needed:
        raise InputError(
            f"{task}: n_truth + n_val + n_train = {n_weak} + {n_val} + {n_train} = {needed} rows are asked for, "
            f"but train has {len(pool)}{' after balancing' if balance else ''}: lower them, or set data.at_most = true"
        )
    groups = {str(name): rows for name, rows in pool.groupby(GROUP, sort=True).indices.items()}
    order = rng.permutation(np.array(sorted(groups), dtype=object))
    parts: list[pd.DataFrame] = []
    if share is not None and at_most:
        ones, total = int((pool["label"] > 0.5).sum()), sum(sizes)
        spare = len(sizes)  # each set's share is rounded
        fits = min(1.0, (ones - spare) / (share * total), (len(pool) - ones - spare) / ((1 - share) * total))
        sizes = [int(size * fits) for size in sizes]
    if share is not None:
        parts = dealt_exactly(
            pool, [np.asarray(groups[name]) for name in order], sizes, share, f"{task}: stress.imbalance"
        )
        sizes = []
    for wanted in sizes:
        rows: list[int] = []
        while len(rows) < wanted and len(order):
            rows += [int(row) for row in groups[order[0]]]
            order = order[1:]
        if len(rows) < wanted and not at_most:
            raise InputError(
                f"{task}: too few rows once related rows are kept together: lower n_train or n_val, or set "
                "data.at_most = true"
            )
        parts.append(pool.iloc[rows[:wanted]].reset_index(drop=True))  # the rest of the last group stays unused
    weak, val, strong = parts
    for name, part in {"weak-train": weak, "strong-train": strong, "validation": val}.items():
        if (n_weak or part is not weak) and part["label"].nunique() < 2:
            raise InputError(f"{task}: the {name} set of {len(part)} rows has one class only: ask for more rows")
    return RowSets(weak, strong, val, chosen_test, drawn_as=drawn_as or "")
