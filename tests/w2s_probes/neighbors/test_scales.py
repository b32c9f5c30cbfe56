"""Neighbours are exact at every scale that float32 has, or refused: against brute force in float64."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.w2s_probes.neighbors.test_exact import float64_distances
from w2s_probes import InputError, KNNProbe
from w2s_probes.neighbors import distinct, nearest, screened_search, search
from w2s_probes.neighbors.final_order import SearchRows
from w2s_probes.neighbors.screened_search import screened
from w2s_probes.neighbors.screening import full_precision, low_precision

SCALES = [1e-44, 1e-40, 1e-30, 1e-25, 1e-22, 1e-19, 1e-10, 1e-9, 1e9, 1e15, 9e17]  # of the longest row
REFUSED = [1e18, 1e30, 2e38]


def rows(kind: str, n: int = 300, d: int = 24, seed: int = 0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    if kind == "offset":
        X += 30
    if kind == "two far clusters":
        X[::2] += 1000
    if kind == "ties":
        X = rng.integers(-3, 4, size=(n, d)).astype(np.float64)
    if kind == "some rows tiny":
        X[::2] *= 1e-25
    if kind == "some rows smaller and smaller":
        X *= 10.0 ** -(np.arange(n) % 38)[:, None]
    if kind == "columns of all scales":
        X *= 10.0 ** -np.linspace(0, 36, d)
    if kind == "only the smallest columns differ":
        X[:, 3:] = 0
        X[:, 0], X[:, 1] = 1, 2
        X[:, 2] *= 1e-25
    return np.asarray(X / np.linalg.norm(X, axis=1).max())


def refuse_wrong(X: NDArray[np.float32], found: NDArray[np.int64], queries: NDArray[np.float32] | None = None) -> None:
    """Assert that no other rows are nearer, to the rounding of float64: in that of sums equal distances differ."""
    distances = float64_distances(X if queries is None else queries, X)
    if queries is None:
        np.fill_diagonal(distances, np.inf)
    assert (np.diff(np.sort(found, axis=1), axis=1) > 0).all()
    nearest_of_all = np.sort(distances, axis=1)[:, : found.shape[1]]
    np.testing.assert_allclose(np.take_along_axis(distances, found, axis=1), nearest_of_all, rtol=1e-13, atol=0)


KINDS = [
    "plain", "offset", "two far clusters", "ties", "some rows tiny", "some rows smaller and smaller",
    "columns of all scales", "only the smallest columns differ",
]  # fmt: skip


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_are_those_of_brute_force_at_every_scale(kind: str, scale: float) -> None:
    X = (rows(kind) * scale).astype(np.float32)
    found = nearest(X, 7)
    refuse_wrong(X, found.indices)
    wide = X.astype(np.float64)
    true = ((wide[:, None] - wide[found.indices]) ** 2).sum(axis=2)
    np.testing.assert_allclose(found.distances, true, rtol=2e-6, atol=0)
    queries = (rows(kind, n=20, seed=1) * scale).astype(np.float32)
    refuse_wrong(X, nearest(X, 7, queries).indices, queries)


@pytest.mark.parametrize("scale", REFUSED)
def test_rows_that_are_too_large_are_refused_in_one_line_and_without_a_warning(scale: float) -> None:
    X = (rows("plain") * scale * 1.5).astype(np.float32)
    with warnings.catch_warnings(), pytest.raises(InputError, match="are too large for distances in float32: scale"):
        warnings.simplefilter("error")
        nearest(X, 3)


@given(st.integers(0, 10**6), st.integers(-44, 15), st.integers(0, 40), st.integers(2, 60), st.integers(1, 9))
@settings(max_examples=60)
def test_any_mixture_of_scales_equals_brute_force(seed: int, top: int, spread: int, n: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * 10.0 ** (top - rng.integers(0, spread + 1, size=(n, 1)))
    X *= 10.0 ** -rng.integers(0, spread // 2 + 1, size=d)
    narrow = X.astype(np.float32)
    k = int(rng.integers(1, n))
    refuse_wrong(narrow, nearest(narrow, k).indices)


@pytest.mark.parametrize("precision", [full_precision, low_precision])
@pytest.mark.parametrize("scale", [1e-40, 1e-25, 1.0, 1e14])
@pytest.mark.parametrize("kind", ["plain", "some rows tiny", "columns of all scales"])
def test_screened_graphs_are_exact_at_every_scale_too(kind: str, scale: float, precision: Any) -> None:
    X = (rows(kind, n=1200, d=32) * scale).astype(np.float32)
    X = np.unique(X, axis=0)
    scaled = SearchRows.of(X, X)
    found = screened(scaled, scaled.base.mean(axis=0), 5, (precision,))
    if found is not None:
        refuse_wrong(X, found[0])


def test_the_way_that_large_graphs_take_is_taken_at_small_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screened_search, "FEWEST", 100)
    monkeypatch.setattr(screened_search, "NARROWEST", 8)
    monkeypatch.setattr(distinct, "PRECISIONS", (full_precision,))
    X = (rows("plain", n=1500, d=16) * 1e-25).astype(np.float32)
    refuse_wrong(X, nearest(X, 5).indices)


@pytest.mark.parametrize("index", ["cpu", "Flat"])
def test_other_indexes_know_tiny_rows_apart(index: str) -> None:
    X = (rows("plain") * 1e-25).astype(np.float32)
    found = search(X, 5, index=index)
    refuse_wrong(X, found.indices)
    assert found.recall == 1


def test_a_probe_scores_alike_at_every_power_of_two() -> None:
    X, y = rows("plain").astype(np.float32), np.arange(300) % 2
    plain = KNNProbe(9).fit(X, y).out_of_sample_
    for power in (-100, -60, 40):
        assert np.array_equal(KNNProbe(9).fit(X * np.float32(2.0**power), y).out_of_sample_, plain)
