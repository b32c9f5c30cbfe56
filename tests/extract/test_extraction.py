"""The extractor against `output_hidden_states`, row by row, whatever the batch, padding, position and dtype."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import AutoModel, AutoTokenizer

from extract import extractor
from extract.encoding import Encoding
from extract.extractor import Extraction, extract, extract_cached
from extract.forward import engine
from extract.forward.trace import ActivationReader, pool
from extract.models.loading import Placement, load_trunk
from extract.models.source import ModelSource
from extract.row_files import checked_rows, read_rows, rows_hash
from tests.conftest import FAMILIES
from w2s_probes import ActivationStore, InputError
from w2s_probes.checkpoints.batches import batches, padded
from w2s_probes.progress import RowsRead

Checkpoint = Callable[..., Path]
CPU = Placement("cpu")


def one_by_one(folder: Path, rows: pd.DataFrame, position: str) -> dict[int, Any]:
    """Hidden states by transformers itself, a row at a time, so without any padding."""
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    vectors: dict[int, list[Any]] = {}
    for text in rows["text"]:
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
        for layer, state in enumerate(states):
            pooled = {"last": state[0, -1], "first": state[0, 0], "mean": state[0].float().mean(dim=0)}[position]
            vectors.setdefault(layer, []).append(pooled.float().numpy())
    return {layer: np.stack(v) for layer, v in vectors.items()}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("position", ["last", "first", "mean"])
def test_batched_activations_equal_transformers_own(
    checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path, family: str, position: Any
) -> None:
    folder = checkpoint(family)
    store = extract(
        Extraction.plan(str(folder), rows, position=position), tmp_path / "s", placement=Placement(batch_tokens=60)
    )
    expected = one_by_one(folder, rows, position)
    assert store.ids.tolist() == rows["id"].tolist()
    assert store.layers == [0, 1, 2, 3]
    # hidden_states[-1] is after the final norm where a model has one; a block's own output is before it.
    comparable = [0, 1, 2, 3] if family == "bert" else [0, 1, 2]
    for layer in comparable:
        assert store.layer(layer) == pytest.approx(expected[layer], abs=2e-5)
    if family != "bert":
        norm = next(m for name, m in model_of(folder).named_modules() if name in ("norm", "ln_f", "final_layer_norm"))
        if position != "mean":
            with torch.no_grad():
                normed = norm(torch.from_numpy(store.layer(3)))
            assert normed.numpy() == pytest.approx(expected[3], abs=2e-5)


def model_of(folder: Path) -> nn.Module:
    model: nn.Module = AutoModel.from_pretrained(folder).eval()
    return model


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_models_dtype_is_stored_bit_for_bit(
    checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path, dtype: str
) -> None:
    folder = checkpoint("llama", dtype)
    store = extract(Extraction.plan(str(folder), rows[:1], layers="0-2"), tmp_path / "s")
    assert store.manifest.dtype == dtype
    model = AutoModel.from_pretrained(folder, dtype="auto").eval()
    assert model.dtype == getattr(torch, dtype)
    inputs = AutoTokenizer.from_pretrained(folder)(rows["text"][0], return_tensors="pt")
    with torch.no_grad():
        states = model(**inputs, output_hidden_states=True).hidden_states
    for layer in (0, 1, 2):
        assert store.words(layer).tobytes() == states[layer][:, -1].contiguous().view(torch.int16).numpy().tobytes()


def test_the_result_does_not_depend_on_the_batch_nor_on_a_stop_in_between(
    checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(checkpoint("gpt_neox"))
    whole = extract(Extraction.plan(folder, rows), tmp_path / "whole", placement=Placement(batch_tokens=10_000))
    small = extract(Extraction.plan(folder, rows), tmp_path / "small", placement=Placement(batch_tokens=1))
    assert small.key == whole.key
    for layer in whole.layers:
        assert small.layer(layer) == pytest.approx(whole.layer(layer), abs=2e-5)

    monkeypatch.setattr(extractor, "SHARD_ROWS", 16)
    sharded = extract(Extraction.plan(folder, rows), tmp_path / "sharded")
    assert [s.rows for s in sharded.manifest.shards] == [16, 16, 8]

    class Killed(BaseException):
        pass

    def kill(done: RowsRead) -> None:
        if done.rows > 20:
            raise Killed

    with pytest.raises(Killed):
        extract(Extraction.plan(folder, rows), tmp_path / "killed", progress=kill)
    with pytest.raises(InputError, match=r"not finished \(16 of 40 rows\)"):
        ActivationStore.open(tmp_path / "killed")
    resumed = extract(Extraction.plan(folder, rows), tmp_path / "killed")
    for layer in sharded.layers:
        assert resumed.words(layer).tobytes() == sharded.words(layer).tobytes()


def test_a_truncated_shard_is_made_again_by_the_same_extraction(
    checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extractor, "SHARD_ROWS", 16)
    store = extract(Extraction.plan(str(checkpoint()), rows), tmp_path / "s")
    before = store.words(2).tobytes()
    shard = store.path / store.manifest.shards[1].file
    shard.write_bytes(shard.read_bytes()[:-50])
    with pytest.raises(InputError, match="missing or truncated; `w2s repair`"):
        ActivationStore.open(store.path)
    again = extract(Extraction.plan(str(checkpoint()), rows), tmp_path / "s")
    assert again.words(2).tobytes() == before
    assert again.verify().ok


def test_a_finished_store_is_opened_again_without_the_model(
    checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Extraction.plan(str(checkpoint()), rows, layers="middle")
    store = extract_cached(plan, tmp_path)
    monkeypatch.setattr(engine, "load_trunk", lambda *a: pytest.fail("the model was loaded again"))
    assert extract_cached(plan, tmp_path).key == store.key
    other = Extraction.plan(str(checkpoint()), rows, layers="middle", position="mean")
    assert other.identity != plan.identity
    with pytest.raises(InputError, match="position: 'last' in the store, 'mean' asked for"):
        other.run(store.path)


def test_only_the_blocks_up_to_the_last_wanted_layer_are_run(checkpoint: Checkpoint, rows: pd.DataFrame) -> None:
    source = ModelSource.find(str(checkpoint("llama")))
    model = load_trunk(source, "float32", CPU)
    ran: list[int] = []
    blocks = model.get_submodule(source.block_path)
    for i, block in enumerate(blocks.children()):
        block.register_forward_pre_hook(lambda *_, i=i: ran.append(i))
    reader = ActivationReader(model, source.block_path)
    ids, mask = padded([[5, 6, 7]], pad=0)
    found = reader.read(ids, mask, [1], "last")
    assert ran == [0]
    assert list(found) == [1]


def encoded(source: ModelSource, rows: pd.DataFrame, limit: int | None) -> tuple[list[int], int]:
    found = Encoding(limit, "right", None).encode(source.tokenizer, rows["id"].tolist(), rows["text"].tolist())
    return [len(row) for row in found.rows], found.cut


def test_long_texts_are_cut_and_counted(checkpoint: Checkpoint, tmp_path: Path) -> None:
    rows = pd.DataFrame({"id": ["long", "fits", "short"], "text": ["w1 " * 100, "w2 " * 64, "w3"]})
    source = ModelSource.find(str(checkpoint()))
    assert source.window == 64
    assert encoded(source, rows, 64) == ([64, 64, 1], 1)
    store = extract(Extraction.plan(source, rows, max_length=10), tmp_path / "s")
    assert store.manifest.identity["max_length"] == 10
    assert store.manifest.notes["cut_rows"] == 2


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 200))
def test_batches_hold_every_row_once_within_the_budget(lengths: list[int], budget: int) -> None:
    found = list(batches(lengths, budget))
    assert sorted(row for batch in found for row in batch) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= budget


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=8), min_size=1, max_size=6), st.booleans())
def test_pooling_reads_the_same_token_whatever_the_padding_side(rows: list[list[int]], left: bool) -> None:
    ids, mask = padded(rows, pad=0)
    if left:
        for i, row in enumerate(rows):
            ids[i], mask[i] = ids[i].roll(-len(row)), mask[i].roll(-len(row))
    states = ids[..., None].float()
    assert pool(states, mask, "last")[:, 0].tolist() == [row[-1] for row in rows]
    assert pool(states, mask, "first")[:, 0].tolist() == [row[0] for row in rows]
    assert pool(states, mask, "mean")[:, 0].tolist() == pytest.approx([np.mean(row) for row in rows], abs=1e-5)


def test_a_model_that_gives_infinities_is_stopped_before_anything_is_written(
    checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint("llama", "float16"), tmp_path / "copy")
    model = AutoModel.from_pretrained(folder, dtype=torch.float16)
    model.layers[1].mlp.down_proj.weight.data.fill_(6e4)
    model.layers[1].mlp.gate_proj.weight.data.fill_(1e2)
    model.save_pretrained(folder)
    with pytest.raises(InputError, match=r"layer 2 of row 'row-\d+' is NaN or infinite in float16: try --dtype"):
        extract(Extraction.plan(str(folder), rows), tmp_path / "s")
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"id": ["a"], "txt": ["x"]}, "no field 'text'; it has 'id', 'txt'"),
        ({"id": ["a", "b"], "text": ["x", "  "]}, "row 'b' has an empty text; drop it"),
        ({"text": ["x", None]}, "row 2 has an empty text"),
        ({"text": ["x", "y", "x"]}, "rows 1 and 3 have no id and the same text"),
        ({"id": ["a", "a"], "text": ["x", "y"]}, "ids must be unique"),
    ],
)
def test_unusable_rows_are_named(table: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked_rows(pd.DataFrame(table), "rows.jsonl")


def test_rows_without_ids_are_known_by_their_text(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text('{"text": "x"}\n{"text": "y"}\n')
    rows = read_rows(tmp_path / "r.jsonl")
    assert rows["id"].nunique() == 2
    assert rows_hash(rows) == rows_hash(rows.copy())
    assert rows_hash(rows) != rows_hash(rows[::-1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": "7"}, r"layer 7 is outside 0\.\.3"),
        ({"position": "lst"}, "did you mean 'last'"),
        ({"dtype": "float64"}, "dtype 'float64': did you mean 'float"),
        ({"max_length": 0}, "max_length=0 must be at least 1"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(
    checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        extract(Extraction.plan(str(checkpoint()), rows, **options), tmp_path / "s")
    assert not (tmp_path / "s").exists()
