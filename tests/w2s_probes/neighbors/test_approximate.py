"""The approximate index: its recall is measured, asked for, and refused where it is too low."""

import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from w2s_probes import InputError, TopoProbe
from w2s_probes.neighbors import Neighbors, nearest, search
from w2s_probes.neighbors.other_indexes import CellIndex, cells_for
from w2s_probes.progress import heard


@pytest.fixture(scope="module")
def clusters() -> NDArray[np.float32]:
    """3,000 rows in sixty clusters, one of which is far from the origin, and some rows twice."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 24))[np.arange(3000) % 60] * 3 + rng.normal(size=(3000, 24)) + 100
    X[2990:] = X[:10]
    return X.astype(np.float32)


@pytest.fixture(scope="module")
def true(clusters: NDArray[np.float32]) -> Neighbors:
    return nearest(clusters, 20)


def share(found: NDArray[np.int64], true: NDArray[np.int64]) -> float:
    return float(np.mean([np.isin(a, b).mean() for a, b in zip(true, found, strict=True)]))


def test_as_many_cells_are_searched_as_the_recall_needs(
    clusters: NDArray[np.float32], true: Neighbors, monkeypatch: pytest.MonkeyPatch
) -> None:
    probed: list[int] = []
    searching = CellIndex.probe

    def noted(self: CellIndex, cells: int) -> None:
        probed.append(cells)
        searching(self, cells)

    monkeypatch.setattr(CellIndex, "probe", noted)
    monkeypatch.setattr("w2s_probes.rows.row_parts.BLOCK", 24 * 700)  # rows added and searched in several parts
    for name, least in (("approximate:recall=0.7", 0.7), ("approximate", 0.98)):
        found = search(clusters, 20, index=name)
        assert found.recall >= least
        assert share(found.indices, true.indices) == pytest.approx(found.recall, abs=0.05)
        assert not (found.indices == np.arange(3000)[:, None]).any()
        assert (np.diff(found.distances, axis=1) >= 0).all()
    assert probed[0] < probed[1] <= cells_for(3000) / 4
    same = found.indices == true.indices
    assert found.distances[same] == pytest.approx(true.distances[same], rel=1e-6)


def test_neighbours_of_queries_and_of_groups(clusters: NDArray[np.float32]) -> None:
    found = search(clusters, 9, clusters[:40] + np.float32(0.1), index="approximate")
    assert share(found.indices, nearest(clusters, 9, clusters[:40] + np.float32(0.1)).indices) == found.recall >= 0.98
    ids = np.where(np.arange(3000) < 300, 0, np.arange(3000))  # wider than what is searched first
    exact, apart = search(clusters, 9, group_ids=ids), search(clusters, 9, group_ids=ids, index="approximate")
    assert not (ids[apart.indices] == ids[:, None]).any()
    assert share(apart.indices, exact.indices) >= 0.97


def test_an_index_of_too_low_a_recall_is_refused_and_taken_when_told() -> None:
    flat = np.random.default_rng(1).normal(size=(3000, 48)).astype(np.float32)  # no cells: all rows are alike far
    for index, said in (
        ("approximate", "hold"),
        ("IVF32,Flat", "finds"),
        ("approximate:recall=0.9", "90.0% are asked"),
    ):
        with pytest.raises(InputError, match=said) as refused:
            search(flat, 20, index=index)
        assert re.search(r"\d\.\d% of the true neighbours of 256 rows", str(refused.value))
        remedy = re.findall(r"'([^']+:recall=[0-9.]+)'", str(refused.value))[0]
        assert 0 < search(flat, 20, index=remedy).recall < 0.98
    with pytest.raises(InputError, match=r"98\.0% are asked"):
        TopoProbe(9, 5, index="IVF32,Flat").fit(flat, np.arange(3000) % 60 < 30)


@pytest.mark.parametrize("index", ["approximate:recall=2", "HNSW32:recall=most", "exact:recall=0.9", "cuda:0:recall=1"])
def test_a_recall_that_is_none_is_refused(index: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"index={index!r}")):
        search(np.ones((9, 2), np.float32), 3, index=index)


def test_few_rows_have_few_cells_and_are_found() -> None:
    assert [cells_for(n) for n in (1, 77, 100, 3000, 10**5, 10**6)] == [1, 1, 2, 64, 1024, 4096]
    X: Any = np.random.default_rng(2).normal(size=(70, 3)).astype(np.float32)
    found = search(X, 5, index="approximate")
    assert np.array_equal(found.indices, nearest(X, 5).indices)
    assert found.recall == 1


def test_what_topo_keeps_of_few_rows_is_searched_exactly() -> None:
    """Without cells that the few rows of a component would need."""
    X: Any = np.random.default_rng(3).normal(size=(2100, 30)).astype(np.float32)
    few = search(X[:240], 7, X[240:300], index="approximate")
    assert np.array_equal(few.indices, nearest(X[:240], 7, X[240:300]).indices)
    assert few.recall == 1
    assert search(X, 7, index="approximate:recall=0").recall < 1


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("approximate:recal=.9", "approximate:recall=.9"),
        ("Approximate", "approximate"),
        ("aproximate:recall=0.9", "approximate"),
        ("exakt", "exact"),
        ("approximate:0.9", "approximate:recall=0.9"),
        ("CUDA", "cuda"),
        ("IVF4,Flat:recal=0.5", "IVF4,Flat:recall=0.5"),
    ],
)
def test_a_misspelt_name_is_answered_by_ours(given: str, meant: str) -> None:
    with pytest.raises(InputError, match=f"did you mean '{re.escape(meant)}'"):
        search(np.eye(4, dtype=np.float32), 1, index=given)


@pytest.mark.parametrize("index", ["exact", "approximate"])
def test_a_long_search_says_how_far_it_is(
    clusters: NDArray[np.float32], index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("w2s_probes.rows.row_parts.BLOCK", 24 * 700)
    monkeypatch.setattr("w2s_probes.neighbors.exhaustive.BLOCK", 24 * 700)
    told: list[tuple[str, int, int]] = []
    with heard(lambda *step: told.append(step)):
        search(clusters, 5, index=index)
    told = [step for step in told if step[2] > 256]  # without the sample of the recall
    done = [step[1] for step in told]
    assert {step[0] for step in told} == {"rows whose neighbours are found"}
    assert len(done) >= 4
    assert done == sorted(set(done))
    assert done[-1] == told[-1][2] >= 2990  # of distinct rows, or of all
    search(clusters, 5, index=index)
    assert len(told) == len(done)  # nobody listens any more


def test_pairs_that_are_screened_are_counted() -> None:
    told: list[tuple[str, int, int]] = []
    X = np.random.default_rng(0).normal(size=(4200, 256)).astype(np.float32)
    X[:, :8] *= 30  # of few dimensions, so that screening pays
    with heard(lambda *step: told.append(step)):
        search(X, 3)
    shares = [done / total for doing, done, total in told if doing == "pairs of rows compared"]
    assert len(shares) >= 4
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_few_rows_that_a_probe_has_kept_are_searched_exactly(clusters: NDArray[np.float32]) -> None:
    y = (np.arange(3000) % 60 < 30).astype(float)
    probe = TopoProbe(9, 5, index="IVF60,Flat:recall=0").fit(clusters, y)
    few = np.flatnonzero(probe.core_)[:50]  # fewer than the index has cells
    probe.core_ = np.isin(np.arange(3000), few)
    scores = probe.predict_proba(clusters[:20] + np.float32(0.5))[:, 1]
    true = nearest(clusters[few], 5, clusters[:20] + np.float32(0.5)).indices
    assert scores == pytest.approx(y[few][true].mean(axis=1))


def test_faiss_is_quoted_without_the_place_in_its_source() -> None:
    with pytest.raises(InputError, match=r"fits 4 rows of 4 numbers: could not parse index string Blah$"):
        search(np.eye(4, dtype=np.float32), 1, index="Blah")


@pytest.mark.parametrize("index", ["approximate", "IVF32,SQ8"])
@pytest.mark.parametrize("far", [12, 300])
def test_far_rows_do_not_coarsen_what_is_found_of_the_others(
    index: str, far: int, clusters: NDArray[np.float32]
) -> None:
    """Each of them a thousand times as far out as most: a byte's values would tell nothing apart but them."""
    rng = np.random.default_rng(4)
    X = clusters.copy()
    out = np.sort(rng.permutation(2900)[:far])
    X[out] = 100 + 1000 * (X[out] - 100)
    asked = np.concatenate([X[:200] + np.float32(0.1), 100 + 400 * (X[200:230] - 100), np.full((1, 24), 1e12)])
    groups = np.where(np.isin(np.arange(3000), out[: far // 4]), 0, np.arange(3000))
    name = index if index == "approximate" else f"{index}:recall=0.5"
    for queries, ids in ((None, None), (None, groups), (asked.astype(np.float32), None)):
        true = search(X, 9, queries, group_ids=ids)
        found = search(X, 9, queries, group_ids=ids, index=name)
        lone = np.isin(np.arange(len(true.indices)), out) if queries is None else np.arange(231) >= 200
        assert np.array_equal(found.indices[lone], true.indices[lone])
        assert found.recall >= (0.98 if index == "approximate" else 0.7)
        assert share(found.indices[~lone], true.indices[~lone]) >= (0.97 if index == "approximate" else 0.7)


@pytest.mark.parametrize("index", ["approximate", "Flat", "HNSW32:recall=0"])
def test_more_neighbours_than_rows_of_the_index_are_searched_exactly(
    index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far rows are not in the index, and those that are left may be fewer than k."""
    monkeypatch.setattr("w2s_probes.neighbors.searching.FEW", 2)
    X: Any = np.random.default_rng(5).normal(size=(420, 6)).astype(np.float32)
    X[:200] += 1e5
    groups = np.arange(420) % 380
    for queries, ids in ((None, None), (None, groups), (X[180:220], None), (X[300:320], None)):
        true = search(X, 240, queries, group_ids=ids)
        found = search(X, 240, queries, group_ids=ids, index=index)
        assert np.array_equal(found.indices, true.indices)
        assert found.recall == 1


def test_the_remedy_for_the_approximate_index_is_another() -> None:
    ladder: Any = np.random.default_rng(6).normal(size=(2300, 1)) * 10.0 ** np.linspace(-3, 6, 2300)[:, None]
    with pytest.raises(InputError, match="use 'exact', or take it as it is: 'approximate:recall=0") as refused:
        search(ladder, 10, index="approximate")
    remedy = re.findall(r"'([^']+:recall=[0-9.]+)'", str(refused.value))[0]
    assert search(ladder, 10, index=remedy).recall < 0.98
