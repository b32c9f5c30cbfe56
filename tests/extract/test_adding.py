"""Rows and layers added to a finished store: it ends as one extraction of everything would, or stays as it was."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from extract import extractor
from extract.adding import add
from extract.extractor import Extraction
from tests.extract.test_kill import files_of
from w2s_probes import ActivationStore, InputError, LabelSet
from w2s_probes.io.tables import write_table
from w2s_probes.progress import RowsRead
from w2s_probes.share import Share
from w2s_probes.store.manifest import Manifest

Checkpoint = Callable[..., Path]
Plan = Callable[..., Extraction]


@pytest.fixture
def planned(checkpoint: Checkpoint, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A function from rows and layers to their extraction, in shards of 7 rows."""
    monkeypatch.setattr(extractor, "SHARD_ROWS", 7)

    def plan(of: slice | pd.DataFrame, layers: Any, **options: Any) -> Extraction:
        table = of if isinstance(of, pd.DataFrame) else rows[of]
        return Extraction.plan(str(checkpoint()), table.reset_index(drop=True), layers=layers, **options)

    return plan


def finished(plan: Extraction, out: Path, **options: Any) -> ActivationStore:
    store = plan.run(out, **options)
    assert store is not None
    return store


def added(plan: Extraction, out: Path, **options: Any) -> ActivationStore:
    store = add(plan, out, **options)
    assert store is not None
    return store


def assert_equal(store: ActivationStore, whole: ActivationStore) -> None:
    """The same rows, layers, key and numbers; these but for rounding, since batches hold other rows together."""
    assert store.key == whole.key
    assert store.layers == whole.layers
    assert store.ids.tolist() == whole.ids.tolist()
    for layer in whole.layers:
        assert store.layer(layer) == pytest.approx(whole.layer(layer), abs=2e-6)
    fields = ("identity", "sites", "rows", "width", "depth", "dtype", "ragged")
    assert [getattr(store.manifest, f) for f in fields] == [getattr(whole.manifest, f) for f in fields]
    assert store.verify().ok


ADDITIONS = {
    "rows": [(slice(0, 40), [0, 2])],
    "layers": [(slice(0, 20), [1, 3])],
    "both": [(slice(0, 40), [1])],
    "rows twice": [(slice(0, 25), [0, 2]), (slice(0, 40), [0, 2])],
    "layers twice, the first at last": [(slice(0, 20), [3]), (slice(0, 20), [1])],
    "rows, then layers": [(slice(0, 31), [2]), (slice(0, 31), [1, 3])],
    "layers, then rows": [(slice(0, 20), [1]), (slice(0, 40), [0])],
    "both twice": [(slice(0, 21), [1]), (slice(0, 40), [3])],
}


@pytest.mark.parametrize("case", ADDITIONS)
def test_what_was_added_is_there_as_if_extracted_at_once(case: str, planned: Plan, tmp_path: Path) -> None:
    before = finished(planned(slice(0, 20), [0, 2]), tmp_path / "s")
    words = {layer: before.words(layer).tobytes() for layer in before.layers}
    chosen = slice(0, 20)
    layers = {0, 2}
    for chosen, more in ADDITIONS[case]:
        store = added(planned(chosen, more), tmp_path / "s")
        layers |= set(more)
        assert_equal(store, finished(planned(chosen, sorted(layers)), tmp_path / f"whole-{chosen.stop}-{len(layers)}"))
        assert ActivationStore.open(store.path).key == store.key
    for layer, bits in words.items():  # what there was has not been computed anew
        assert store.words(layer)[:20].tobytes() == bits
    manifest = (tmp_path / "s" / "manifest.json").read_bytes()
    assert added(planned(*ADDITIONS[case][-1]), tmp_path / "s").key == store.key  # again: nothing is left to add
    assert (tmp_path / "s" / "manifest.json").read_bytes() == manifest


def test_rows_keep_their_places_wherever_the_new_table_has_them(
    planned: Plan, tmp_path: Path, rows: pd.DataFrame
) -> None:
    finished(planned(slice(0, 20), "2"), tmp_path / "s")
    shuffled = rows.sample(frac=1, random_state=0)
    store = added(planned(shuffled, "2"), tmp_path / "s")
    new = [name for name in shuffled["id"] if int(name[4:]) >= 20]
    assert store.ids.tolist() == [*rows["id"][:20], *new]
    order = rows.set_index("id").loc[store.ids.tolist()].reset_index()
    assert_equal(store, finished(planned(order, "2"), tmp_path / "whole"))


