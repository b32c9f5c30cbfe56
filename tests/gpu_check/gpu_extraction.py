"""Extraction: numbers beside the processor's, speed beside the bare trunk's and what the card multiplies."""

import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from extract.extractor import Extraction
from extract.forward.engine import Engine
from extract.forward.row_check import TOLERANCE, difference
from extract.models.loading import Placement
from w2s_probes.checkpoints.batches import batches, padded
from w2s_probes.store.dtypes import StoredDtype, to_float32

from .checks import Check, Finding, Setting, clock, turns
from .gpu_models import model, texts

ERRORS = 1.5  # times the error of the processor's bfloat16 that the card's may have: sums are in another order
SHARE = 0.9  # of the bare trunk's speed, on the same batches
UNIT = "of the distance between rows"
SIDE = 8192  # of the square matrices whose product the card's rate is measured by


def table(rows: list[str]) -> pd.DataFrame:
    """Texts as rows."""
    return pd.DataFrame({"id": [f"r{number}" for number in range(len(rows))], "text": rows})


def vectors(plan: Extraction, device: str) -> dict[int, NDArray[np.float32]]:
    """Every layer's vectors (n, width) by one device."""
    engine: Engine = plan.engine(Placement(device))
    names = plan.rows["id"].tolist()
    encoded = plan.encoding.encode(plan.source.tokenizer, names, plan.rows["text"].tolist())
    return {layer: to_float32(words, plan.dtype) for layer, words in engine.read(encoded.rows, names).items()}


def numbers(setting: Setting) -> Iterator[Finding]:
    """The same rows in float32 and bfloat16, on both."""
    folder, rows = model(setting, "1.5B"), table(texts(setting.of(48, 12), setting.of(48, 12), seed=1))
    found: dict[tuple[str, str], dict[int, NDArray[np.float32]]] = {}
    kinds: tuple[StoredDtype, ...] = ("float32", "bfloat16")
    for dtype in kinds:
        plan = Extraction.plan(str(folder), rows, position="last", dtype=dtype, layers="all")
        for device in ("cpu", setting.device):
            found[dtype, device] = vectors(plan, device)

    def worst(a: tuple[str, str], b: tuple[str, str]) -> float:
        """Layer 0 says nothing: it is a table of tokens."""
        return max(difference(found[a][layer], found[b][layer]) for layer in found[a] if layer)

    here, there = "cpu", setting.device
    beside = "the processor, worst layer"
    for dtype in kinds:
        apart = worst((dtype, there), (dtype, here))
        yield Finding("", f"{dtype}: distance", apart, UNIT, 0.0, beside, apart, TOLERANCE[dtype], at_least=False)
    ours, theirs = (worst(("bfloat16", device), ("float32", here)) for device in (there, here))
    what = "bfloat16: error, by the processor's float32"
    yield Finding("", what, ours, UNIT, theirs, "the processor's bfloat16", ours / theirs, ERRORS, at_least=False)


def rate(device: str, side: int) -> float:
    """Operations a second of a plain bfloat16 product of square matrices."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    torch.mm(a, b)
    repeats = 20
    return 2 * side**3 * repeats / clock(lambda: [torch.mm(a, b) for _ in range(repeats)], device)


class Ready:
    """A plan with its model loaded and its rows tokenized, as both sides need them."""

    def __init__(self, setting: Setting, name: str, rows: pd.DataFrame) -> None:
        self.setting = setting
        self.plan = Extraction.plan(str(model(setting, name)), rows, position="last", dtype="bfloat16", layers="all")
        self.engine: Engine = self.plan.engine(Placement(setting.device))
        names = rows["id"].tolist()
        self.tokens = self.plan.encoding.encode(self.plan.source.tokenizer, names, rows["text"].tolist()).rows
        self.lengths = [len(row) for row in self.tokens]

    def extract(self) -> None:
        """From texts to a checksummed store."""
        store = self.setting.folder / "speed"
        shutil.rmtree(store, ignore_errors=True)  # of a try that was ended
        self.plan.run(store, engine=self.engine, check=False)
        shutil.rmtree(store)

    @torch.inference_mode()
    def bare(self) -> None:
        """The forward passes alone, over the same batches."""
        trunk: Any = self.engine.reader.model
        for start in range(0, len(self.lengths), self.plan.shard_rows()):
            part = range(start, min(start + self.plan.shard_rows(), len(self.lengths)))
            for rows in batches(self.lengths, self.engine.budget, part):
                ids, mask = padded([self.tokens[row] for row in rows], pad=self.plan.source.pad)
                trunk(input_ids=ids.to(self.engine.device), attention_mask=mask.to(self.engine.device))


def speed(setting: Setting, name: str, rows: int) -> Iterator[Finding]:
    """Tokens a second, by the bare trunk and by the card's own products."""
    ready = Ready(setting, name, table(texts(rows, setting.of(100, 12))))
    ours, bare = turns(ready.extract, ready.bare, setting.device, 2)
    tokens = sum(ready.lengths)
    what = f"{name}, bfloat16, {rows:,} rows, {tokens:,} tokens, batches of {ready.engine.budget:,}"
    bar = SHARE if setting.size == "full" else None
    yield Finding("", what, tokens / ours, "tokens/s", tokens / bare, "bare trunk, same batches", bare / ours, bar)
    trunk: Any = ready.engine.reader.model
    matrices = sum(p.numel() for block in trunk.layers for p in block.parameters() if p.dim() == 2)
    done, most = 2 * matrices * tokens / ours, rate(setting.device, setting.of(SIDE, 256))
    what = f"{name}: products of its matrices"
    yield Finding("", what, done / 1e12, "TFLOP/s", most / 1e12, "a plain bfloat16 product", done / most)


def speed_of(name: str, full: int, small: int) -> Any:
    """The check of one model."""

    def run(setting: Setting) -> Iterator[Finding]:
        yield from speed(setting, name, setting.of(full, small))

    return run


CHECKS = [
    Check("extraction: numbers", 60, numbers),
    Check("extraction: speed of 1.5B", 50, speed_of("1.5B", 4000, 16)),
    Check("extraction: speed of 8B", 80, speed_of("8B", 1200, 16)),
]
