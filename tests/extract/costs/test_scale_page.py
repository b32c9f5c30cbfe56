"""The arithmetic of docs/scale.md is that of `w2s plan`."""

from pathlib import Path

import numpy as np
from transformers import LlamaConfig

from extract.costs.estimate import estimate
from extract.models.source import ModelSource

PAGE = Path(__file__).parents[3] / "docs" / "scale.md"


def test_the_planned_figures_of_a_large_model_are_those_of_the_plan(tmp_path: Path) -> None:
    LlamaConfig(
        vocab_size=128_256,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=8192,
        architectures=["LlamaForCausalLM"],
        dtype="bfloat16",
    ).save_pretrained(tmp_path)
    source, rows = ModelSource.describe(str(tmp_path)), 100_000
    every, middle = (estimate(source, np.full(rows, 128), layers=layers) for layers in ("all", "middle"))
    times = [f"{costs.seconds() / 3600:.2f}" for costs in (every, middle)]
    stores = f"{every.store / 1e9:.1f} GB", f"{middle.store / 1e9:.2f} GB"
    page = PAGE.read_text(encoding="utf-8")
    assert f"| 8B | {rows:,} | {times[0]} | {stores[0]} | {times[1]} | {stores[1]} |" in page
    block = 2 * every.block_parameters / every.depth / 1e9
    cells = [
        f"{every.weights / 1e9:.1f} GB | {block:.2f} GB | {every.offloaded_weights / 1e9:.2f} GB",
        f"{every.flops / every.tokens / 1e9:.1f} G | {every.tokens / every.seconds():,.0f}",
        f"{every.store / rows / 1e3:,.0f} kB | {middle.store / rows / 1e3:.1f} kB",
    ]
    assert f"| 8B: 32 x 4,096 | {' | '.join(cells)} |" in page
