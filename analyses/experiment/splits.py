"""Four disjoint row sets: weak-train, strong-train, validation and test; related rows stay together."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from extract.tasks import TaskRows, load_task
from w2s_probes.errors import InputError
from w2s_probes.randomness import stream
from w2s_probes.rows.groups import GROUP

from ..recipe.schema import Recipe


@dataclass(frozen=True)
class RowSets:
    """Disjoint tables of rows (id, text, label, group); no two share a group."""

    weak: pd.DataFrame  # ground truth, for the weak supervisor alone
    train: pd.DataFrame  # the weak supervisor labels these for the student
    val: pd.DataFrame  # and these, for early stopping
    test: pd.DataFrame  # ground truth, for the numbers
    candidates: pd.DataFrame | None = None  # every answer to the test questions, with `question`; None for single texts

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The sets by name; `weak` is empty where the supervisor is trained on nothing."""
        named = {"weak": self.weak, "train": self.train, "val": self.val, "test": self.test}
        return named if self.candidates is None else named | {"candidates": self.candidates}

    @property
    def labelled(self) -> dict[str, pd.DataFrame]:
        """The sets that the supervisor labels: all but weak-train."""
        return {name: table for name, table in self.tables.items() if name != "weak"}

    def summary(self) -> dict[str, dict[str, float]]:
        """Rows and share of label 1 in each set that has rows."""
        return {
            name: {"rows": len(table), "positive": round(float(table["label"].mean()), 4)}
            for name, table in self.tables.items()
            if len(table)
        }


def split_task(recipe: Recipe, name: str) -> dict[int, RowSets]:
    """A task's row sets by seed."""
    return split_loaded(recipe, load_task(name, recipe.data.folder))


def split_loaded(recipe: Recipe, loaded: TaskRows) -> dict[int, RowSets]:
    """The row sets of loaded rows, by seed."""
    sizes = {"n_weak": recipe.weak.n_truth, **recipe.data.model_dump(include={"n_train", "n_val", "n_test"})}
    if recipe.weak.kind == "labels":
        sizes["n_weak"] = 0
    by_seed = {}
    for seed in recipe.seeds:
        sets = split(
            loaded.train,
            loaded.test,
            **sizes,
            at_most=recipe.data.at_most,
            balance=loaded.task.balance,
            seed=seed,
            task=loaded.name,
        )
        if loaded.candidates is not None:
            sets = replace(sets, candidates=loaded.candidates_of(sets.test["id"]))
        by_seed[seed] = sets
    return by_seed


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
) -> RowSets:
    """Draw the sets: test from `test`, the same rows for every seed; the others from `train`, by seed.

    Groups are dealt whole, in random order, to the weak-train, then the validation, then the strong-train set.
    With `balance` the larger class is first cut to the size of the other. InputError where rows run out, unless the
    sizes are meant `at_most`: then those of the sets from `train` shrink alike, and the test set to what there is.
    """
    for name, table in {"train": train, "test": test}.items():
        if table["label"].nunique() < 2:
            raise InputError(
                f"{task}: {name} has one class only after equal texts were taken away ({len(table)} rows are left): "
                "give it more rows"
            )
    # The test rows must not depend on the seed, or seeds could not be compared row by row.
    chosen_test = _drawn(test, n_test, balance, stream(0, task, "test"), f"{task}: n_test", at_most)
    rng = stream(seed, task, "split")
    pool = _balanced(train, rng) if balance else train
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
    return RowSets(weak, strong, val, chosen_test)


def _drawn(
    table: pd.DataFrame, n: int, balance: bool, rng: np.random.Generator, what: str, at_most: bool
) -> pd.DataFrame:
    pool = _balanced(table, rng) if balance else table
    if len(pool) < n and not at_most:
        raise InputError(
            f"{what} = {n}, but test has {len(pool)} rows{' after balancing' if balance else ''}: lower it, or set "
            "data.at_most = true"
        )
    return pool.iloc[rng.permutation(len(pool))[:n]].reset_index(drop=True)


def _balanced(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The table with the larger class cut, at random, to the size of the smaller one."""
    sizes = table["label"].value_counts()
    kept = [rng.permutation(np.flatnonzero(table["label"] == side))[: sizes.min()] for side in (0, 1)]
    return table.iloc[np.sort(np.concatenate(kept))].reset_index(drop=True)
