"""A limit on memory: large arrays are memory maps, and every number is the one without it."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.worlds.sweeping import Swept, planted_store
from w2s_probes import InputError, KNNProbe, LogisticProbe, TopoProbe, relabel, topo_filter
from w2s_probes import memory_limit as module
from w2s_probes.io.tables import write_table
from w2s_probes.memory_limit import LEAST, empty_rows, memory_limit
from w2s_probes.neighbors import search
from w2s_probes.places import Place
from w2s_probes.sweep import sweep
from w2s_probes.sweep.unit import Unit


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    made = planted_store(tmp_path_factory.mktemp("limited") / "acts", n=240, d=8)
    write_table(made.table, made.path.with_name("weak.jsonl"))
    return made


@pytest.fixture
def maps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of the memory maps that are made: of everything, where there is any limit."""
    shapes: list[tuple[int, ...]] = []
    made = module.mapped

    def counted(shape: tuple[int, ...], dtype: Any) -> Any:
        shapes.append(shape)
        return made(shape, dtype)

    monkeypatch.setattr(module, "mapped", counted)
    monkeypatch.setattr(module, "SHARE", 10**12)
    return shapes


def labels_of(world: Swept) -> Any:
    """P(1) of the rows in the store's order."""
    return world.table.set_index("id")["label"].reindex(world.store.ids.tolist()).to_numpy()


def everything(world: Swept) -> dict[str, Any]:
    """What reads a layer, each by a few of its numbers."""
    X, y = world.store.layer(2), labels_of(world)
    graph = search(X, 20)
    path = LogisticProbe.path(X, y, l2=[1e-3, 1e-1], cv=3)
    return {
        "layer": X,
        "some rows": world.store.layer(1, ids=world.store.ids[::-3]),
        "graph": graph.indices,
        "far": graph.distances,
        "roughly": search(X, 9, index="approximate:recall=0").indices,
        "knn": relabel(KNNProbe(9), X, y),
        "topo": topo_filter(X, y, 9, 9).mask,
        "topo scores": TopoProbe(9, 9).fit(X, y).out_of_sample_,
        "path": path.out_of_fold,
        "weights": path.coef_,
    }


def test_numbers_in_maps_are_the_numbers_in_memory(world: Swept, maps: list[tuple[int, ...]]) -> None:
    plain = everything(world)
    assert not maps
    with memory_limit(LEAST):
        limited = everything(world)
    assert {(240, 8), (80, 8), (240, 20), (240, 9)} <= set(maps)  # layers and designs, and graphs
    for name, values in plain.items():
        if name in ("path", "weights"):  # fitted in other batches
            assert limited[name] == pytest.approx(values, abs=1e-5), name
        else:
            assert np.array_equal(limited[name], values), name


def test_a_head_learns_the_same_from_a_map(world: Swept, maps: list[tuple[int, ...]]) -> None:
    pytest.importorskip("torch")
    from w2s_probes.students import HeadStudent

    X, y = world.store.layer(2), labels_of(world)
    plain = HeadStudent(epochs=3).fit(X, y)
    with memory_limit(LEAST):
        limited = HeadStudent(epochs=3).fit(world.store.layer(2), y)
    assert (240, 9) in maps
    assert np.array_equal(plain.coef_, limited.coef_)


def test_fits_go_in_batches_that_memory_has_room_for(world: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    from w2s_probes.probes import minimize

    sizes: list[int] = []
    made = minimize._minimize

    def counted(design: Any, problems: Any, theta: Any) -> Any:
        sizes.append(len(problems.l2))
        return made(design, problems, theta)

    monkeypatch.setattr(minimize, "_minimize", counted)
    monkeypatch.setattr(minimize, "NUMBERS", LEAST // (2 * 240 * 5))  # so that five fits of 240 rows are half of it
    X, y = world.store.layer(1), labels_of(world)
    whole = LogisticProbe.path(X, y, l2=[1e-4, 1e-2, 1.0], cv=3)
    with memory_limit(LEAST):
        parts = LogisticProbe.path(X, y, l2=[1e-4, 1e-2, 1.0], cv=3)
    assert sizes == [12, 5, 5, 2]
    assert parts.coef_ == pytest.approx(whole.coef_, abs=1e-5)
    assert parts.best == whole.best


def test_pairs_are_screened_where_memory_has_room_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from w2s_probes.neighbors import distinct, screened_search

    screened: list[int] = []
    made = screened_search.screened

    def counted(rows: Any, *rest: Any) -> Any:
        screened.append(len(rows.base))
        return made(rows, *rest)

    monkeypatch.setattr(distinct, "screened", counted)
    monkeypatch.setattr(screened_search, "FEWEST", 100)
    X = np.random.default_rng(0).normal(size=(400, 300)).astype(np.float32)
    plain = search(X, 5)
    assert screened == [400]
    with memory_limit(LEAST):
        monkeypatch.setattr(screened_search, "SCREENED", LEAST)
        assert np.array_equal(search(X, 5).indices, plain.indices)
    assert screened == [400]


def test_commands_write_the_same_files_and_refuse_a_limit_that_is_too_low(
    world: Swept, tmp_path: Path, maps: list[tuple[int, ...]], w2s: Callable[..., None], fails: Callable[..., str]
) -> None:
    labels = world.path.with_name("weak.jsonl")
    for verb, by in (("filter", "topo"), ("filter", "logistic"), ("relabel", "knn")):
        common = [verb, world.path, labels, "--layer", 2, "--by", by, "--progress", "none"]
        w2s(*common, "--out", tmp_path / "plain.jsonl")
        made = len(maps)
        w2s(*common, "--out", tmp_path / "limited.jsonl", "--max-memory", "0.3GB")
        assert len(maps) > made
        assert (tmp_path / "limited.jsonl").read_bytes() == (tmp_path / "plain.jsonl").read_bytes()
    filtering = ["filter", world.path, labels, "--layer", 2, "--out", tmp_path / "none.jsonl"]
    said = fails(*filtering, "--max-memory", "90MB")
    assert "one block of rows takes 268 MB while it is worked on: give at least --max-memory 269MB" in said
    assert "give an amount of memory" in fails(*filtering, "--max-memory", "plenty")
    assert not (tmp_path / "none.jsonl").exists()
    w2s(*filtering, "--max-memory", "269MB")
    assert module.room() is None  # no command leaves its limit behind


def test_a_disk_without_room_is_named_before_anything_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with memory_limit(LEAST), pytest.raises(InputError, match=r"no room for 0\.40 GB .*No space left.* set TMPDIR"):
        empty_rows((10**8,), np.float32)


def test_a_layer_beyond_a_sweeps_memory_is_swept_from_files(
    world: Swept, maps: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = sweep(world.store, world.table, layers=[2], knn_k=5, logistic_l2=0.1)
    monkeypatch.setattr(Unit, "memory", lambda self, width: 10**12)
    limited = sweep(world.store, world.table, layers=[2], knn_k=5, logistic_l2=0.1, place=Place(max_memory=10**9))
    assert maps
    assert np.allclose(limited.table["value"], plain.table["value"], atol=1e-5, equal_nan=True)
    with pytest.raises(InputError, match=r"one layer takes about 0\.3 GB, more than the 0\.2 GB that it may"):
        sweep(world.store, world.table, layers=[2], knn_k=5, place=Place(max_memory=2 * 10**8))
