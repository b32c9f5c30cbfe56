"""Rows drawn at random from a table, with as many of each class where that is asked for."""

import numpy as np
import pandas as pd

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
