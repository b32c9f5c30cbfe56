"""Where rows of one file are missing in another, both are named, and which rows: every command that joins by id."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.worlds.sweeping import planted_store
from w2s_probes import LogisticProbe, save_probe
from w2s_probes.io.tables import write_table

Failing = Callable[..., str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 60 rows, one of the first 50, and labels of all: the other lacks row-50 to row-59."""
    place = tmp_path_factory.mktemp("missing")
    whole = planted_store(place / "whole", n=60)
    planted_store(place / "part", n=50)
    write_table(whole.table.assign(text=whole.table["id"]), place / "weak.jsonl")
    write_table(whole.table.head(40), place / "some.jsonl")
    X, y = whole.layers[2], whole.table.set_index("id")["label"]
    for name in ("a", "b"):
        head = LogisticProbe().fit(X, y.loc[whole.store.ids.tolist()].to_numpy())
        save_probe(head, place / f"{name}.safetensors", fitted_to=(whole.store, 2))
    return place


def test_a_store_that_lacks_rows_and_the_file_that_asks_for_them_are_named(place: Path, fails: Failing) -> None:
    part, weak, out = place / "part", place / "weak.jsonl", place / "out.csv"
    said = f"{part} has no row for 10 of 60 ids of {weak}: 'row-50', 'row-5"
    layer, saved = ["--layer", "2"], place / "a.safetensors"
    for words in (
        ["filter", part, weak, *layer, "--out", out],
        ["relabel", part, weak, *layer, "--out", out],
        ["foretell", part, weak, *layer, "--out", out],
        ["foretell", part, weak, *layer, "--probe", saved, "--probe", place / "b.safetensors"],
        ["predict", saved, "--rows", weak, "--store", part, "--out", out],
        ["student", part, weak, *layer, "--out", place / "student"],
    ):
        line = fails(*words)
        assert said in line, words
        assert "(add these rows to it, or leave them out)" in line
    assert f"--weak-store {part} has no row for 10 of 60 ids of {weak}" in fails(
        "foretell", place / "whole", weak, *layer, "--weak-store", part, "--out", out
    )
    assert f"{weak}: {part} has no row for 10 of 60 ids: 'row-50'" in fails(
        "sweep", part, weak, "--out", place / "sweep.csv"
    )
    audit = f"{weak}: 20 of its 60 rows are not in {place / 'some.jsonl'}: 'row-"
    words = ["filter", place / "whole", place / "some.jsonl", *layer, "--audit", weak, "--out", out]
    assert audit in fails(*words)
    assert not out.exists()
    assert not (place / "student").exists()
