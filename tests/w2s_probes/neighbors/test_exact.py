"""Exact neighbours against brute force in float64, with duplicates and offsets."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from w2s_probes import InputError
from w2s_probes.neighbors import nearest
from w2s_probes.neighbors.exhaustive import FlatSearch
from w2s_probes.neighbors.final_order import SearchRows, squared_norms
from w2s_probes.neighbors.screened_search import screened
from w2s_probes.neighbors.screening import Screen, full_precision, low_precision
from w2s_probes.rows.duplicates import equal_rows


def brute_force(X: NDArray[np.float32], k: int, queries: NDArray[np.float32] | None = None) -> NDArray[np.intp]:
    """Neighbours from float64 differences; self left out; ties by row index."""
    distances = float64_distances(X if queries is None else queries, X)
    if queries is None:
        np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1, kind="stable")[:, :k]


def float64_distances(rows: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """Squared distances (rows, others): each the sum of squared differences."""
    return np.asarray(cdist(rows.astype(np.float64), others.astype(np.float64), "sqeuclidean"))


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


def test_one_huge_row_makes_no_other_search_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its norm is in no other row's error bound: only itself may be looked at twice."""
    X = np.random.default_rng(4).normal(size=(2000, 64)).astype(np.float32)
    X[0] *= 500
    looked_at: list[int] = []
    candidates = FlatSearch._candidates

    def counted(self: FlatSearch, query: NDArray[np.intp], width: int, own: bool) -> Any:
        looked_at.append(len(query))
        return candidates(self, query, width, own)

    monkeypatch.setattr(FlatSearch, "_candidates", counted)
    nearest(X, 10)
    assert 2000 <= sum(looked_at) < 2000 + 20


AWKWARD: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "gaussian": lambda X: X,
    "an outlier dimension": lambda X: np.concatenate([100 * X[:, :1] + 2000, X[:, 1:]], axis=1),
    "a common offset": lambda X: X + np.float32(100),
    "one huge row": lambda X: np.where(np.arange(len(X))[:, None] == 17, 300 * X, X),
    "few directions": lambda X: X[:, :3] @ X[:3] + np.float32(0.05) * X,
    "two tight clusters": lambda X: np.float32(1e-3) * X + 10 * (np.arange(len(X)) % 2)[:, None].astype(np.float32),
    "a grid": lambda X: np.round(X[:, :2].repeat(150, axis=1) * 8),
    "tiny numbers": lambda X: X * np.float32(1e-12),
}


@cache
def awkward(case: str) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Rows without exact duplicates, and the true neighbours of each."""
    X = AWKWARD[case](np.random.default_rng(5).normal(size=(1500, 300)).astype(np.float32)).astype(np.float32)
    X = X[np.unique(equal_rows(X), return_index=True)[1]]
    return X, brute_force(X, 12)


@pytest.mark.parametrize("precision", [low_precision, full_precision])
@pytest.mark.parametrize("case", AWKWARD)
def test_screening_misses_no_neighbour_or_says_that_it_does_not_pay(
    case: str, precision: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("w2s_probes.neighbors.screening.DEAR", 8)  # few rows: it would hardly ever pay
    X, true = awkward(case)
    if precision is low_precision:
        pytest.importorskip("torch")
        if precision(X, squared_norms(X)) is None:
            pytest.skip("this processor has no bfloat16 instructions")
    found = screened(SearchRows(X, X), X.mean(axis=0), 12, (precision,))
    if case in ("gaussian", "an outlier dimension", "one huge row"):
        assert found is not None
    if found is not None:
        assert np.array_equal(found[0], true)
    assert np.array_equal(nearest(X, 12).indices, true)


@pytest.mark.parametrize("precision", [low_precision, full_precision])
@pytest.mark.parametrize("case", AWKWARD)
def test_the_bounds_of_screening_hold_for_every_pair(case: str, precision: Any) -> None:
    X = AWKWARD[case](np.random.default_rng(6).normal(size=(700, 300)).astype(np.float32)).astype(np.float32)
    centred = X - X.mean(axis=0)
    squares = squared_norms(centred)
    if precision is low_precision:
        pytest.importorskip("torch")
    products = precision(centred, squares)
    if products is None:
        pytest.skip("this processor has no bfloat16 instructions")
    screen = Screen(squares, 5, products)
    rows, columns = np.arange(len(X))[:, None], np.arange(len(X))[None]
    product = products.product(slice(0, len(X)), slice(0, len(X)))
    above = screen._upper(rows, columns, product)
    below = screen.low[rows] + screen.low[columns] - 2 * screen._reached(product)
    true = float64_distances(X, X)
    assert (below <= true).all()
    assert (true <= above).all()


def test_a_graph_of_many_rows_is_screened_and_equals_the_plain_search(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    X = (rng.normal(size=(4500, 20)) @ rng.normal(size=(20, 256)) + rng.normal(size=(4500, 256))).astype(np.float32)
    X[4400:] = X[:100]  # duplicates are searched once
    found = nearest(X, 9)
    monkeypatch.setattr("w2s_probes.neighbors.screened_search.FEWEST", 10**9)
    plain = nearest(X, 9)
    assert np.array_equal(found.indices, plain.indices)
    assert found.distances == pytest.approx(plain.distances, rel=1e-5)
    near = brute_force(X, 10, X[:50])
    assert np.array_equal(found.indices[:50], near[near != np.arange(50)[:, None]].reshape(50, 9))


def test_bfloat16_activations_with_an_offset_keep_their_neighbours() -> None:
    """Computing in the stored bfloat16 would lose half of them; the control shows it."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(8)
    stored = torch.from_numpy(rng.normal(size=(800, 256)) + 8).bfloat16()
    X = stored.float().numpy()
    true = brute_force(X, 20)
    assert np.mean([np.isin(a, b).mean() for a, b in zip(true, nearest(X, 20).indices, strict=True)]) >= 0.995
    squares = (stored * stored).sum(dim=1)
    rough = (squares[:, None] + squares[None] - 2 * stored @ stored.T).float()
    rough.fill_diagonal_(float("inf"))
    lost = rough.topk(20, dim=1, largest=False).indices.numpy()
    assert np.mean([np.isin(a, b).mean() for a, b in zip(true, lost, strict=True)]) < 0.6


def test_the_number_of_threads_changes_no_neighbour() -> None:
    X = np.random.default_rng(9).normal(size=(4200, 300)).astype(np.float32)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(nearest(X, 15))
    assert np.array_equal(found[0].indices, found[1].indices)
    assert found[0].distances == pytest.approx(found[1].distances, rel=1e-6)
