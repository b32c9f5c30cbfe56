"""Memory that runs out: batches that are halved until they fit, and a model read block by block."""

import shutil
from collections.abc import Iterator
from typing import Any

import torch

from extract.extractor import Extraction
from extract.forward.row_check import TOLERANCE, difference
from extract.models.loading import Placement
from extract.offload.offloading import Offload
from w2s_probes.store.dtypes import to_float32

from .checks import Check, Finding, Setting, clock, let_go
from .gpu_extraction import UNIT, table
from .gpu_models import model, texts

HALVES = 2.0  # times a batch has to have been halved, at the least
ROOM = 0.5  # of a model's bytes, that reading it block by block may take on the device


def halving(setting: Setting) -> Iterator[Finding]:
    """A limit on the device's memory that the first batches do not fit into."""
    rows = table(texts(setting.of(600, 24), setting.of(100, 12), seed=2))
    plan = Extraction.plan(str(model(setting, "1.5B")), rows, position="last", dtype="bfloat16", layers="middle")
    names = rows["id"].tolist()
    tokens = plan.encoding.encode(plan.source.tokenizer, names, rows["text"].tolist()).rows
    asked = sum(len(row) for row in tokens)
    plain = plan.engine(Placement(setting.device, batch_tokens=max(map(len, tokens))))
    right = plain.read(tokens, names)
    del plain
    let_go()
    engine = plan.engine(Placement(setting.device, batch_tokens=asked))
    tried: list[int] = []
    trunk: Any = engine.reader.model
    if setting.on_gpu:
        _, whole = torch.cuda.mem_get_info()
        let_go()
        room = torch.cuda.memory_allocated() + 12 * plan.source.width * 2 * (asked // 8)
        torch.cuda.set_per_process_memory_fraction(room / whole)

    def look(_: Any, args: Any) -> None:
        """How many tokens come, and no room for many where there is no device whose memory can be limited."""
        tried.append(args[0].shape[0] * args[0].shape[1])
        if not setting.on_gpu and tried[-1] > asked // 8:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    handle = trunk.layers[0].register_forward_pre_hook(look)
    try:
        found = engine.read(tokens, names)
    finally:
        handle.remove()
        if setting.on_gpu:
            torch.cuda.set_per_process_memory_fraction(1.0)
    least = max(tried) / engine.budget
    what = f"a batch of {asked:,} tokens where memory has room for fewer: times smaller in the end"
    yield Finding("", what, least, "times", 1.0, "the batch asked for", least, HALVES)
    same = TOLERANCE["bfloat16"]
    pairs = [(to_float32(found[layer], "bfloat16"), to_float32(right[layer], "bfloat16")) for layer in right]
    apart = max(difference(a, b) for a, b in pairs)
    yield Finding("", "its numbers", apart, UNIT, 0.0, "a row a batch", apart, same, at_least=False)


def offload(setting: Setting) -> Iterator[Finding]:
    """A model read block by block beside the same model loaded whole."""
    rows = table(texts(setting.of(256, 24), setting.of(100, 12), seed=3))
    folder = model(setting, "8B")
    plan = Extraction.plan(str(folder), rows, position="last", dtype="bfloat16", layers="all")
    whole, whole_took, whole_most = _extracted(plan, setting, "whole", Placement(setting.device))
    parts, took, most = _extracted(plan, setting, "offloaded", Placement(setting.device, offload=Offload()))
    same = TOLERANCE["bfloat16"]
    apart = max(difference(parts.layer(layer), whole.layer(layer)) for layer in whole.layers)
    yield Finding("", "8B: numbers", apart, UNIT, 0.0, "loaded whole", apart, same, at_least=False)
    if setting.on_gpu:
        share, beside = most / whole_most, "loaded whole"
        yield Finding("", "8B: most memory", most / 1e9, "GB", whole_most / 1e9, beside, share, ROOM, at_least=False)
    what = f"8B: {len(rows)} rows, from files to store"
    yield Finding("", what, took, "s", whole_took, "loaded whole", whole_took / took)


def _extracted(plan: Extraction, setting: Setting, name: str, placement: Placement) -> tuple[Any, float, float]:
    """A store, the seconds that it took, and the most bytes of the device."""
    place, stores = setting.folder / f"store-{name}", list[Any]()
    shutil.rmtree(place, ignore_errors=True)
    let_go()  # the model before
    took = clock(lambda: stores.append(plan.run(place, placement=placement)), setting.device)
    return stores[0], took, torch.cuda.max_memory_allocated() if setting.on_gpu else float("nan")


CHECKS = [
    Check("memory that runs out", 40, halving),
    Check("--offload", 70, offload),
]
