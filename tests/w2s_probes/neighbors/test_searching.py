"""Graphs that join no related rows, approximate indexes, and the search on another device."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import planted
from tests.w2s_probes.neighbors.test_exact import brute_force
from w2s_probes import ActivationStore, InputError, KNNProbe, relabel, topo_filter
from w2s_probes.io.arrays import read_arrays, write_arrays
from w2s_probes.neighbors import Neighbors, nearest, search, search_some
from w2s_probes.neighbors.store_graphs import graph_name, store_neighbors
from w2s_probes.store.shards import Content
from w2s_probes.store.writer import StoreWriter


def unrelated_by_brute_force(X: Any, k: int, ids: Any) -> Any:
    order = brute_force(X, len(X) - 1)
    return np.stack([row[ids[row] != ids[i]][:k] for i, row in enumerate(order)])


@given(st.integers(0, 10**6), st.integers(8, 60), st.integers(1, 5), st.integers(1, 25))
def test_rows_of_one_group_are_never_neighbours(seed: int, n: int, k: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.integers(-3, 4, size=(n, 2)).astype(np.float32)
    ids = rng.integers(groups + 1, size=n)
    if n - np.bincount(ids).max() < k:
        with pytest.raises(InputError, match=f"k={k} needs at least"):
            search(X, k, group_ids=ids)
        return
    assert np.array_equal(search(X, k, group_ids=ids).indices, unrelated_by_brute_force(X, k, ids))


def test_large_groups_are_searched_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("w2s_probes.neighbors.some_rows.LARGEST", 20)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)).astype(np.float32)
    ids = np.where(np.arange(200) < 60, 0, np.where(np.arange(200) < 110, 1, np.arange(200)))
    X[:110] *= 0.01  # within each large group all rows are close
    assert np.array_equal(search(X, 7, group_ids=ids).indices, unrelated_by_brute_force(X, 7, ids))


def test_some_rows_among_some_others() -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(80, 3)).astype(np.float32)
    among, rows = np.arange(0, 80, 2), np.array([4, 5, 77])
    found = search_some(X, rows, 6, among=among).indices
    order = brute_force(X, 79)
    assert found.tolist() == [[j for j in order[row] if j % 2 == 0][:6] for row in rows]


@pytest.mark.parametrize("queries", [False, True])
def test_a_torch_device_gives_the_same_graph(queries: bool) -> None:
    pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    X = (rng.normal(size=(600, 40)) + 30).astype(np.float32)
    X[500:] = X[:100]
    asked = rng.normal(size=(50, 40)).astype(np.float32) + 30 if queries else None
    ours, theirs = search(X, 12, asked, index="cpu"), search(X, 12, asked)
    assert np.array_equal(ours.indices, theirs.indices)
    assert ours.distances == pytest.approx(theirs.distances)
    assert ours.recall == 1


def test_a_device_short_of_memory_holds_fewer_distances_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    X = np.random.default_rng(3).normal(size=(500, 8)).astype(np.float32)
    right, addmm, sizes = search(X, 5), torch.addmm, list[int]()

    def short_of_memory(squares: Any, asked: Any, rows: Any, **options: Any) -> Any:
        sizes.append(len(asked) * len(squares))
        if sizes[-1] > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return addmm(squares, asked, rows, **options)

    monkeypatch.setattr(torch, "addmm", short_of_memory)
    monkeypatch.setattr("w2s_probes.neighbors.other_indexes.CELLS", 1 << 18)
    room = 30_000
    found = search(X, 5, index="cpu")
    assert np.array_equal(found.indices, right.indices)
    assert len([size for size in sizes if size > room]) == 4  # halved until it fits, and not for every part again
    room = 499
    with pytest.raises(InputError, match=r"index='cpu': 500 rows of 8 numbers .* do not fit into its memory: use 'exa"):
        search(X, 5, index="cpu")
    room = 10**9
    monkeypatch.setattr(torch, "addmm", lambda *_, **options: addmm("of other shapes"))
    with pytest.raises(TypeError):  # no lack of memory
        search(X, 5, index="cpu")


@pytest.mark.parametrize("how", ["new", "old"])
def test_a_device_multiplies_as_float32_whatever_is_allowed_outside(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    matmul = torch.backends.cuda.matmul
    if how == "new" and not hasattr(matmul, "fp32_precision"):
        pytest.skip("this torch knows the old settings alone")
    named, before = torch.get_float32_matmul_precision(), getattr(matmul, "fp32_precision", None)
    inside: list[tuple[str, Any]] = []

    def seen(*given: Any, **options: Any) -> Any:
        inside.append((torch.get_float32_matmul_precision(), getattr(matmul, "fp32_precision", None)))
        return addmm(*given, **options)

    X, addmm = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32), torch.addmm
    monkeypatch.setattr(torch, "addmm", seen)
    try:
        if how == "new":
            matmul.fp32_precision = "tf32"
            assert np.array_equal(search(X, 5, index="cpu").indices, search(X, 5).indices)
            assert {precision for _, precision in inside} == {"ieee"}
            assert matmul.fp32_precision == "tf32"
        else:
            torch.set_float32_matmul_precision("high")
            search(X, 5, index="cpu")
            assert set(inside) <= {("highest", None), ("high", "ieee")}
            assert (torch.get_float32_matmul_precision(), matmul.allow_tf32) == ("high", True)
    finally:
        if before is not None:
            matmul.fp32_precision = before
        torch.set_float32_matmul_precision(named)
        if before is not None:
            matmul.fp32_precision = before


def test_an_approximate_index_says_what_it_found() -> None:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(2000, 16)).astype(np.float32)
    true = nearest(X, 10).indices
    for index, low, high in (("HNSW32:recall=0.8", 0.8, 1.0), ("IVF16,Flat:recall=0", 0.1, 0.9), ("Flat", 1.0, 1.0)):
        found = search(X, 10, index=index)
        shares = [np.isin(a, b).mean() for a, b in zip(true, found.indices, strict=True)]
        assert low <= found.recall <= high
        assert found.recall == pytest.approx(np.mean(shares), abs=0.05)
        assert not (found.indices == np.arange(2000)[:, None]).any()
        assert (np.diff(found.distances, axis=1) >= 0).all()


def test_rows_for_which_an_index_finds_too_few_are_searched_exactly() -> None:
    X = np.random.default_rng(4).normal(size=(400, 4)).astype(np.float32)
    found = search(X, 60, index="IVF40,Flat")  # one cell of forty holds some ten rows
    assert (found.indices >= 0).all()
    assert len(np.unique(found.indices[7])) == 60
    queries = search(X, 60, X[:5], index="IVF40,Flat")
    assert np.array_equal(queries.indices, nearest(X, 60, X[:5]).indices)


def test_approximate_neighbours_are_kept_apart_too() -> None:
    X = np.random.default_rng(5).normal(size=(500, 8)).astype(np.float32)
    ids = np.arange(500) // 4
    found = search(X, 5, group_ids=ids, index="HNSW16:recall=0.5")
    assert not (ids[found.indices] == ids[:, None]).any()


@pytest.mark.parametrize("index", ["nonsense", "IVF,Flat", "PQ7", "", "cuda:99"])
def test_an_index_that_does_not_exist_is_refused_in_one_line(index: str) -> None:
    with pytest.raises(InputError, match="'exact'") as caught:
        search(np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32), 3, index=index)
    assert "\n" not in str(caught.value)


def test_means_over_every_k_come_from_one_graph() -> None:
    rng = np.random.default_rng(6)
    X, p = rng.normal(size=(100, 4)).astype(np.float32), rng.random(100)
    graph = nearest(X, 30)
    means = graph.means(p, [1, 7, 30, 3])
    assert means == pytest.approx(np.stack([p[nearest(X, k).indices].mean(axis=1) for k in (1, 7, 30, 3)]))
    with pytest.raises(InputError, match="k=31, but the graph given has 30 neighbours"):
        graph.means(p, [31])


@pytest.mark.parametrize("kind", [np.int64, np.int32, int])
def test_k_of_any_whole_type_is_taken_and_no_other(kind: Any) -> None:
    X: Any = np.random.default_rng(7).normal(size=(50, 3))  # float64, as users have it
    assert search(X, kind(4)).indices.shape == (50, 4)
    assert np.array_equal(nearest(np.asfortranarray(X), kind(4)).indices, search(X, 4).indices)
    bad: Any = 2.5
    with pytest.raises(InputError, match=r"k=2\.5 must be a whole number"):
        search(X, bad)
    with pytest.raises(InputError, match=r"rows of shape \(5, 2\): a matrix \(rows, 3\) is needed"):
        search(X, 4, X[:5, :2])


def test_queries_too_large_for_distances_are_refused() -> None:
    X = np.random.default_rng(8).normal(size=(50, 8)).astype(np.float32)
    with pytest.raises(InputError, match="too large for distances in float32"):
        search(X, 5, np.full((1, 8), 1e19, np.float32))


def test_a_graph_that_joins_rows_that_must_be_apart_is_refused() -> None:
    data = planted(n=60)
    group = np.arange(60) // 3
    with pytest.raises(InputError, match="joins rows that must be apart"):
        relabel(KNNProbe(3), data.X, data.weak, groups=group, graph=search(data.X, 12))
    with pytest.raises(InputError, match="joins rows that must be apart"):
        topo_filter(data.X, data.weak, 9, 3, groups=group, graph=search(data.X, 12))
    foreign = Neighbors(np.full((60, 12), 60), np.zeros((60, 12)))
    with pytest.raises(InputError, match="the graph given is of 60 rows"):
        relabel(KNNProbe(3), data.X, data.weak, graph=foreign)


def test_kept_graphs_are_told_apart_by_every_part_of_their_name(tmp_path: Path) -> None:
    store = written(tmp_path / "s")
    X = store.layer(0)
    names = {
        graph_name(store, 0, ids, group_ids, index)
        for ids in (["a\0b", "c"], ["a", "b\0c"], ["c", "a\0b"])
        for group_ids in (None, np.array([0, 1]), np.array([0, 0]))
        for index in ("exact", "HNSW32 5")
    }
    assert len(names) == 18
    ids = store.ids.tolist()
    wide = store_neighbors(store, 0, 20, X, ids=ids, index="IVF8,Flat:recall=0")
    fresh = search(X, 3, index="IVF8,Flat:recall=0")
    narrow = store_neighbors(store, 0, 3, X, ids=ids, index="IVF8,Flat:recall=0")
    assert narrow.recall == fresh.recall != wide.recall
    assert np.array_equal(narrow.indices, fresh.indices)
    assert np.array_equal(store_neighbors(store, 0, 4, X, ids=ids).indices, nearest(X, 4).indices)


@pytest.mark.parametrize("damage", ["swapped", "of other rows", "flipped", "no graph"])
def test_a_kept_graph_that_is_not_the_one_asked_for_is_searched_again(damage: str, tmp_path: Path) -> None:
    store = written(tmp_path / "s")
    X, ids = store.layer(0), store.ids.tolist()
    first = store_neighbors(store, 0, 5, X[:200], ids=ids[:200])
    second = store_neighbors(store, 0, 5, X[100:], ids=ids[100:])
    assert not np.array_equal(first.indices, second.indices)
    a, b = (store.path / graph_name(store, 0, some, None, "exact") for some in (ids[:200], ids[100:]))
    if damage == "swapped":
        content = a.read_bytes()
        b.replace(a)
        b.write_bytes(content)
    elif damage == "flipped":
        for file in (a, b):
            content = file.read_bytes()
            file.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    else:
        arrays: dict[str, Any] = {name: np.zeros((3, 9)) for name in ("indices", "distances")}
        for file in (a, b):
            write_arrays(file, arrays, {"recall": 1} if damage == "of other rows" else {}, key=file.name)
    for there, rows in ((first, slice(0, 200)), (second, slice(100, 300))):
        again = store_neighbors(store, 0, 5, X[rows], ids=ids[rows])
        assert np.array_equal(again.indices, there.indices)
        assert np.array_equal(again.distances, there.distances)
    assert read_arrays(a, key=a.name)[0]["indices"].shape == (200, 5)  # made anew


def written(path: Path) -> ActivationStore:
    X = np.random.default_rng(9).normal(size=(300, 6)).astype(np.float32)
    ids = [f"row-{i}" for i in range(300)]
    writer = StoreWriter.open(
        path, identity={}, sites={0: ""}, depth=0, width=6, dtype="float32", ids=ids, shard_rows=300
    )
    for part in writer.missing():
        writer.write(part, Content(ids, {0: X}))
    store = writer.finish({})
    assert store is not None
    return store
