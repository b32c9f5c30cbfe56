"""Rows far from all others cost no other row a longer search, and change no neighbour: counted, not timed."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.w2s_probes.neighbors.test_exact import brute_force
from w2s_probes.neighbors import distinct, nearest, search
from w2s_probes.neighbors.exhaustive import FlatSearch
from w2s_probes.neighbors.far_first import TRIED, far_first
from w2s_probes.neighbors.far_rows import ORDINARY, Spread, far_rows, robust_center
from w2s_probes.neighbors.screening import Screen, full_precision
from w2s_probes.progress import heard

N, WIDTH, K = 2100, 256, 10
Rows = NDArray[np.float32]


def alike(seed: int = 0) -> Rows:
    return np.random.default_rng(seed).normal(size=(N, WIDTH)).astype(np.float32)


def with_far(X: Rows, share: float, times: float, spread: float = 1.0, directions: int = 1) -> Rows:
    """X with a share of its rows (at least one) moved in some directions by many times the norm of the others."""
    X = X.copy()
    rng = np.random.default_rng(1)
    far = rng.permutation(len(X))[: max(1, round(share * len(X)))]
    ways = np.sqrt(WIDTH) * rng.normal(size=(directions, WIDTH)) / np.sqrt(WIDTH)
    X[far] = np.float32(times) * ways[np.arange(len(far)) % directions] + np.float32(spread) * X[far]
    return X


FAR: dict[str, Callable[[Rows], Rows]] = {
    "one, 300 times as long": lambda X: with_far(X, 0, 300),
    "one, a million times as long": lambda X: with_far(X, 0, 1e6),
    "ten in as many directions": lambda X: with_far(X, 10 / N, 1000, directions=10),
    "a first token in twenty": lambda X: with_far(X, 0.05, 1000),
    "a first token in twenty, all nearly alike": lambda X: with_far(X, 0.05, 1000, spread=0.01),
    "two first tokens": lambda X: with_far(X, 0.1, 300, directions=2),
    "a quarter of all": lambda X: with_far(X, 0.25, 1000),
    "clusters and one beyond": lambda X: with_far(with_far(X, 0.1, 100), 0, 1e5),
}


@cache
def true(kind: str) -> NDArray[np.intp]:
    return brute_force(FAR[kind](alike()), K)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Queries and candidates of each part of an exhaustive search."""
    counts: list[tuple[int, int]] = []
    candidates = FlatSearch._candidates

    def counted(self: FlatSearch, query: NDArray[np.intp], width: int, among_themselves: bool) -> Any:
        counts.append((len(query), width))
        return candidates(self, query, width, among_themselves)

    monkeypatch.setattr(FlatSearch, "_candidates", counted)
    return counts


@pytest.fixture
def by_all_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct, "may_screen", lambda *_: False)


@pytest.mark.usefixtures("by_all_products")
@pytest.mark.parametrize("by", ["blocks", "faiss"])
@pytest.mark.parametrize("kind", FAR)
def test_as_few_rows_are_searched_again_with_far_rows_as_without(
    kind: str, by: str, looked_at: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if by == "faiss":
        monkeypatch.setattr(distinct, "PRODUCTS", 10**9)
    nearest(alike(), K)
    assert sum(queries for queries, _ in looked_at) == N
    looked_at.clear()
    X = FAR[kind](alike())
    found = nearest(X, K)
    far = len(Spread.of(X).far)
    assert far >= 1
    searches = sum(queries for queries, _ in looked_at)
    assert (
        N <= searches <= N + 2 * TRIED + 5 * (far < 30) * far
    )  # some far rows are tried first; few are searched again
    measured = sum(queries * width for queries, width in looked_at)
    assert measured < 1.5 * N * (K + 1 + 8)  # pairs
    assert np.array_equal(found.indices, true(kind))


@pytest.mark.parametrize("kind", FAR)
def test_screening_pays_with_far_rows_and_leaves_as_few_pairs(
    kind: str, looked_at: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs: list[int] = []
    run = Screen.run

    def counted(self: Screen) -> Any:
        result = run(self)
        pairs.append(-1 if result is None else len(result[0]))
        return result

    monkeypatch.setattr(Screen, "run", counted)
    monkeypatch.setattr(distinct, "PRECISIONS", (full_precision,))
    nearest(alike(), K)
    X = FAR[kind](alike())
    found = nearest(X, K)
    without, *others = pairs
    assert 0 < without
    assert 0 < others[0] < 1.2 * without
    assert sum(queries for queries, _ in looked_at) < N  # far rows alone
    monkeypatch.setattr(distinct, "may_screen", lambda *_: False)
    by_products = nearest(X, K)
    assert np.array_equal(found.indices, by_products.indices)
    assert np.array_equal(found.distances, by_products.distances)


@pytest.mark.parametrize("kind", FAR)
def test_queries_among_far_rows_and_between_have_their_neighbours(kind: str, looked_at: list[tuple[int, int]]) -> None:
    X, queries = FAR[kind](alike()), FAR[kind](alike(seed=2))[:400]
    queries[::50] = (queries[::50] + X[1:9]) / 2
    found = nearest(X, K, queries)
    assert np.array_equal(found.indices, brute_force(X, K, queries))
    if kind != "ten in as many directions":
        assert sum(queries for queries, _ in looked_at) < 2 * len(queries)


def test_a_device_finds_the_same(looked_at: list[tuple[int, int]]) -> None:
    pytest.importorskip("torch")
    X = FAR["a first token in twenty, all nearly alike"](alike())
    found, ours = search(X, K, index="cpu"), search(X, K)
    assert sum(queries for queries, _ in looked_at) < 1.2 * N
    assert np.array_equal(found.indices, ours.indices)
    assert np.array_equal(found.distances, ours.distances)


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 4), st.sampled_from([4, 30, 1000]), st.booleans())
@settings(max_examples=80)
def test_clusters_of_ties_at_any_distance_equal_brute_force(
    seed: int, clusters: int, k: int, apart: int, ask: bool
) -> None:
    """Also where a cluster is too near, or too wide, for its rows to be searched among themselves alone."""
    rng = np.random.default_rng(seed)
    middles = apart * rng.integers(-2, 3, size=(clusters + 1, 2))
    wide = rng.integers(1, 1 + apart, size=clusters + 1)
    cluster = np.where(rng.random(90) < 0.6, 0, rng.integers(clusters + 1, size=90))
    X = (middles[cluster] + np.round(rng.normal(size=(90, 2)) * wide[cluster, None])).astype(np.float32)
    queries = (X[rng.permutation(90)[:30]] + rng.integers(-apart, apart + 1, size=(30, 2))).astype(np.float32)
    asked = queries if ask else None
    assert np.array_equal(nearest(X, k, asked).indices, brute_force(X, k, asked))


