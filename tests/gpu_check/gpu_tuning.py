"""Fine-tuning: the processor's scores, LoRA of a model of usual size, and two at once on one GPU."""

from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray

from w2s_probes.metrics import auroc
from w2s_probes.places.place import Place
from w2s_probes.students.finetuning.process_group import ProcessGroup

from .checks import Check, Finding, Setting, clock
from .gpu_extraction import SIDE, rate
from .gpu_models import SHAPES, model, texts, tokens_of
from .tuning_units import Tuning

APART = 1e-3  # of float32 scores after some tens of updates
SHARED = 0.02  # of scores by two processes that share a GPU, and by one alone: bfloat16 products
LEARNED = 0.9  # AUROC of what the last word tells


def labelled(rows: int, words: int, seed: int) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Texts whose last word tells their class."""
    classes = np.random.default_rng(seed).integers(2, size=rows)
    written = texts(rows, words, seed=seed)
    return tuple(f"{text} w{number}" for text, number in zip(written, classes, strict=True)), classes.astype(float)


def tuning(setting: Setting, name: str, rows: int, words: int, *, seed: int = 0, **settings: Any) -> Tuning:
    """A fine-tuning, not yet done."""
    train, labels = labelled(rows, words, seed=10)
    scored, _ = labelled(max(rows // 4, 40), words, seed=11)
    return Tuning(f"{name}-{seed}", model(setting, name), train, tuple(labels), scored, settings, seed)


def agree(setting: Setting) -> Iterator[Finding]:
    """Every weight of a tiny model in float32, here and there."""
    unit = tuning(setting, "tiny", 64, 12, kind="full", dtype="float32", epochs=1, learning_rate=1e-3)
    there = np.array(unit.run()["scores"])
    alone = classmethod(lambda cls: cls(0, 1, torch.device("cpu")))
    with mock.patch.object(ProcessGroup, "join", alone):
        here = np.array(unit.run()["scores"])
    apart = float(np.abs(there - here).max())
    what = "tiny model, float32, all weights: scores"
    yield Finding("", what, apart, "absolute", 0.0, "the processor", apart, APART, at_least=False)


def lora(setting: Setting) -> Iterator[Finding]:
    """LoRA of 1.5B: whether it learns, and how fast."""
    rows, words = setting.of((1024, 100), (48, 8))
    options: dict[str, Any] = {"epochs": 1, "learning_rate": 1e-3, "batch_tokens": 16_384}
    unit = tuning(setting, "1.5B", rows, words, **options)
    found: dict[str, Any] = {}
    took = clock(lambda: found.update(unit.run()), setting.device)
    tokens = tokens_of(unit.texts)
    memory = torch.cuda.max_memory_allocated() / 1e9 if setting.on_gpu else float("nan")
    _, classes = labelled(max(rows // 4, 40), words, seed=11)
    score = auroc(classes, np.array(found["scores"]))
    bar = LEARNED if setting.size == "full" else None
    yield Finding("", "LoRA of 1.5B: AUROC of held-out texts", score, "", 1.0, "the last word tells", score, bar)
    shape = SHAPES["1.5B" if setting.size == "full" else "tiny"]
    width, inner = shape["hidden"], shape["inner"]
    kept = shape["heads"] + 2 * shape["shared"]
    matrices = shape["layers"] * (width * width * kept // shape["heads"] + width * width + 3 * width * inner)
    done, most = 4 * matrices * tokens / took, rate(setting.device, setting.of(SIDE, 256))  # there, and back to inputs
    what = f"LoRA of 1.5B: {rows:,} rows, {tokens:,} tokens, an update of 32, loading and scoring included"
    said = f"{tokens / took:,.0f} tokens/s, at most {memory:.1f} GB"
    beside = "a plain bfloat16 product"
    yield Finding("", what, done / 1e12, "TFLOP/s", most / 1e12, beside, done / most, said=said)


def two_at_once(setting: Setting) -> Iterator[Finding]:
    """Two processes on one GPU, as `--jobs 2 --gpus-per-job .5` starts them; without a GPU one, here."""
    rows, words = setting.of((512, 60), (24, 8))
    units = [tuning(setting, "1.5B", rows, words, seed=seed, epochs=1, learning_rate=1e-3) for seed in (0, 1)]
    place = Place(jobs=2, gpus_per_job=0.5) if setting.on_gpu else Place()
    shared: dict[str, dict[str, Any]] = {}
    together = clock(
        lambda: shared.update({done[0].key: done[1] for done in place.does(units, 1) if done is not None}), "cpu"
    )
    alone: dict[str, dict[str, Any]] = {}
    apart = clock(lambda: alone.update({unit.key: unit.run() for unit in units}), setting.device)
    gaps = [np.abs(np.array(shared[key]["scores"]) - np.array(alone[key]["scores"])).max() for key in alone]
    gap = float(max(gaps))
    yield Finding("", "two at once: scores", gap, "absolute", 0.0, "one at a time", gap, SHARED, at_least=False)
    if setting.on_gpu:
        first, second = (shared[unit.key] for unit in units)
        both = min(first["ended"], second["ended"]) - max(first["began"], second["began"])
        longest = max(done["ended"] - done["began"] for done in (first, second))
        what = f"two at once: seconds together, GPUs {first['gpus']} and {second['gpus']}"
        ok = float(first["pid"] != second["pid"] and first["gpus"] == second["gpus"]) * both / longest
        yield Finding("", what, both, "s", longest, "the longer one", ok, 0.5)
    what = f"two at once: {rows:,} rows of 1.5B each, processes started"
    yield Finding("", what, together, "s", apart, "one after the other", apart / together)


CHECKS = [
    Check("fine-tuning: numbers", 30, agree),
    Check("fine-tuning: LoRA of 1.5B", 60, lora),
    Check("fine-tuning: two at once", 80, two_at_once),
]
