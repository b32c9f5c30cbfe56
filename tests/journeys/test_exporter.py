"""Someone who filters labels and hands them to another trainer."""

import json
from pathlib import Path

import datasets
import numpy as np
import pytest

from tests.journeys.conftest import Study, Typed
from w2s_probes import ActivationStore, FilterResult, LabelSet, disagreement_filter, relabel
from w2s_probes.labels.label_set import read_label_table
from w2s_probes.probes import KNNProbe


def test_a_filtered_set_goes_to_every_format_and_every_row_says_where_it_comes_from(here: Study, typed: Typed) -> None:
    typed(f"w2s filter acts weak.jsonl --layer {here.layer} --by knn --k 20 --out kept.jsonl")
    kept = read_label_table("kept.jsonl")
    n = int(kept["keep"].sum())
    for name in ("jsonl", "csv", "parquet", "hf", "trl", "cleanlab"):
        out = {"jsonl": "out.jsonl", "csv": "out.csv", "parquet": "out.parquet", "cleanlab": "out-cleanlab.csv"}
        said = typed(f"w2s export kept.jsonl --format {name} --out {out.get(name, f'out-{name}')}")
        assert str(n) in said[0] or name == "cleanlab"
    loaded = datasets.load_dataset("parquet", data_files="out.parquet")["train"]
    assert len(loaded) == n
    exported = read_label_table("out.jsonl")
    assert set(exported["id"]) == set(kept["id"][kept["keep"]])


def test_python_writes_the_file_that_the_command_writes(here: Study, typed: Typed) -> None:
    typed(f"w2s filter acts weak.jsonl --layer {here.layer} --by knn --k 20 --out kept.jsonl")
    store, weak = ActivationStore.open("acts"), LabelSet.read("weak.jsonl")
    p = relabel(KNNProbe(20), store.layer(here.layer, ids=weak.ids), weak)
    result = disagreement_filter(weak, p, 0.1)
    assert isinstance(result, FilterResult)
    frame = result.to_frame()
    assert len(frame) == len(weak)
    result.export(Path("mine.jsonl"), "weak.jsonl")
    ours, theirs = read_label_table("mine.jsonl"), read_label_table("kept.jsonl")
    assert list(ours["keep"]) == list(theirs["keep"])
    np.testing.assert_allclose(ours["score"].astype(float), theirs["score"].astype(float))
    said = typed(f"w2s student acts mine.jsonl --layer {here.layer} --epochs 5 --out student --test test.jsonl")
    assert any("dropped by the filter" in line for line in said)
    record = json.loads(Path("student/student.json").read_text())
    assert record["layer"] == here.layer


def test_ids_made_of_texts_are_named_when_they_do_not_match(here: Study, tmp_path: Path) -> None:
    from tests.conftest import run_failing
    from w2s_probes.io.tables import read_table, write_table

    write_table(read_table("weak.jsonl").drop(columns="id"), Path("no-ids.jsonl"))
    ids = read_table("rows.jsonl")["id"].tolist()
    store = ActivationStore.open("acts")
    assert set(store.ids) == set(ids)
    renamed = read_table("rows.jsonl").assign(id=lambda table: [f"row-{i}" for i in range(len(table))])
    write_table(renamed, Path("renamed.jsonl"))
    from extract.extractor import Extraction, extract

    extract(Extraction.plan(str(here.model), read_table("renamed.jsonl").head(50)), "renamed")
    said = run_failing("filter", "renamed", "no-ids.jsonl", "--layer", 1, "--out", tmp_path / "k.jsonl")
    assert "text" in said
    assert "id" in said


@pytest.mark.parametrize("audit", ["kept.jsonl"])
def test_an_exporter_sees_what_was_left_out(here: Study, typed: Typed, audit: str) -> None:
    typed(f"w2s filter acts weak.jsonl --layer {here.layer} --by topo --k 20 --out {audit}")
    said = typed(f"w2s export {audit} --format jsonl --out out.jsonl")
    assert "left out" in said[0]
    assert "dropped by the filter" in said[0]
