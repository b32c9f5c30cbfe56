"""Texts drawn token by token, beside transformers' `generate` on the same batch of prompts, sampling as we do."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from extract.generating.generator import TextGenerator
from extract.generating.sampling import Sampling
from extract.models.loading import Placement
from extract.models.source import ModelSource
from tests.benchmarks.timing import Line, in_turns
from tests.conftest import ROOT, save_checkpoint
from w2s_probes.checkpoints.batches import padded

LEAST = 0.8  # of its tokens per second
TIMES = 5


def cases() -> Iterator[Line]:
    """The lines of the table."""
    yield _line("the miniature", str(ROOT / "data" / "miniature" / "strong"), rows=64, prompt=60, new=32)
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        model = Qwen2ForCausalLM(
            Qwen2Config(
                vocab_size=32_000,
                hidden_size=512,
                intermediate_size=1408,
                num_hidden_layers=12,
                num_attention_heads=8,
                num_key_value_heads=2,
                tie_word_embeddings=True,
            )
        )
        millions = sum(weights.numel() for weights in model.parameters()) // 1_000_000
        checkpoint = save_checkpoint(model, Path(folder), window=1024)
        del model
        yield _line(f"a Qwen2 of {millions} M random weights", str(checkpoint), rows=16, prompt=60, new=24)


def _line(what: str, model: str, *, rows: int, prompt: int, new: int) -> Line:
    source = ModelSource.find(model)
    generator = TextGenerator(source, dtype="float32", placement=Placement(batch_tokens=1 << 20))
    rng = np.random.default_rng(0)
    known = min(source.vocabulary, 32_000)
    prompts = [rng.integers(5, known, size=rng.integers(prompt // 2, prompt + 1)).astype(np.int32) for _ in range(rows)]
    draws, names = rng.random((rows, new)), [str(row) for row in range(rows)]
    ids, mask = (part.to(generator.device) for part in padded(prompts, source.pad, left=True))
    options: dict[str, Any] = {"do_sample": True, "top_k": 0, "top_p": 1.0, "temperature": 1.0, "use_cache": True}

    def ours() -> None:
        (_,) = generator.write(prompts, draws, [new] * rows, names, Sampling())

    def theirs() -> None:
        found = generator.model.generate(
            ids, attention_mask=mask, max_new_tokens=new, pad_token_id=source.pad, eos_token_id=None, **options
        )
        assert found.shape[1] == ids.shape[1] + new

    here, there, ratio = in_turns(ours, theirs, TIMES)
    tokens = rows * new
    return Line(
        f"writing by {what}, {rows} rows", tokens / here, tokens / there, "tokens/s", "`generate`", ratio, LEAST
    )
