"""Cholesky factors that sets of rows share solve each set's own system."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from w2s_probes.probes.left_out import RowFamily, factored

ROWS = 60
EVERY = np.arange(ROWS)
FOLDS = np.random.default_rng(1).permutation(ROWS) % 5
WITHOUT = [np.flatnonzero(fold != FOLDS) for fold in range(5)]
OTHERS = [np.flatnonzero(fold != np.roll(FOLDS, 1)) for fold in range(5)]
UNEVEN = [EVERY[20:], EVERY[:59]]

SETS = {
    "all": ([EVERY], 1),
    "one": ([WITHOUT[2]], 1),
    "folds": (WITHOUT, 1),
    "all and folds": ([EVERY, *WITHOUT], 1),
    "folds and all": ([*WITHOUT, EVERY], 1),
    "three of five folds, which share rows": (WITHOUT[1:4], 1),
    "uneven": (UNEVEN, 1),
    "three folds, of which two alone share too little": ([EVERY[EVERY % 3 != fold] for fold in range(3)], 1),
    "halves, which share nothing": ([EVERY[::2], EVERY[1::2]], 2),
    "folds of two label sets": ([*WITHOUT, *OTHERS], 2),
    "all rows twice": ([EVERY, *WITHOUT, EVERY, *WITHOUT], 2),
    "all and each row left out": ([EVERY, *(np.delete(EVERY, row) for row in range(ROWS))], 4),
    "rows of their own": ([EVERY[:30], EVERY[:30]], 2),
}


def gram(rank: int) -> Any:
    A = np.random.default_rng(0).normal(size=(ROWS, rank))
    return A @ A.T


def solutions(K: Any, sets: Sequence[Any]) -> tuple[dict[int, float], int]:
    """How far each set's solution is from the system's own, by its place, and the number of families."""
    off, families = {}, RowFamily.families(sets)
    for family, some in families:
        half = np.asfortranarray(np.tril(K[np.ix_(some.order, some.order)]))  # the upper half is never read
        for at, factor in factored(half, some):
            targets = np.random.default_rng(2).normal(size=(len(some.order), 3))
            found, own = factor.solve(targets), np.isin(some.order, sets[family[at]])
            rows = some.order[own]
            assert np.array_equal(np.sort(rows), sets[family[at]])
            assert (found[~own] == 0).all()
            off[family[at]] = float(np.abs(found[own] - np.linalg.solve(K[np.ix_(rows, rows)], targets[own])).max())
    return off, len(families)


@pytest.mark.parametrize("name", SETS)
def test_every_set_is_solved_by_itself(name: str) -> None:
    sets, families = SETS[name]
    off, found = solutions(gram(200), sets)
    assert sorted(off) == list(range(len(sets)))
    assert found == families
    assert max(off.values()) < 1e-13


def test_only_sets_whose_products_are_definite_have_a_factor() -> None:
    K = gram(55)  # all 60 rows are dependent, and 48 are not
    off, _ = solutions(K, [EVERY, *WITHOUT])
    assert sorted(off) == [1, 2, 3, 4, 5]
    assert max(off.values()) < 1e-9
    # Two rows of fold 3 that are nearer than any can be: only the set without that fold has neither.
    equal, pair = gram(200), np.flatnonzero(FOLDS == 3)[:2]
    equal[pair[1]] = equal[pair[0]]
    equal[:, pair[1]] = equal[:, pair[0]]
    equal[pair[1], pair[1]] -= 1e-3
    off, _ = solutions(equal, [EVERY, *WITHOUT])
    assert list(off) == [4]
