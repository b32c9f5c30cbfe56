"""The store: bit-exact, one layer at a time, whole or refused."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.conftest import shard_file
from w2s_probes import ActivationStore, InputError
from w2s_probes.importing import import_activations
from w2s_probes.io.tables import write_table
from w2s_probes.store.dtypes import WORDS, StoredDtype
from w2s_probes.store.manifest import Manifest, differing_fields, identity_key
from w2s_probes.store.shards import Content, layer_name, locate_layers, read_header, read_offsets, write_shard
from w2s_probes.store.writer import StoreWriter

IDENTITY = {"weights": "w", "position": "last"}


def writer_of(path: Path, names: list[str], layers: Any, **options: Any) -> StoreWriter:
    """A writer of a small store."""
    usual: dict[str, Any] = {"identity": IDENTITY, "depth": 4, "width": 3, "dtype": "float32", "shard_rows": 4}
    sites = {layer: f"blocks.{layer}" for layer in layers}
    return StoreWriter.open(path, ids=names, sites=sites, **(usual | options))


def write(
    path: Path, layers: dict[int, NDArray[Any]], dtype: StoredDtype = "float32", per_shard: int = 4, stop: int = 10**6
) -> list[str]:
    """Write a store of these layers in shards; `stop` leaves it unfinished after so many."""
    n, width = next(iter(layers.values())).shape
    names = [f"row-{i}" for i in range(n)]
    writer = writer_of(path, names, layers, width=width, dtype=dtype, shard_rows=per_shard)
    for part in writer.missing()[:stop]:
        rows = writer.rows_of(part)
        writer.write(part, Content(names[rows], {layer: words[rows] for layer, words in layers.items()}))
    writer.finish({})
    return names


@given(
    st.sampled_from(["float32", "float16", "bfloat16"]),
    st.integers(1, 9),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(0, 2**32),
)
def test_words_come_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, dtype: StoredDtype, n: int, width: int, per_shard: int, seed: int
) -> None:
    path = tmp_path_factory.mktemp("store") / "s"
    rng = np.random.default_rng(seed)
    layers = {
        layer: rng.integers(0, 256, (n, width * WORDS[dtype].itemsize), dtype=np.uint8).view(WORDS[dtype])
        for layer in (0, 2)
    }
    names = write(path, layers, dtype, per_shard)
    store = ActivationStore.open(path)
    assert store.layers == [0, 2]
    assert store.ids.tolist() == names
    assert len(store) == n
    for layer, words in layers.items():
        assert store.words(layer).tobytes() == words.tobytes()


@pytest.fixture
def arrays() -> dict[int, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    return {layer: rng.normal(size=(10, 3)).astype(np.float32) for layer in (0, 1, 4)}


def test_rows_come_in_the_order_asked_for(tmp_path: Path, arrays: dict[int, NDArray[np.float32]]) -> None:
    write(tmp_path / "s", arrays)
    store = ActivationStore.open(tmp_path / "s")
    assert np.array_equal(store.layer(-1), arrays[4])
    assert np.array_equal(store.layer(1, ids=["row-7", "row-0"]), arrays[1][[7, 0]])
    with pytest.raises(InputError, match=r"layer 2 is not in .*; it holds 0, 1, 4"):
        store.layer("middle")
    with pytest.raises(InputError, match="has no row for 1 of 1 ids: 'nobody'"):
        store.layer(1, ids=["nobody"])
    assert "10 rows, layers [0, 1, 4], width 3, float32" in repr(store)


def test_reading_one_layer_reads_only_its_bytes(tmp_path: Path, arrays: dict[int, NDArray[np.float32]]) -> None:
    write(tmp_path / "s", arrays, per_shard=10)
    file = shard_file(tmp_path / "s", 0)
    with h5py.File(file) as opened:
        offsets = {layer: opened[layer_name(layer)].id.get_offset() for layer in arrays}
        assert all(opened[layer_name(layer)].chunks is None for layer in arrays)  # contiguous
    content = bytearray(file.read_bytes())
    content[offsets[1] : offsets[1] + 120] = b"\xff" * 120  # another layer turns to NaN ...
    file.write_bytes(content)
    assert np.array_equal(ActivationStore.open(tmp_path / "s").layer(0), arrays[0])  # ... and this one is not touched


def test_verify_passes_on_a_sound_store_and_finds_one_flipped_bit(
    tmp_path: Path, arrays: dict[int, NDArray[np.float32]]
) -> None:
    write(tmp_path / "s", arrays)
    sound = ActivationStore.open(tmp_path / "s").verify()
    assert sound.ok
    assert (sound.rows, sound.layers) == (10, 3)
    file = shard_file(tmp_path / "s", 1)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    found = ActivationStore.open(tmp_path / "s").verify()
    assert not found.ok
    assert f"{file.name}: checksum differs" in found.problems[0]


def test_numbers_that_are_not_finite_are_refused_by_row(tmp_path: Path, arrays: dict[int, NDArray[np.float32]]) -> None:
    arrays[4][6, 2] = np.inf
    write(tmp_path / "s", arrays)
    store = ActivationStore.open(tmp_path / "s")
    with pytest.raises(InputError, match=r"layer 4 is not finite for 1 rows, first 'row-6'"):
        store.layer(4)
    assert np.array_equal(store.layer(0), arrays[0])
    assert any("layer 4 is not finite" in problem for problem in store.verify().problems)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda s: (s / "manifest.json").unlink(), "not an activation store"),
        (lambda s: (s / "manifest.json").write_text("{"), "not a valid manifest"),
        (lambda s: (s / "manifest.json").write_text("[]"), "schema version None"),
        (lambda s: edit(s, '"width": 3', '"width": -1'), "not a valid manifest"),
        (lambda s: edit(s, '"width": 3', '"width": 3000000'), "need more bytes than its shards have"),
        (lambda s: edit(s, '"start": 4', '"start": 5'), "do not hold every row and layer once"),
        (lambda s: edit(s, '"file": "shard', '"file": "../shard'), "not a valid manifest"),
        (lambda s: shard_file(s, 1).unlink(), r"shard-00001-\w+.h5: 0 bytes, the manifest says"),
        (lambda s: shard_file(s, 1).write_bytes(b"short"), "5 bytes, the manifest says .*: missing or truncated"),
    ],
)
def test_damaged_stores_are_refused_when_opened(
    tmp_path: Path, arrays: dict[int, NDArray[np.float32]], damage: Any, message: str
) -> None:
    write(tmp_path / "s", arrays)
    damage(tmp_path / "s")
    with pytest.raises(InputError, match=message):
        ActivationStore.open(tmp_path / "s")


def edit(store: Path, old: str, new: str) -> None:
    text = (store / "manifest.json").read_text()
    assert old in text
    (store / "manifest.json").write_text(text.replace(old, new))


def test_another_schema_version_is_refused_with_both_versions(
    tmp_path: Path, arrays: dict[int, NDArray[np.float32]]
) -> None:
    write(tmp_path / "s", arrays)
    path = tmp_path / "s" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    with pytest.raises(InputError, match="schema version 99, but this release reads version 2"):
        ActivationStore.open(tmp_path / "s")


def test_a_dataset_that_links_to_another_file_is_refused(tmp_path: Path) -> None:
    own = write_shard(tmp_path, 0, Content(["x"], {0: np.ones((1, 2), np.float32)}), "float32", "k")
    assert locate_layers(own, [0], "float32", 1, 2)[0] > 0
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.attrs["dtype"] = "float32"
        file[layer_name(0)] = h5py.ExternalLink(own.name, layer_name(0))
        file.create_dataset(layer_name(1), data=np.ones((1, 2), np.float32), chunks=(1, 1))
    with pytest.raises(InputError, match="no dataset 'layer_000' of its own"):
        locate_layers(tmp_path / "b.h5", [0], "float32", 1, 2)
    with pytest.raises(InputError, match="layer 1 is not contiguous"):
        locate_layers(tmp_path / "b.h5", [1], "float32", 1, 2)
    with pytest.raises(InputError, match=r"holds float32 \(1, 2\), the manifest says float32 \(1, 3\)"):
        locate_layers(own, [0], "float32", 1, 3)


@pytest.mark.parametrize("ids", [np.arange(1), np.array([[b"x"]]), np.array([b"\xff"])])
def test_ids_that_are_no_ids_are_refused(tmp_path: Path, ids: NDArray[Any]) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["ids"] = ids
    with pytest.raises(InputError, match="damaged; `w2s repair`"):
        read_header(tmp_path / "a.h5")


@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.integers(1, 5), st.integers(0, 2**32))
def test_a_ragged_store_gives_each_rows_tokens(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], per_shard: int, seed: int
) -> None:
    path = tmp_path_factory.mktemp("store") / "s"
    rng = np.random.default_rng(seed)
    rows = [rng.normal(size=(n, 3)).astype(np.float32) for n in lengths]
    names = [f"row-{i}" for i in range(len(rows))]
    writer = writer_of(path, names, [1], shard_rows=per_shard, ragged=True)
    for part in writer.missing():
        chosen = writer.rows_of(part)
        ends = np.cumsum([0, *lengths[chosen]])
        tokens = np.concatenate([np.full(n, i, np.int32) for i, n in enumerate(lengths)][chosen])
        writer.write(part, Content(names[chosen], {1: np.concatenate(rows[chosen])}, 0, ends, tokens))
    store = writer.finish({})
    assert store is not None
    assert store.verify().ok
    asked = rng.permutation(len(rows))[: rng.integers(1, len(rows) + 1)]
    found = store.tokens(1, ids=[names[i] for i in asked])
    for place, row in enumerate(asked):
        own = slice(found.offsets[place], found.offsets[place + 1])
        assert np.array_equal(found.values[own], rows[row])
        assert set(found.token_ids[own]) == {row}
    assert np.array_equal(store.tokens(1).values, np.concatenate(rows))
    with pytest.raises(
        InputError, match=r"every token of its rows: extract with --position .* or read it with \.tokens"
    ):
        store.layer(1)
    assert "every token" in repr(store)


def test_offsets_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    content = Content(["x"], {0: np.ones((2, 2), np.float32)}, 0, np.array([0, 2]), np.zeros(3, np.int32))
    file = write_shard(tmp_path, 0, content, "float32", "k")
    with pytest.raises(InputError, match="offsets do not fit 1 rows and 3 tokens"):
        read_offsets(file, 1)


@given(st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=5))
def test_the_key_ignores_the_order_of_fields_and_nothing_else(identity: dict[str, object]) -> None:
    assert identity_key(dict(reversed(identity.items()))) == identity_key(identity)
    assert identity_key(identity | {"more": 1}) != identity_key(identity | {"more": 2})
    assert differing_fields(identity, identity) == ""


def test_a_manifest_reads_as_it_was_written(tmp_path: Path) -> None:
    manifest = Manifest(
        key="k", identity={"a": 1}, sites={0: "x", 12: "y"}, depth=12, width=3, dtype="bfloat16", rows=0, shard_rows=1
    )
    manifest.write(tmp_path)
    assert Manifest.read(tmp_path) == manifest


def test_a_store_says_which_of_its_layers_are_meant(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", np.ones((3, 3, 2), dtype=np.float32))
    write_table(pd.DataFrame({"id": ["a", "b", "c"]}), tmp_path / "rows.jsonl")
    store = import_activations(
        tmp_path / "X.npy",
        tmp_path / "rows.jsonl",
        tmp_path / "acts",
        layers="0,4,8",
        depth=8,
        order="rows",
        last_entry="pre-norm",
    )
    assert store.select("all") == [0, 4, 8]  # and not every layer of the model
    assert store.select("middle,-1") == [4, 8]
    assert store.select([8, 0, 8]) == [0, 8]
    with pytest.raises(InputError, match="layer 5 is not in"):
        store.select("0,5")
