"""Kept files whose checksum is right and whose record is somebody else's: refused, or made again."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.worlds.sweeping import planted_store
from w2s_probes.errors import InputError
from w2s_probes.io.arrays import read_arrays, write_arrays
from w2s_probes.neighbors.store_graphs import GRAPH, store_neighbors
from w2s_probes.probes import KNNProbe
from w2s_probes.probes.saving import load_probe, save_probe

RECORDS: dict[str, Any] = {
    "a list": [],
    "nothing": {},
    "text": "text",
    "null": None,
    "a probe without parameters": {"probe": "KNNProbe"},
    "parameters of none": {"probe": "KNNProbe", "parameters": {"depth": 1}, "fitted": {}, "named": {}},
    "parameters in a list": {"probe": "KNNProbe", "parameters": [1], "fitted": {}, "named": {}},
    "not fitted": {"probe": "KNNProbe", "parameters": {}, "fitted": {}, "named": {}},
    "a class to be replaced": {"probe": "KNNProbe", "parameters": {}, "fitted": {"__class__": 1}, "named": {}},
    "a method to be replaced": {"probe": "KNNProbe", "parameters": {}, "fitted": {"predict": "x"}, "named": {}},
    "deep": {"probe": "KNNProbe", "parameters": {"k": [[[[1]]]]}, "fitted": [], "named": {}},
}


@pytest.mark.parametrize("case", RECORDS)
def test_a_record_of_no_probe_is_refused(case: str, tmp_path: Path) -> None:
    write_arrays(tmp_path / "p.safetensors", {"a_": np.ones(3)}, RECORDS[case])
    with pytest.raises(InputError, match=r"p\.safetensors: (holds no|its contents are not what was written)"):
        load_probe(tmp_path / "p.safetensors")


def test_a_saved_probe_is_still_loaded(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    probe = KNNProbe(5).fit(X, np.arange(40) % 2)
    save_probe(probe, tmp_path / "p.safetensors")
    assert np.array_equal(load_probe(tmp_path / "p.safetensors").predict_proba(X), probe.predict_proba(X))


HOSTILE_GRAPHS: dict[str, Any] = {
    "no arrays": ({}, {"k": 5, "recall": 1.0}),
    "a list for a record": (None, [1]),
    "no record": (None, {}),
    "a recall of text": (None, {"k": 5, "recall": "all"}),
    "rows that are not there": ({"indices": 10**6}, None),
    "fewer than no row": ({"indices": -1}, None),
    "distances of another shape": ({"distances": np.ones((2, 2))}, None),
    "indices in floating point": ({"indices": np.ones((60, 5))}, None),
    "one dimension": ({"indices": np.ones(60, np.int32), "distances": np.ones(60)}, None),
    "a row that is its own neighbour": ({"indices": np.repeat(np.arange(60, dtype=np.int32)[:, None], 5, 1)}, None),
}


@pytest.mark.parametrize("case", HOSTILE_GRAPHS)
def test_a_kept_graph_that_these_rows_cannot_have_is_searched_again(case: str, tmp_path: Path) -> None:
    swept = planted_store(tmp_path / "acts", n=60, d=4, apart=(0.0, 3.0))
    X, ids = swept.layers[1], list(swept.store.ids)
    searched = store_neighbors(swept.store, 1, 5, X, ids=ids)
    (file,) = [one for one in swept.path.iterdir() if GRAPH.fullmatch(one.name)]
    arrays, record = read_arrays(file)
    changed, other = HOSTILE_GRAPHS[case]
    if changed is not None:
        given = {n: v if isinstance(v, np.ndarray) else np.full_like(arrays[n], v) for n, v in changed.items()}
        arrays = {**arrays, **given} if given else {"other": np.ones(1)}
    write_arrays(file, arrays, record if other is None else other)
    again = store_neighbors(swept.store, 1, 5, X, ids=ids)
    assert np.array_equal(again.indices, searched.indices)
    assert np.array_equal(again.distances, searched.distances)
    assert again.recall == 1.0


def test_a_sound_graph_is_read_and_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swept = planted_store(tmp_path / "acts", n=60, d=4, apart=(0.0, 3.0))
    ids = list(swept.store.ids)
    searched = store_neighbors(swept.store, 1, 5, swept.layers[1], ids=ids)
    monkeypatch.setattr("w2s_probes.neighbors.store_graphs.search", None)
    lower = store_neighbors(swept.store, 1, 3, swept.layers[1], ids=ids)
    assert np.array_equal(lower.indices, searched.indices[:, :3])
