"""A few rows at a time, or all at once: the same graph, components, scores and files."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.conftest import planted
from tests.w2s_probes.neighbors.test_exact import brute_force
from w2s_probes import KNNProbe, TopoProbe, topo_cc, topo_filter
from w2s_probes.io.tables import write_table
from w2s_probes.neighbors import nearest, search
from w2s_probes.neighbors.row_blocks import BlockIndex


def test_blocks_find_what_a_search_of_all_pairs_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("w2s_probes.neighbors.row_blocks.QUERIES", 7)
    monkeypatch.setattr("w2s_probes.neighbors.row_blocks.ROWS", 16)
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(230, 5)) + 40).astype(np.float32)
    queries = (rng.normal(size=(31, 5)) + 40).astype(np.float32)
    center = X.mean(axis=0)
    true = ((queries[:, None].astype(float) - X[None]) ** 2).sum(axis=2)
    for k in (1, 9, 40, 230):  # of fewer rows than a block, of more, and of all
        distances, indices = BlockIndex(X, center).search(queries - center, k)
        assert np.array_equal(indices, np.argsort(true, axis=1, kind="stable")[:, :k])
        assert distances == pytest.approx(np.sort(true, axis=1)[:, :k], rel=1e-4, abs=1e-4)
    assert BlockIndex(X, center).search(queries[:0] - center, 3)[1].shape == (0, 3)


def test_a_graph_by_blocks_is_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    X = rng.integers(-2, 3, size=(400, 4)).astype(np.float32)  # ties and duplicates
    queries = rng.integers(-2, 3, size=(50, 4)).astype(np.float32)
    whole = [nearest(X, 9), nearest(X, 9, queries), search(X, 5, group_ids=np.arange(400) // 3)]
    monkeypatch.setattr("w2s_probes.neighbors.distinct.MANY", 1)
    monkeypatch.setattr("w2s_probes.neighbors.row_blocks.ROWS", 64)
    monkeypatch.setattr("w2s_probes.rows.row_parts.BLOCK", 100)
    for a, b in zip(
        whole, [nearest(X, 9), nearest(X, 9, queries), search(X, 5, group_ids=np.arange(400) // 3)], strict=True
    ):
        assert np.array_equal(a.indices, b.indices)
        assert np.array_equal(a.distances, b.distances)
    assert np.array_equal(nearest(X, 9).indices, brute_force(X, 9))


def test_wide_rows_have_the_same_neighbours_by_blocks_and_by_faiss_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    X = (rng.normal(size=(700, 200)) * 10 ** rng.uniform(-2, 2, size=200) + 30).astype(np.float32)
    by_blocks = [nearest(X, 60), nearest(X, 60, X[:90] + 1)]
    monkeypatch.setattr("w2s_probes.neighbors.distinct.PRODUCTS", 10**9)
    monkeypatch.setattr("w2s_probes.neighbors.distinct.BlockIndex", None)  # nothing is searched by blocks any more
    for blocks, faiss in zip(by_blocks, [nearest(X, 60), nearest(X, 60, X[:90] + 1)], strict=True):
        assert np.array_equal(blocks.indices, faiss.indices)
        assert np.array_equal(blocks.distances, faiss.distances)


@pytest.mark.parametrize("connectivity", ["strong", "weak", "mutual"])
def test_topo_by_a_few_rows_at_a_time_is_topo(connectivity: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = planted(n=240)

    def made() -> list[Any]:
        probe = TopoProbe(9, 7, connectivity).fit(data.X, data.weak)
        found = topo_filter(data.X, data.weak, 9, 7, connectivity=connectivity, zeta=0.4)
        means = KNNProbe.path(data.X, data.weak, k=[1, 4, 9]).out_of_sample
        return [
            topo_cc(data.X, data.weak, 6, connectivity),
            probe.out_of_sample_,
            probe.core_scores_,
            found.mask,
            means,
        ]

    whole = made()
    monkeypatch.setattr("w2s_probes.rows.row_parts.BLOCK", 50)
    for a, b in zip(whole, made(), strict=True):
        assert np.array_equal(a, b)


def test_a_table_written_by_pieces_is_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"id": [f"r{i}" for i in range(900)], "label": rng.random(900), "text": "wörds " * 9})
    table.loc[7, "label"] = np.nan
    write_table(table, tmp_path / "whole.jsonl")
    monkeypatch.setattr("w2s_probes.io.tables.ROWS", 3)
    write_table(table, tmp_path / "pieces.jsonl")
    write_table(table, tmp_path / "pieces.jsonl.gz")
    text = (tmp_path / "whole.jsonl").read_bytes()
    assert (tmp_path / "pieces.jsonl").read_bytes() == text
    assert (tmp_path / "pieces.jsonl.gz").read_bytes() == gzip.compress(text, mtime=0)