def test_subsets_are_read_across_all_parts_in_the_order_asked(
    planned: Plan, tmp_path: Path, rows: pd.DataFrame
) -> None:
    finished(planned(slice(0, 11), [0, 1]), tmp_path / "s")
    added(planned(slice(0, 25), [0, 1]), tmp_path / "s")
    store = added(planned(slice(0, 40), [3]), tmp_path / "s")
    whole = {layer: store.layer(layer) for layer in store.layers}
    rng = np.random.default_rng(0)
    for layer in (0, 1, 3):
        chosen = rng.permutation(40)[: rng.integers(1, 41)]
        found = store.layer(layer, ids=[f"row-{i}" for i in chosen])
        assert np.array_equal(found, whole[layer][chosen])
    shuffled = rows["id"].sample(frac=1, random_state=1).to_numpy()
    assert shuffled.tolist() != store.ids.tolist()
    labels = LabelSet(shuffled, np.array([int(name[4:]) / 40 for name in shuffled]))
    assert labels.values(store.ids).tolist() == [i / 40 for i in range(40)]


def test_every_token_of_added_rows_is_there(planned: Plan, tmp_path: Path) -> None:
    finished(planned(slice(0, 13), [1], position="all"), tmp_path / "s")
    store = added(planned(slice(0, 29), [0, 1], position="all"), tmp_path / "s")
    whole = finished(planned(slice(0, 29), [0, 1], position="all"), tmp_path / "whole")
    for layer in (0, 1):
        for ids in (None, ["row-20", "row-3", "row-13"]):
            mine, theirs = store.tokens(layer, ids), whole.tokens(layer, ids)
            assert mine.values == pytest.approx(theirs.values, abs=2e-6)
            assert mine.offsets.tolist() == theirs.offsets.tolist()
            assert mine.token_ids.tolist() == theirs.token_ids.tolist()
    assert store.verify().ok


def test_cut_texts_are_counted_once_whatever_was_added(planned: Plan, tmp_path: Path) -> None:
    options = {"max_length": 15}
    first = finished(planned(slice(0, 20), [1], **options), tmp_path / "s")
    added(planned(slice(0, 20), [2], **options), tmp_path / "s")
    store = added(planned(slice(0, 40), [0], **options), tmp_path / "s")
    whole = finished(planned(slice(0, 40), [0, 1, 2], **options), tmp_path / "whole")
    assert store.manifest.notes["cut_rows"] == whole.manifest.notes["cut_rows"] > first.manifest.notes["cut_rows"] > 0


class Killed(BaseException):
    pass


@pytest.mark.parametrize("batches", range(1, 7))
def test_killed_half_way_the_store_is_as_it_was_and_can_be_completed(
    planned: Plan, tmp_path: Path, batches: int
) -> None:
    """Twenty old rows at a new layer, then twenty new rows at all: three shards each, of a batch each."""
    base = finished(planned(slice(0, 20), [1]), tmp_path / "s")
    everything = planned(slice(0, 40), [2])
    files, seen = files_of(base.path), itertools.count(1)

    def kill(done: RowsRead) -> None:
        if next(seen) == batches:
            raise Killed

    with pytest.raises(Killed):
        add(everything, base.path, progress=kill)
    there = files_of(base.path)
    assert {name: there[name] for name in files} == files
    assert ActivationStore.open(base.path).verify().ok
    assert ActivationStore.open(base.path).layers == [1]
    kept = {name for name in there if name not in files and not name.endswith("manifest.json")}
    assert len(kept) == batches - 1
    store = added(everything, base.path)
    assert kept <= files_of(base.path).keys()
    assert_equal(store, finished(planned(slice(0, 40), [1, 2]), tmp_path / "whole"))


def test_shares_of_an_addition_make_all_of_its_parts(planned: Plan, tmp_path: Path) -> None:
    finished(planned(slice(0, 20), [1]), tmp_path / "s")
    everything = planned(slice(0, 40), [2])
    assert add(everything, tmp_path / "s", share=Share(1, 2)) is None
    assert ActivationStore.open(tmp_path / "s").layers == [1]
    store = added(everything, tmp_path / "s", share=Share(0, 2))
    assert_equal(store, finished(planned(slice(0, 40), [1, 2]), tmp_path / "whole"))


def test_two_additions_at_once_do_not_undo_each_other(planned: Plan, tmp_path: Path) -> None:
    finished(planned(slice(0, 20), [1]), tmp_path / "s")
    one, other = planned(slice(0, 30), [1]), planned(slice(0, 20), [2])
    begun: Iterator[Any] = iter([lambda: added(other, tmp_path / "s")])

    def meanwhile(done: RowsRead) -> None:
        next(begun, lambda: None)()

    with pytest.raises(InputError, match="another process has added to it meanwhile: give the same command again"):
        add(one, tmp_path / "s", progress=meanwhile)
    assert ActivationStore.open(tmp_path / "s").layers == [1, 2]
    store = added(one, tmp_path / "s")
    assert_equal(store, finished(planned(slice(0, 30), [1, 2]), tmp_path / "whole"))


