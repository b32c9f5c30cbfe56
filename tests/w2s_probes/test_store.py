"""The store: bit-exact, one layer at a time, whole or refused."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from w2s_probes import ActivationStore, InputError
from w2s_probes.dtypes import WORDS, StoredDtype
from w2s_probes.manifest import Manifest, differing_fields, identity_key
from w2s_probes.shards import layer_name, read_ids, read_words, write_shard
from w2s_probes.store import StoreWriter

IDENTITY = {"weights": "w", "position": "last"}


def write(
    path: Path, layers: dict[int, NDArray[Any]], dtype: StoredDtype = "float32", per_shard: int = 4, stop: int = 10**6
) -> list[str]:
    """Write a store of these layers in shards; `stop` leaves it unfinished."""
    n, width = next(iter(layers.values())).shape
    names = [f"row-{i}" for i in range(n)]
    sites = {layer: f"blocks.{layer}" for layer in layers}
    writer = StoreWriter.open(path, identity=IDENTITY, sites=sites, depth=4, width=width, dtype=dtype, rows=n)
    for start in range(writer.done, min(n, stop), per_shard):
        part = slice(start, start + per_shard)
        writer.append(names[part], {layer: words[part] for layer, words in layers.items()})
    if writer.manifest.complete:
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
    file = tmp_path / "s" / "shard-00000.h5"
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
    file = tmp_path / "s" / "shard-00001.h5"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    found = ActivationStore.open(tmp_path / "s").verify()
    assert not found.ok
    assert "shard-00001.h5: checksum differs" in found.problems[0]


def test_numbers_that_are_not_finite_are_refused_by_row(tmp_path: Path, arrays: dict[int, NDArray[np.float32]]) -> None:
    arrays[4][6, 2] = np.inf
    write(tmp_path / "s", arrays)
    store = ActivationStore.open(tmp_path / "s")
    with pytest.raises(InputError, match=r"layer 4 is not finite for 1 rows, first 'row-6'"):
        store.layer(4)
    assert np.array_equal(store.layer(0), arrays[0])
    assert any("layer 4 is not finite" in problem for problem in store.verify().problems)


def test_an_unfinished_store_is_refused_and_gone_on_with(
    tmp_path: Path, arrays: dict[int, NDArray[np.float32]]
) -> None:
    write(tmp_path / "s", arrays, stop=5)
    with pytest.raises(InputError, match=r"not finished \(8 of 10 rows\): give the same `w2s extract` again"):
        ActivationStore.open(tmp_path / "s")
    write(tmp_path / "s", arrays)
    assert np.array_equal(ActivationStore.open(tmp_path / "s").layer(1), arrays[1])


def test_a_store_of_another_identity_is_never_mixed_with(
    tmp_path: Path, arrays: dict[int, NDArray[np.float32]]
) -> None:
    write(tmp_path / "s", arrays)
    with pytest.raises(InputError, match=r"position: 'last' in the store, 'mean' asked for"):
        StoreWriter.open(
            tmp_path / "s",
            identity=IDENTITY | {"position": "mean"},
            sites={0: "x"},
            depth=4,
            width=3,
            dtype="float32",
            rows=10,
        )


def test_nothing_is_written_before_the_first_shard(tmp_path: Path) -> None:
    sites = {0: "x"}
    StoreWriter.open(tmp_path / "s", identity=IDENTITY, sites=sites, depth=4, width=3, dtype="float32", rows=10)
    assert not (tmp_path / "s").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match="exists and is not an activation store"):
        StoreWriter.open(tmp_path / "other", identity=IDENTITY, sites=sites, depth=4, width=3, dtype="float32", rows=1)


def test_a_writer_killed_before_its_first_manifest_can_begin_again(
    tmp_path: Path, arrays: dict[int, NDArray[np.float32]]
) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "shard-00000.h5").write_bytes(b"half")
    (tmp_path / "s" / ".0123abcd.partial.manifest.json").write_text("{")
    write(tmp_path / "s", arrays)
    assert ActivationStore.open(tmp_path / "s").verify().ok


def test_other_layers_than_the_stores_are_refused(tmp_path: Path) -> None:
    writer = StoreWriter.open(
        tmp_path / "s", identity=IDENTITY, sites={0: "x"}, depth=4, width=3, dtype="float32", rows=1
    )
    with pytest.raises(InputError, match=r"layers \[1\] were given, the store has \[0\]"):
        writer.append(["a"], {1: np.zeros((1, 3), np.float32)})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda s: (s / "manifest.json").unlink(), "not an activation store"),
        (lambda s: (s / "manifest.json").write_text("{"), "not a valid manifest"),
        (lambda s: (s / "manifest.json").write_text("[]"), "schema version None"),
        (lambda s: edit(s, '"width": 3', '"width": -1'), "not a valid manifest"),
        (lambda s: edit(s, '"width": 3', '"width": 3000000'), "need more bytes than its shards have"),
        (lambda s: (s / "shard-00001.h5").unlink(), "shard-00001.h5: 0 bytes, the manifest says"),
        (lambda s: (s / "shard-00001.h5").write_bytes(b"short"), "5 bytes, the manifest says .*: truncated"),
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
    with pytest.raises(InputError, match="schema version 99, but this release reads version 1"):
        ActivationStore.open(tmp_path / "s")


def test_a_dataset_that_links_to_another_file_is_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.h5", ["x"], {0: np.ones((1, 2), np.float32)}, "float32")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.attrs["dtype"] = "float32"
        file[layer_name(0)] = h5py.ExternalLink("a.h5", layer_name(0))
    with pytest.raises(InputError, match="no dataset 'layer_000' of its own"):
        read_words(tmp_path / "b.h5", 0, "float32", np.empty((1, 2), np.float32))


@pytest.mark.parametrize("ids", [np.arange(1), np.array([[b"x"]]), np.array([b"\xff"]), np.array([b"x", b"y"])])
def test_ids_that_are_no_ids_are_refused(tmp_path: Path, ids: NDArray[Any]) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["ids"] = ids
    with pytest.raises(InputError, match="damaged; extract again"):
        read_ids(tmp_path / "a.h5", 1)


@given(st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=5))
def test_the_key_ignores_the_order_of_fields_and_nothing_else(identity: dict[str, object]) -> None:
    assert identity_key(dict(reversed(identity.items()))) == identity_key(identity)
    assert identity_key(identity | {"more": 1}) != identity_key(identity | {"more": 2})
    assert differing_fields(identity, identity) == ""


def test_a_manifest_reads_as_it_was_written(tmp_path: Path) -> None:
    manifest = Manifest(
        key="k", identity={"a": 1}, sites={0: "x", 12: "y"}, depth=12, width=3, dtype="bfloat16", rows=0
    )
    manifest.write(tmp_path)
    assert Manifest.read(tmp_path) == manifest
