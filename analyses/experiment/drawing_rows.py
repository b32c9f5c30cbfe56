"""Rows drawn at random from a table, with as many of each class where that is asked for."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.errors import InputError


def drawn(
    table: pd.DataFrame, n: int, balance: bool, rng: np.random.Generator, what: str, *, at_most: bool
) -> pd.DataFrame:
    """`n` rows in random order, balanced if asked for. Fewer are an InputError, unless `at_most` so many are wanted."""
    pool = balanced(table, rng) if balance else table
    if len(pool) < n and not at_most:
        raise InputError(
            f"{what} = {n}, but test has {len(pool)} rows{' after balancing' if balance else ''}: lower it, or set "
            "data.at_most = true"
        )
    return pool.iloc[rng.permutation(len(pool))[:n]].reset_index(drop=True)


def balanced(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The table with the larger class cut, at random, to the size of the smaller one."""
    sizes = table["label"].value_counts()
    kept = [rng.permutation(np.flatnonzero(table["label"] == side))[: sizes.min()] for side in (0, 1)]
    return table.iloc[np.sort(np.concatenate(kept))].reset_index(drop=True)


def dealt_exactly(
    table: pd.DataFrame, groups: list[NDArray[np.intp]], sizes: list[int], share: float, what: str
) -> list[pd.DataFrame]:
    """Tables of these sizes, with exactly this share of label 1 to a row; no two have rows of one group.

    Groups come in the order given. One of which a table needs no row is left to the next.
    """
    labels, tables = table["label"].to_numpy(), []
    for size in sizes:
        left = {1: round(share * size), 0: size - round(share * size)}
        rows: list[int] = []
        unused = []
        for group in groups:
            before = len(rows)
            for row in group:
                if left[labels[row]]:
                    rows.append(int(row))
                    left[labels[row]] -= 1
            if len(rows) == before:
                unused.append(group)
        if lacking := {label: count for label, count in left.items() if count}:
            label, count = next(iter(lacking.items()))
            raise InputError(
                f"{what} = {share:g}: {count} rows of label {label} are lacking for {size}: lower n_train, n_val or "
                "n_truth, or give another share"
            )
        groups = unused
        tables.append(table.iloc[rows].reset_index(drop=True))
    return tables
