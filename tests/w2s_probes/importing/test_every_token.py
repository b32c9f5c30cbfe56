"""Every token of a row imported into a ragged store: the same tokens, bit for bit, whoever wrote the file.

Files are written by safetensors, h5py and NumPy alone, as the programs write them that the layouts are of.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from tests.conftest import run_failing
from w2s_probes import ActivationStore
from w2s_probes.errors import InputError
from w2s_probes.importing import import_activations, import_hdf5, import_prompt_folder, token_store
from w2s_probes.io.tables import write_table

TEXTS = {"b": "one two three", "a": "one", "c": "four five", "d": "six"}
BLOCKS, WIDTH = 3, 5
Import = Callable[..., ActivationStore]


def count(name: str) -> int:
    return len(TEXTS[name].split())


def states(name: str) -> NDArray[np.float16]:
    """(tokens, blocks, width)."""
    return np.random.default_rng(ord(name)).normal(size=(count(name), BLOCKS, WIDTH)).astype(np.float16)


def ids_of(name: str) -> NDArray[np.int64]:
    return np.array([ord(word[0]) * 100 + len(word) for word in TEXTS[name].split()])


def tokenize(ids: Any, texts: Any) -> list[list[int]]:
    assert [TEXTS[name] for name in ids] == list(texts)
    return [ids_of(name).tolist() for name in ids]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    write_table(pd.DataFrame({"id": list(TEXTS), "text": list(TEXTS.values())}), tmp_path / "rows.jsonl")
    return tmp_path


def vllm(here: Path, name: str = "acts", **given: Any) -> ActivationStore:
    (here / "vllm").mkdir(exist_ok=True)
    for row in TEXTS:
        save_file({"hidden_states": states(row), "token_ids": ids_of(row)}, here / "vllm" / f"{row}.safetensors")
    options: dict[str, Any] = {"layers": "1,2,3", "depth": 4} | given
    return import_prompt_folder(here / "vllm", here / "rows.jsonl", here / name, position="all", **options)


def lmprobe(here: Path, name: str = "acts", *, perplexity: bool = False, **given: Any) -> ActivationStore:
    """As `save_prompt_activations` and, where perplexities are, `save_prompt_perplexity` write them."""
    (here / "lmprobe").mkdir(exist_ok=True)
    for row in TEXTS:
        key = hashlib.sha256(TEXTS[row].encode()).hexdigest()[:16]
        pads = 4 - count(row)
        padded = np.pad(states(row), ((pads, 0), (0, 0), (0, 0)), constant_values=9)
        tensors: dict[str, Any] = {f"layer_{block}": padded[None, :, block].copy() for block in range(BLOCKS)}
        mask = np.pad(np.ones((1, count(row)), dtype=np.int64), ((0, 0), (pads, 0)))
        save_file(tensors | {"attention_mask": mask}, here / "lmprobe" / f"{key}.safetensors")
        if perplexity:
            save_file({"token_ids": ids_of(row)[None]}, here / "lmprobe" / f"{key}.perplexity.safetensors")
    options: dict[str, Any] = {"layout": "lmprobe", "depth": 4} | given
    return import_prompt_folder(here / "lmprobe", here / "rows.jsonl", here / name, position="all", **options)


def hdf5(here: Path, name: str = "acts", *, order: str = "bacd", told: bool = True, **given: Any) -> ActivationStore:
    """A file of the rows in another order, joined by their ids."""
    with h5py.File(here / "acts.h5", "w") as file:
        file["states"] = np.concatenate([states(row) for row in order])
        file["ends"] = np.concatenate([[0], np.cumsum([count(row) for row in order])])
        file["rows"] = [row.encode() for row in order]
        file["tokens"] = np.concatenate([ids_of(row) for row in order])
    mapping = ["states=states", "offsets=ends", "ids=rows", *(["token_ids=tokens"] if told else [])]
    options: dict[str, Any] = {"layers": "1,2,3", "depth": 4, "mapping": mapping} | given
    return import_hdf5(here / "acts.h5", here / "rows.jsonl", here / name, position="all", **options)


@pytest.mark.parametrize(
    ("write", "given"),
    [
        (vllm, {}),
        (vllm, {"tokenize": tokenize}),
        (lmprobe, {"tokenize": tokenize}),
        (lmprobe, {"perplexity": True}),
        (hdf5, {}),
        (hdf5, {"order": "dbca", "told": False, "tokenize": tokenize}),
    ],
)
def test_every_token_is_kept_bit_for_bit_with_its_id(
    here: Path, write: Import, given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_store, "SHARD_BYTES", 5 * 3 * WIDTH * 2)  # four tokens at most, and so two rows a part
    store = write(here, **given)
    assert store.manifest.ragged
    assert (store.layers, list(store.ids), len(store.manifest.shards)) == ([1, 2, 3], list(TEXTS), 2)
    assert store.verify().ok
    for layer in store.layers:
        assert store.manifest.sites[layer].startswith("imported ")
        found = store.tokens(layer, ids=["c", "b", "d"])
        expected = np.concatenate([states(name)[:, layer - 1] for name in "cbd"])
        np.testing.assert_array_equal(found.values, expected.astype(np.float32))
        assert found.offsets.tolist() == [0, 2, 5, 6]
        np.testing.assert_array_equal(found.token_ids, np.concatenate([ids_of(name) for name in "cbd"]))
    again = ActivationStore.open(store.path)
    assert again.manifest.identity["position"] == "all"
    assert write(here, **given).key == store.key  # and is gone on with


def broken(name: str, **tensors: NDArray[Any]) -> Callable[[Path], None]:
    def change(here: Path) -> None:
        vllm(here, "before")
        whole: dict[str, Any] = {"hidden_states": states(name), "token_ids": ids_of(name)}
        save_file(whole | tensors, here / "vllm" / f"{name}.safetensors")

    return change


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (broken("b", token_ids=ids_of("b")[:2]), r"b.safetensors: states of 3 tokens, but token_ids of shape \(2,\)"),
        (
            broken("a", hidden_states=np.zeros((0, 3, 5), np.float16), token_ids=np.zeros(0, np.int64)),
            "is empty, of shape",
        ),
        (broken("c", hidden_states=states("c").astype(np.float32)), "of float32, but b.safetensors has"),
        (broken("c", hidden_states=np.full((2, 3, 5), np.nan, np.float16)), "layer 1 of row 'c' is not finite"),
        (broken("c", token_ids=np.array([3, -4])), "row 'c' names token -4: no id of a token"),
        (broken("d", token_ids=np.array([2**31])), "row 'd' names token 2147483648"),
        (lambda here: (vllm(here, "before"), (here / "vllm" / "a.safetensors").unlink()), "no file for 1 of 4 rows"),
    ],
)
def test_a_faulty_file_of_a_prompt_is_refused_by_name_and_nothing_is_written(
    here: Path, fault: Callable[[Path], object], message: str
) -> None:
    fault(here)
    with pytest.raises(InputError, match=message):
        import_prompt_folder(here / "vllm", here / "rows.jsonl", here / "out", layers="1,2,3", depth=4, position="all")
    assert not (here / "out").exists()


def test_tokens_must_be_told_by_the_file_or_the_tokenizer_and_agree(here: Path) -> None:
    with pytest.raises(InputError, match=r"does not tell the tokens of row 'b'.* give the --model"):
        lmprobe(here)
    cut = lambda ids, texts: [row[:-1] if len(row) > 2 else row for row in tokenize(ids, texts)]  # noqa: E731
    cases: list[tuple[Import, dict[str, Any]]] = [(vllm, {}), (lmprobe, {}), (hdf5, {"told": False})]
    for write, given in cases:
        with pytest.raises(InputError, match="row 'b' has 3 tokens there, and the tokenizer gives 2"):
            write(here, tokenize=cut, **given)
    other = lambda ids, texts: [[token + (token > 11000) for token in row] for row in tokenize(ids, texts)]  # noqa: E731
    with pytest.raises(InputError, match=r"row 'b': token 1 is 11103 there, and the tokenizer gives 11104"):
        vllm(here, tokenize=other)
    with pytest.raises(InputError, match="1 ids are not in both files"):
        hdf5(here, order="bac")
    with pytest.raises(InputError, match="--position all needs offsets=DATASET"):
        hdf5(here, mapping=["states=states"])
    np.save(here / "x.npy", np.ones((4, 5), np.float32))
    with pytest.raises(InputError, match="these files hold a vector a row"):
        import_activations(here / "x.npy", here / "rows.jsonl", here / "acts", layers=1, position="all")
    assert not (here / "acts").exists()


def probelab(here: Path, meta: dict[str, Any] | None = None) -> Path:
    """As `probelab.storage.memmap.save` writes blocks 4 and 6: bfloat16 words, offsets and a mask, each a bare file."""
    folder = here / "maps"
    folder.mkdir(exist_ok=True)
    ends = np.concatenate([[0], np.cumsum([count(name) for name in TEXTS])])
    total = int(ends[-1])
    for file, kind, values in (
        ("offsets.bin", np.int64, ends),
        ("detection_mask.bin", np.uint8, np.ones(total)),
        *((f"layer_{block}.bin", np.int16, words(at)) for at, block in ((0, 4), (1, 6))),
    ):
        mapped = np.memmap(folder / file, dtype=kind, mode="w+", shape=np.shape(values))
        mapped[:] = values
        mapped.flush()
    about = {"format": "memmap_v1", "dims": "blsh", "total_tokens": total, "n_layers": 2, "hidden_dim": WIDTH}
    about |= {"layers": [4, 6], "n_samples": len(TEXTS), "metadata": {}}
    (folder / "meta.json").write_text(json.dumps(about | (meta or {})))
    return folder


def words(block: int) -> NDArray[np.int16]:
    """bfloat16 words (tokens, width): the upper halves of float32."""
    whole = np.concatenate([states(name)[:, block] for name in TEXTS]).astype(np.float32)
    return (whole.view(np.uint32) >> 16).astype(np.uint16).view(np.int16)


def test_memory_maps_of_probelab_are_read_at_a_token_and_at_every_one(here: Path) -> None:
    folder, asked = probelab(here), {"layout": "probelab", "depth": 9}
    ends = np.cumsum([count(name) for name in TEXTS])
    for position, places in (("last", ends - 1), ("first", np.concatenate([[0], ends[:-1]]))):
        store = import_hdf5(folder, here / "rows.jsonl", here / position, position=position, **asked)  # type: ignore[arg-type]
        assert (store.layers, store.manifest.dtype, list(store.ids)) == ([5, 7], "bfloat16", list(TEXTS))
        np.testing.assert_array_equal(store.words(7), words(1)[places].view(np.uint16))
    with pytest.raises(InputError, match="does not tell the tokens of row 'b'"):
        import_hdf5(folder, here / "rows.jsonl", here / "all", position="all", **asked)  # type: ignore[arg-type]
    given: Any = {"position": "all", "tokenize": tokenize, "layers": "7"} | asked
    store = import_hdf5(folder, here / "rows.jsonl", here / "all", **given)
    assert store.layers == [7]
    np.testing.assert_array_equal(store.words(7), words(1).view(np.uint16))
    assert store.tokens(7, ids=["c"]).token_ids.tolist() == ids_of("c").tolist()


@pytest.mark.parametrize(
    ("meta", "change", "message"),
    [
        ({"format": "memmap_v2"}, None, "no meta.json of the format memmap_v1"),
        ({"n_samples": 3}, None, "offsets.bin: 40 bytes, and meta.json says 32"),
        ({"total_tokens": 6}, None, "offsets.bin: ends at 7, and there are 6 tokens"),
        ({"hidden_dim": 6}, None, "layer_4.bin: 70 bytes, and meta.json says 84: missing, or cut"),
        ({"hidden_dim": 0}, None, "must be whole numbers above 0"),
        ({"layers": [4, 4]}, None, "each must be a block's number, once"),
        ({"layers": [4, 5]}, None, "layer_5.bin: 0 bytes"),
        ({}, {"layers": "6"}, r"no layer 6 \(its block 5\); it holds \[5, 7\]"),
        ({}, {"dtype": "float32"}, "memory maps of probelab hold bfloat16"),
        ({}, {"position": "mean"}, "say --position last, first or all"),
        ({}, {"depth": 6}, "layer 7 is above the model's 6 blocks"),
    ],
)
def test_memory_maps_that_are_not_as_they_say_are_refused(
    here: Path, meta: dict[str, Any], change: dict[str, Any] | None, message: str
) -> None:
    given: Any = {"layout": "probelab", "position": "last", "depth": 9} | (change or {})
    with pytest.raises(InputError, match=message):
        import_hdf5(probelab(here, meta), here / "rows.jsonl", here / "acts", **given)
    assert not (here / "acts").exists()


def test_the_command_imports_every_token_and_proposes_what_reads_them(
    here: Path, w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    vllm(here, "first")
    asked = ["import", here / "vllm", "--rows", here / "rows.jsonl", "--layout", "vllm", "--layers", "1,2,3"]
    asked += ["--depth", 4]
    w2s(*asked, "--position", "all", "--out", here / "acts")
    said = capsys.readouterr().out
    assert "every token" in said
    assert "w2s tokens" in said
    assert ActivationStore.open(here / "acts").key == ActivationStore.open(here / "first").key
    assert "say last, first, mean or all" in run_failing(*asked, "--position", "each", "--out", here / "other")
