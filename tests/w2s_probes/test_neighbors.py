"""Exact neighbours against brute force in float64, with duplicates and offsets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from w2s_probes import InputError
from w2s_probes.neighbors import nearest


def brute_force(X: NDArray[np.float32], k: int, queries: NDArray[np.float32] | None = None) -> NDArray[np.intp]:
    """Neighbours from float64 differences; self left out; ties by row index."""
    asked = X if queries is None else queries
    distances = ((asked[:, None, :].astype(np.float64) - X[None].astype(np.float64)) ** 2).sum(axis=2)
    if queries is None:
        np.fill_diagonal(distances, np.inf)
    order: NDArray[np.intp] = np.argsort(distances, axis=1, kind="stable")
    return order[:, :k]


@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(1, 4), st.integers(1, 39))
def test_neighbours_on_a_grid_full_of_ties_and_duplicates_equal_brute_force(seed: int, n: int, d: int, k: int) -> None:
    k = min(k, n - 1)
    X = np.random.default_rng(seed).integers(-2, 3, size=(n, d)).astype(np.float32)
    found = nearest(X, k)
    assert np.array_equal(found.indices, brute_force(X, k))
    assert found.k == k


def test_a_row_is_never_its_own_neighbour_though_many_are_equal_to_it() -> None:
    X = np.zeros((60, 3), np.float32)  # more duplicates than candidates are searched
    found = nearest(X, 5)
    assert not (found.indices == np.arange(60)[:, None]).any()
    expected = [[j for j in range(60) if j != i][:5] for i in range(60)]
    assert found.indices.tolist() == expected


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_a_common_offset_changes_no_neighbour(offset: float) -> None:
    X = np.random.default_rng(0).normal(size=(500, 64)).astype(np.float32) + np.float32(offset)
    assert np.array_equal(nearest(X, 10).indices, brute_force(X, 10))


def test_queries_find_training_rows_themselves_included() -> None:
    rng = np.random.default_rng(1)
    X, queries = rng.normal(size=(300, 8)).astype(np.float32), rng.normal(size=(40, 8)).astype(np.float32)
    assert np.array_equal(nearest(X, 7, queries).indices, brute_force(X, 7, queries))
    assert np.array_equal(nearest(X, 1, X).indices[:, 0], np.arange(300))


def test_a_lower_k_is_a_prefix_of_a_higher_one() -> None:
    X = np.random.default_rng(2).normal(size=(200, 5)).astype(np.float32)
    assert np.array_equal(nearest(X, 30).indices[:, :4], nearest(X, 4).indices)


@pytest.mark.parametrize("k", [0, 10, 50])
def test_k_beyond_the_rows_is_refused_with_the_numbers(k: int) -> None:
    with pytest.raises(InputError, match=rf"k={k} needs at least {max(k, 1) + 1} rows, got 10"):
        nearest(np.zeros((10, 2), np.float32), k)


@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 5), st.integers(1, 29))
def test_queries_among_duplicates_equal_brute_force(seed: int, n: int, d: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    X, queries = (rng.integers(-1, 2, size=(size, d)).astype(np.float32) for size in (n, 7))
    k = min(k, n)
    assert np.array_equal(nearest(X, k, queries).indices, brute_force(X, k, queries))


@pytest.mark.parametrize("case", ["one huge row", "an outlier dimension", "two tight clusters", "two distinct rows"])
def test_awkward_activations_cost_no_exactness(case: str) -> None:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(400, 48)).astype(np.float32)
    if case == "one huge row":
        X[17] *= 300
    if case == "an outlier dimension":
        X[:, 5] = 2e3 + 50 * X[:, 5]
    if case == "two tight clusters":
        X = (1e-3 * X).astype(np.float32)
        X[::2, 0] += 10
    if case == "two distinct rows":
        X = X[np.arange(400) % 2]
    assert np.array_equal(nearest(X, 12).indices, brute_force(X, 12))


def test_activations_whose_distances_overflow_are_refused() -> None:
    X = np.full((30, 4), 1e19, np.float32)
    X[::2] *= -1
    with pytest.raises(InputError, match="too large for distances in float32"):
        nearest(X, 3)


def test_one_huge_row_makes_no_other_search_longer() -> None:
    """Its norm is in no other row's error bound: only itself may be looked at twice."""
    from w2s_probes import neighbors

    X = np.random.default_rng(4).normal(size=(2000, 64)).astype(np.float32)
    X[0] *= 500
    looked_at: list[int] = []
    search = neighbors._Search(X)
    candidates = search._candidates
    search._candidates = lambda q, rows, w, own: (looked_at.append(len(rows)), candidates(q, rows, w, own))[1]  # type: ignore[method-assign, func-returns-value, assignment]
    search.run(X, 10, own=True)
    assert sum(looked_at) < 2000 + 20
