"""A small sound world to be changed: model, rows, labels, store, sweep, results, task and recipe."""

import contextlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from analyses.recipe.read import read_recipe
from tests.worlds.report_folders import write_kept, write_run, write_sweep
from w2s_probes.io.tables import write_table
from w2s_probes.store.shards import Content
from w2s_probes.store.writer import StoreWriter

N = 60
FORMATS = ("jsonl", "csv", "parquet", "jsonl.gz", "csv.gz")
TEMPLATE = "{% for message in messages %}{{ message.content }} w1{% endfor %}"
RECIPE = """\
seeds = [0]
methods = ["student-xent", "filter-knn", "relabel-logistic"]
n_boot = 50

[data]
tasks = ["task.toml"]
folder = "data"
n_train = 40
n_val = 10
n_test = 20

[weak]
kind = "text"
n_truth = 20

[strong]
model = "model"
layer = 1
position = "mean"

[student]
epochs = 3

[probes]
knn_k = 5
topo_k = 5
contamination = 0.1
"""
TASK = """\
text = "{title} says {body}"
label = { field = "answer", positive = ["yes"], negative = ["no"] }
group = ["title"]
balance = false
"""


def make_world(folder: Path) -> Path:
    """All of it; about ten seconds."""
    rng = np.random.default_rng(0)
    truth = np.arange(N) % 2
    ids = [f"row-{i}" for i in range(N)]
    words = [" ".join(f"w{15 * t + j}" for j in rng.integers(0, 15, size=6)) for t in truth]
    table = pd.DataFrame({"id": ids, "text": [f"{one} {i}" for i, one in enumerate(words)]})
    table = table.assign(label=np.clip(truth * 0.8 + 0.1 * rng.random(N), 0, 1), truth=truth.astype(float))
    table["group"] = [f"g{i // 2}" for i in range(N)]
    table["split"] = ["train"] * 40 + ["val"] * 10 + ["test"] * 10
    for ending in FORMATS:
        write_table(table[["id", "text"]], folder / f"rows.{ending}")
        write_table(table, folder / f"weak.{ending}")
    _write_store(folder / "acts", ids, truth)
    _write_model(folder / "model")
    (folder / "template.jinja").write_text(TEMPLATE)
    write_kept(folder / "kept.jsonl")
    write_sweep(folder / "swept")
    write_run(folder / "run", ["alpha", "beta"], n=40)
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "task.toml").write_text(TASK)
    answers = pd.DataFrame({"title": [f"t{i}" for i in range(140)], "body": [f"w{i % 30} b{i}" for i in range(140)]})
    answers["answer"] = ["yes" if i % 2 else "no" for i in range(140)]
    write_table(answers[:100], folder / "data" / "task" / "train.jsonl.gz")
    write_table(answers[100:], folder / "data" / "task" / "test.jsonl.gz")
    read_recipe(folder / "recipe.toml")  # as it stands, it is sound
    return folder


def adopt_shard(store: Path) -> None:
    """Have the manifest list the store's one shard as it now is, so that only its contents can be found wrong."""
    from w2s_probes.io.files import sha256

    (shard,) = store.glob("shard-*.h5")
    digest = sha256(shard)[:16]
    moved = shard.rename(store / f"shard-00000-{digest}.h5")
    manifest = json.loads((store / "manifest.json").read_text())
    manifest["shards"][0] |= {"file": moved.name, "checksum": digest, "bytes": moved.stat().st_size}
    (store / "manifest.json").write_text(json.dumps(manifest))


def _write_store(path: Path, ids: list[str], truth: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> None:
    rng = np.random.default_rng(1)
    writer = StoreWriter.open(
        path,
        identity={"weights": "made up", "position": "last"},
        sites={0: "blocks.0", 1: "blocks.1"},
        depth=1,
        width=4,
        dtype="float32",
        ids=ids,
        shard_rows=N,
    )
    X = rng.normal(size=(N, 4)).astype(np.float32)
    X[:, 0] += 3 * truth.astype(np.float32)
    writer.write(0, Content(ids, {0: X[::-1].copy(), 1: X}))
    writer.finish({"model": "made up"})


def _write_model(path: Path) -> None:
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers.models import WordLevel

    size = {"vocab_size": 44, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bars
        LlamaForCausalLM(LlamaConfig(**size, intermediate_size=8, max_position_embeddings=64)).save_pretrained(path)
    names = ["<pad>", "<unk>", "<s>", "</s>", *(f"w{i}" for i in range(40))]
    tokenizer = Tokenizer(WordLevel({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", model_max_length=64
    )
    fast.save_pretrained(path)


def copied(source: Path, place: Path) -> Path:
    """A file or a folder, to be changed."""
    target = place / source.name
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    return target