def test_far_rows_that_have_neighbours_outside_are_searched_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows far away in as many directions are all nearer to the others than to each other."""
    done: list[int] = []

    def noted(*given: Any) -> Any:
        result = far_first(*given)
        done.append(len(result[0]))
        return result

    monkeypatch.setattr(distinct, "far_first", noted)
    for directions, found in ((150, 0), (1, 150)):
        done.clear()
        X = with_far(alike(), 150 / N, 100, directions=directions)
        assert len(Spread.of(X).far) == 150
        assert np.array_equal(nearest(X, K).indices, brute_force(X, K))
        assert done[-1] == found


def test_a_center_is_near_the_mean_of_all_rows_but_the_far_ones() -> None:
    plain = alike()
    for kind, make in FAR.items():
        center = robust_center(make(plain))
        assert np.linalg.norm(center - plain.mean(axis=0)) < 0.1 * np.sqrt(WIDTH), kind
    shifted = robust_center(plain + 1000)
    assert np.linalg.norm(shifted - 1000) < 0.1 * np.sqrt(WIDTH)
    two = plain.copy()
    two[::2] += ORDINARY / 4  # no far cluster: both count
    assert np.linalg.norm(robust_center(two) - two.mean(axis=0)) < 0.1 * np.sqrt(WIDTH)


def test_far_begins_at_a_gap_beyond_the_median() -> None:
    assert far_rows(np.array([1.0, 1, 1, 1])).tolist() == []
    assert far_rows(np.array([0.0, 4, 1, 100, 1])).tolist() == [3]
    assert far_rows(np.array([1.0, 90, 1, 10_000, 1, 95, 2])).tolist() == [1, 3, 5]
    assert far_rows(np.array([1.0, 8, 64, 512, 4096])).tolist() == []  # no gap
    assert far_rows(np.array([0.0, 0, 0, 1])).tolist() == [3]
    assert far_rows(np.array([100.0, 100, 1])).tolist() == []  # they are most


@pytest.mark.parametrize("kind", [None, "one, a million times as long", "a first token in twenty, all nearly alike"])
@pytest.mark.parametrize("screen", [True, False])
def test_progress_counts_rows_once_they_are_found_and_ends_with_the_search(
    kind: str | None, screen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not screen:
        monkeypatch.setattr(distinct, "may_screen", lambda *_: False)
    monkeypatch.setattr("w2s_probes.neighbors.exhaustive.REPORTED", 300)
    events: list[Any] = []
    candidates = FlatSearch._candidates

    def noted(self: FlatSearch, query: NDArray[np.intp], width: int, among_themselves: bool) -> Any:
        events.append("searched")
        return candidates(self, query, width, among_themselves)

    monkeypatch.setattr(FlatSearch, "_candidates", noted)
    X = FAR[kind](alike()) if kind else alike()
    with heard(lambda *step: events.append(step)):
        nearest(X, K)
    told = [event for event in events if event[0] == "rows whose neighbours are found"]
    counts = [done for _, done, _ in told]
    assert len(counts) > 2
    assert counts == sorted(set(counts))
    assert {total for _, _, total in told} == {N}
    assert counts[-1] == N
    assert events[-1] == told[-1]
    for name in {event[0] for event in events if event != "searched"}:  # each kind of step goes up and ends
        shares = [event[1] / event[2] for event in events if event[0] == name]
        assert shares == sorted(shares)
        assert shares[-1] == 1
