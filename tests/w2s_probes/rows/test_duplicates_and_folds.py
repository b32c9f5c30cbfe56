"""Rows that are equal in every number, and folds that never part related rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2s_probes import InputError
from w2s_probes.rows import duplicates
from w2s_probes.rows.duplicates import equal_rows
from w2s_probes.rows.folds import fold_numbers
from w2s_probes.rows.groups import group_ids


@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 200))
def test_equal_rows_share_a_number_and_no_others_do(seed: int, n: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 2, size=(n, 2)).astype(np.float32)[:, rng.integers(0, 2, size=d)]
    X[rng.random(size=X.shape) < 0.05] *= -1  # -0 is 0
    group = equal_rows(X)
    assert np.array_equal(group[:, None] == group, (X[:, None] == X[None]).all(axis=2))
    assert np.array_equal(np.unique(group), np.arange(group.max() + 1))


def test_rows_of_one_hash_are_still_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_hashes", lambda X: np.zeros(len(X), dtype=np.uint64))
    X = np.array([[1, 2], [3, 4], [1, 2], [0, 0], [-0.0, 0]], dtype=np.float32)
    assert equal_rows(X).tolist() == [0, 1, 0, 2, 2]


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 30))
def test_folds_part_no_group_and_share_out_both_classes(seed: int, folds: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    X, p = rng.normal(size=(300, 3)).astype(np.float32), (rng.random(300) < 0.3).astype(np.float64)
    X[150:160] = X[:10]
    group = rng.integers(groups * 20, size=300)
    fold = fold_numbers(X, p, groups=group, folds=folds, seed=seed)
    together = group_ids(X, group)
    assert all(len(set(fold[together == number])) == 1 for number in np.unique(together))
    assert set(fold) == set(range(folds))
    if groups > 10:
        for side in (0, 1):
            counts = np.bincount(fold[p == side], minlength=folds)
            assert counts.max() - counts.min() <= 8


def test_single_rows_are_shared_out_exactly() -> None:
    fold = fold_numbers(np.arange(1000, dtype=np.float32)[:, None], (np.arange(1000) % 4 == 0).astype(float))
    assert np.bincount(fold[::4]).tolist() == [50] * 5
    assert np.bincount(fold).tolist() == [200] * 5
    again = fold_numbers(np.arange(1000, dtype=np.float32)[:, None], (np.arange(1000) % 4 == 0).astype(float), seed=1)
    assert not np.array_equal(fold, again)


def test_a_rare_class_reaches_every_fold_or_is_refused() -> None:
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        n, folds = int(rng.integers(8, 80)), int(rng.integers(2, 6))
        group, p = np.sort(rng.integers(0, n // 2, n)), np.zeros(n)
        p[rng.permutation(n)[: rng.integers(1, 8)]] = 1
        X = np.arange(n, dtype=np.float32)[:, None]
        try:
            fold = fold_numbers(X, p, groups=group, folds=folds)
        except InputError:
            fewest = min(len(set(group[p == side])) for side in (0, 1))
            refused += fewest >= folds
            continue
        assert all(set(fold[p == side]) == set(range(folds)) for side in (0, 1))
    assert refused < 10


def test_one_fold_is_refused() -> None:
    with pytest.raises(InputError, match="folds=1: cross-fitting needs at least 2"):
        fold_numbers(np.eye(4, dtype=np.float32), np.array([0, 0, 1.0, 1]), folds=1)