def test_what_cannot_be_added_is_refused_and_nothing_is_touched(
    planned: Plan, checkpoint: Checkpoint, tmp_path: Path, rows: pd.DataFrame
) -> None:
    store = finished(planned(slice(0, 20), [1]), tmp_path / "s")
    files = files_of(store.path)
    changed = rows.assign(text=rows["text"].where(rows["id"] != "row-5", "w1 w2"))
    cases = {
        "texts of its rows have changed since it was made: give another --out": planned(changed, [1]),
        r"20 of its rows are not among those given: 'row-0', .* and 17 more: give its own --rows again": planned(
            slice(20, 40), [1]
        ),
        r"position: 'last' in the store, 'mean' asked for": planned(slice(0, 40), [1], position="mean"),
        r"max_length: 64 in the store, 9 asked for": planned(slice(0, 40), [1], max_length=9),
        r"dtype: 'float32' in the store, 'float16' asked for": planned(slice(0, 40), [1], dtype="float16"),
        r"blocks: 'layers' in the store, 'h' asked for.*weights": Extraction.plan(
            str(checkpoint("gpt2")), rows, layers=[1]
        ),
    }
    for message, plan in cases.items():
        with pytest.raises(InputError, match=message):
            add(plan, store.path)
        assert files_of(store.path) == files
    with pytest.raises(InputError, match="no such store"):
        add(planned(slice(0, 40), [1]), tmp_path / "none")


def test_an_unfinished_store_is_not_added_to(planned: Plan, tmp_path: Path) -> None:
    plan = planned(slice(0, 20), [1])
    assert plan.run(tmp_path / "s", share=Share(0, 2)) is None
    files = files_of(tmp_path / "s")
    with pytest.raises(InputError, match=r"not finished \(\d+ of 20 rows\): give the same `w2s extract` again"):
        add(planned(slice(0, 40), [1]), tmp_path / "s")
    assert files_of(tmp_path / "s") == files


def test_without_add_the_way_to_add_is_named_where_there_is_one(planned: Plan, tmp_path: Path) -> None:
    finished(planned(slice(0, 20), [1]), tmp_path / "s")
    with pytest.raises(InputError, match=r"give another --out, or --add to add rows and layers to these"):
        planned(slice(0, 40), [2]).run(tmp_path / "s")
    with pytest.raises(InputError, match=r"give another --out$"):
        planned(slice(0, 40), [2], position="first").run(tmp_path / "s")


def test_the_same_extraction_of_everything_opens_what_was_added_to(planned: Plan, tmp_path: Path) -> None:
    finished(planned(slice(0, 20), [1]), tmp_path / "s")
    store = added(planned(slice(0, 40), [2]), tmp_path / "s")
    files = files_of(store.path)
    assert finished(planned(slice(0, 40), [1, 2]), tmp_path / "s").key == store.key
    assert files_of(store.path) == files
    lost = store.path / next(shard.file for shard in store.manifest.shards if "/" in shard.file)
    lost.unlink()
    with pytest.raises(InputError, match=r"0 bytes, the manifest says \d+: missing or truncated; `w2s repair`"):
        planned(slice(0, 40), [1, 2]).run(tmp_path / "s")


def test_after_a_lost_manifest_the_same_commands_find_what_they_had_made(
    planned: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, everything = planned(slice(0, 20), [1]), planned(slice(0, 40), [2])
    finished(first, tmp_path / "s")
    store = added(everything, tmp_path / "s")
    (store.path / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="not a valid manifest"):
        first.run(store.path)
    (store.path / "manifest.json").unlink()
    monkeypatch.setattr(Extraction, "engine", lambda *_: pytest.fail("something was computed"))
    finished(first, store.path)
    again = added(everything, store.path)
    assert again.manifest.shards == store.manifest.shards
    assert again.key == store.key


def test_a_manifest_says_where_the_rows_came_from_last(
    w2s: Callable[..., None], checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path, capsys: Any
) -> None:
    write_table(rows[:20], tmp_path / "old.jsonl")
    write_table(rows[20:], tmp_path / "new.csv")
    command = ["extract", checkpoint(), "--layers", "1", "--out", tmp_path / "s", "--rows", tmp_path / "old.jsonl"]
    w2s(*command)
    w2s(*command, "--rows", tmp_path / "new.csv", "--add")
    assert "40 rows, layers [1]" in capsys.readouterr().out
    notes = Manifest.read(tmp_path / "s").notes
    assert [Path(file).name for file in notes["rows_from"]] == ["old.jsonl", "new.csv"]
    assert json.dumps(notes)
