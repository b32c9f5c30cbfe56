"""Datasets that lmprobe pushes: rows found by text in its index, their vectors gathered from shards of each layer.

The folders are made as lmprobe 0.10.3 makes them: prompts in a random order, of full sequences the last tokens in
shards of their own before those of the others. What its own code wrote came back the same bit for bit when this was
built.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from tests.conftest import run_failing
from w2s_probes.errors import InputError
from w2s_probes.importing import import_prompt_folder
from w2s_probes.importing.lmprobe_index import INDEX
from w2s_probes.io.tables import write_table
from w2s_probes.store.activation_store import ActivationStore

TEXTS = [f"text {i}" for i in range(7)]
COUNTS = [3, 1, 2, 4, 1, 2, 3]
BLOCKS, WIDTH, A_SHARD = (0, 1, 3), 4, 3  # blocks; vectors; prompts a shard
ORDER = [4, 0, 6, 2, 5, 1, 3]  # of the prompts in the dataset
ROWS = [6, 1, 0, 5]


def states(prompt: int, block: int) -> Any:
    """(tokens, width) of a prompt."""
    return np.random.default_rng([prompt, block]).normal(size=(COUNTS[prompt], WIDTH)).astype(np.float16)


def dataset(folder: Path, *, pooling: str | None = None, change: dict[str, Any] | None = None) -> Path:
    """A folder of such a dataset, of full sequences or pooled vectors; `change` replaces parts of its description."""
    (folder / "index").mkdir(parents=True)
    (folder / "tensors").mkdir()
    groups = [ORDER[start : start + A_SHARD] for start in range(0, len(ORDER), A_SHARD)]
    vectors: list[list[tuple[int, int]]] = [[(p, COUNTS[p] - 1) for p in group] for group in groups]  # prompt, token
    if pooling is None:
        vectors += [[(p, t) for p in group for t in range(COUNTS[p] - 1)] for group in groups]
    places = {vector: (shard, at) for shard, group in enumerate(vectors) for at, vector in enumerate(group)}
    for block in BLOCKS:
        for shard, group in enumerate(vectors):
            words = np.stack([states(p, block)[t] for p, t in group])
            path = folder / "tensors" / f"hidden_layer{block:03d}_shard{shard:03d}.safetensors"
            save_file({f"hidden.layer_{block}": words}, path)
    columns: dict[str, Any] = {
        "text": [TEXTS[p] for p in ORDER],
        "label": [p % 2 for p in ORDER],
        "num_tokens": pa.array([COUNTS[p] for p in ORDER], pa.int32()),
        "shard_index": pa.array([places[p, COUNTS[p] - 1][0] for p in ORDER], pa.int32()),
        "row_offset": pa.array([places[p, COUNTS[p] - 1][1] for p in ORDER], pa.int32()),
    }
    sizes = [{"num_prompts": len({p for p, _ in group})} for group in vectors]
    hidden: dict[str, Any] = {"layers": list(BLOCKS), "dim": WIDTH, "dtype": "float32", "layout": "per_layer"}
    if pooling is None:
        for at, name in enumerate(("token_shard_ids", "token_shard_offsets")):
            columns[name] = [[places[p, t][at] for t in range(COUNTS[p])] for p in ORDER]
        sizes = [size | {"num_tokens": len(group)} for size, group in zip(sizes, vectors, strict=True)]
    hidden |= {"storage": "pooled", "pooling": pooling} if pooling else {"storage": "full_sequence"}
    hidden |= {"shards": sizes}
    about = {"format_version": "2.0", "model": {"name": "org/model"}, "tensors": {"hidden_layers": hidden}}
    meta = {f"lmprobe:{name}": json.dumps(value) for name, value in (about | (change or {})).items()}
    pq.write_table(pa.table(columns).replace_schema_metadata(meta), folder / INDEX)
    table = pd.DataFrame({"id": [f"r{i}" for i in ROWS], "text": [TEXTS[i] for i in ROWS]})
    write_table(table, folder.parent / "rows.jsonl")
    return folder


def imported(folder: Path, position: Any = "last", name: str = "acts", **given: Any) -> ActivationStore:
    options: dict[str, Any] = {"depth": 9} | given
    out = folder.parent / name
    return import_prompt_folder(
        folder, folder.parent / "rows.jsonl", out, layout="lmprobe", position=position, **options
    )


def tokenize(ids: Any, texts: Any) -> list[Any]:
    return [np.arange(COUNTS[int(name[1:])]) for name in ids]


def test_rows_come_out_of_the_shards_bit_for_bit_whatever_their_order(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "whole")
    for position, token in (("last", -1), ("first", 0)):
        store = imported(folder, position, position, tokenize=tokenize, model="/here/llama")
        assert store.manifest.identity["model"] == "llama"
        assert (store.layers, store.ids.tolist(), store.manifest.dtype) == (
            [1, 2, 4],
            ["r6", "r1", "r0", "r5"],
            "float16",
        )
        for block in BLOCKS:
            expected = np.stack([states(row, block)[token] for row in ROWS])
            assert np.array_equal(store.words(block + 1), expected)
    every = imported(folder, "all", "every", tokenize=tokenize, layers="2,4")
    assert every.layers == [2, 4]
    for block in (1, 3):
        assert np.array_equal(every.words(block + 1), np.concatenate([states(row, block) for row in ROWS]))
    assert every.tokens(2).token_ids.tolist() == [0, 1, 2, 0, 0, 1, 2, 0, 1]
    for pooling, position in (("last_token", "last"), ("mean", "mean")):
        pooled = imported(dataset(tmp_path / pooling, pooling=pooling), position, f"of {pooling}")
        assert np.array_equal(pooled.words(2), np.stack([states(row, 1)[-1] for row in ROWS]))
        assert pooled.manifest.notes["model"] == "org/model"
    for known in (True, False):  # its last block may have gone through the final norm, of which it keeps nothing
        with pytest.raises(InputError, match="say which by --last-entry pre-norm, post-norm or drop"):
            imported(folder, layers="1,2,4" if known else "1,2", depth=4 if known else None)
    assert imported(folder, name="normed", depth=4, last_entry="post-norm").manifest.after_norm == 4


def test_what_is_not_there_or_not_as_said_is_refused_and_nothing_written(tmp_path: Path) -> None:
    hidden = {"layers": [0], "dim": WIDTH, "layout": "per_layer", "storage": "pooled", "pooling": "last_token"}
    cases: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({}, {"position": "mean"}, "holds every token and no mean: say --position last, first or all"),
        ({"pooling": "last_token"}, {"position": "first"}, "pooled by last_token, not first: say --position last"),
        ({"pooling": "all"}, {}, "pooled by all, not last: it fits no position"),
        ({}, {"position": "all"}, "does not tell the tokens of row 'r6'"),
        ({}, {"layers": "3"}, r"no layer 3 \(its block 2\); it holds 1, 2, 4"),
        ({}, {"depth": 3}, "layer 4 is above the model's 3 blocks"),
        ({}, {"tokenize": lambda ids, texts: [[1]] * len(ids)}, "row 'r6' has 3 tokens there"),
        ({"change": {"format_version": "3.0"}}, {}, "format 3.0 of lmprobe's datasets, and 2 is read"),
        ({"change": {"format_version": "1.3"}}, {}, "lmprobe.upgrade_dataset_format"),
        ({"change": {"tensors": {"logits_topk": {}}}}, {}, "does not describe hidden layers"),
        ({"change": {"tensors": {"hidden_layers": hidden | {"layout": None, "shards": []}}}}, {}, "an older lmprobe"),
        ({"change": {"tensors": {"hidden_layers": hidden | {"shards": [{"num_prompts": 1}]}}}}, {}, "a vector that no"),
        (
            {"change": {"tensors": {"hidden_layers": hidden | {"dim": 5, "shards": [{"num_prompts": 3}] * 3}}}},
            {},
            r"hidden.layer_0 has shape \(3, 4\), and the index says \(3, 5\)",
        ),
    ]  # fmt: skip
    for at, (made, given, said) in enumerate(cases):
        folder = dataset(tmp_path / str(at) / "data", **made)
        with pytest.raises(InputError, match=said):
            imported(folder, **given)
        assert not (folder.parent / "acts").exists()
    folder = dataset(tmp_path / "lost" / "data")
    write_table(pd.DataFrame({"id": ["a", "b"], "text": ["text 1", "text 1 "]}), folder.parent / "rows.jsonl")
    with pytest.raises(InputError, match=r"no line for 1 of 2 rows of .* \('b'\)"):
        imported(folder)
    write_table(pd.DataFrame({"id": ["a"], "text": ["text 1"]}), folder.parent / "rows.jsonl")
    (folder / "tensors" / "hidden_layer003_shard001.safetensors").unlink()
    with pytest.raises(InputError, match=r"hidden_layer003_shard001.safetensors: not there: pull it, too"):
        imported(folder)
    assert imported(folder, layers="1,2").layers == [1, 2]
    (folder / INDEX).write_bytes(b"PAR1")
    with pytest.raises(InputError, match="not readable as Parquet"):
        imported(folder, name="again")


def test_the_command_says_where_a_cache_keeps_its_rows_in_shards(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "data")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "_shard_index.json").write_text("{}")
    asked = ["--rows", tmp_path / "rows.jsonl", "--layout", "lmprobe", "--position", "last", "--out", tmp_path / "o"]
    said = run_failing("import", tmp_path / "cache", *asked)
    assert "lie in shards of a dataset: bring it here, by `w2s pull hf://datasets/NAME/DATASET FOLDER`" in said
    assert folder.is_dir()


def test_a_damaged_index_is_said_to_be_so(tmp_path: Path) -> None:
    """Nulls, fractions, numbers beyond 64 bits, other types, and lists of nothing, in the columns and in the schema."""
    columns = ("num_tokens", "shard_index", "row_offset", "token_shard_ids", "token_shard_offsets", "token_ids")
    for pooling in (None, "last_token"):
        folder = dataset(tmp_path / (pooling or "all") / "data", pooling=pooling)
        sound = pq.read_table(folder / INDEX)
        for name in columns:
            if name not in sound.column_names and name != "token_ids":
                continue
            of_lists = name.startswith("token_")
            for bad in (None, 0.5, 1e30, "1", True, float("nan")):
                values = [[bad] * COUNTS[p] if of_lists else bad for p in ORDER]
                table = sound.drop_columns([name] if name in sound.column_names else [])
                damaged = table.append_column(name, pa.array(values)).replace_schema_metadata(sound.schema.metadata)
                pq.write_table(damaged, folder / INDEX)
                if (name, pooling) in (("shard_index", None), ("row_offset", None)) or (name, bad) == (
                    columns[0],
                    None,
                ):
                    continue  # of every token's places they are not asked, and a number may be left untold
                with pytest.raises(InputError, match="damaged: pull it again"):
                    imported(folder)
        pq.write_table(sound, folder / INDEX)
        text = pa.array([[text] for text in TEXTS])
        pq.write_table(sound.set_column(0, "text", text), folder / INDEX)
        with pytest.raises(InputError, match="no line for 4 of 4 rows"):
            imported(folder)
        described = json.loads(sound.schema.metadata[b"lmprobe:tensors"])["hidden_layers"]
        count = "num_prompts" if pooling else "num_tokens"
        changes: list[dict[str, Any]] = [{"layers": each} for each in ([], None, [-1, 0], "013", [0.5], [10**30], 3)]
        changes += [{"dim": each} for each in (0, 10**30, 4.5, None, "4")]
        changes += [{"shards": each} for each in ([{count: 10**30}], [{count: 1.5}], [3], None, [{count: None}])]
        for change in changes:
            tensors = json.dumps({"hidden_layers": described | change}).encode()
            meta = sound.schema.metadata | {b"lmprobe:tensors": tensors}
            pq.write_table(sound.replace_schema_metadata(meta), folder / INDEX)
            with pytest.raises(InputError, match=r"does not describe hidden layers .*: damaged: pull it again"):
                imported(folder)
        # Numbers that a missing one has made fractions of are read; layers in any order are those.
        meta = sound.schema.metadata | {
            b"lmprobe:tensors": json.dumps({"hidden_layers": described | {"layers": [3, 0, 1]}}).encode()
        }
        floats = pa.array([float(value) for value in sound["shard_index"].to_pylist()])
        at = sound.column_names.index("shard_index")
        pq.write_table(sound.set_column(at, "shard_index", floats).replace_schema_metadata(meta), folder / INDEX)
        with pytest.raises(InputError, match="layer 4 is above the model's 3 blocks"):
            imported(folder, depth=3)
        assert imported(folder).layers == [1, 2, 4]
