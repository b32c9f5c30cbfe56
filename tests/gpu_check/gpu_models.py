"""Random models of the shape of Qwen2, made on the device from a config and a seed, and a tokenizer of letters."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

from w2s_probes.checkpoints.loading import usable

from .checks import Setting

WORDS = [f"w{number}" for number in range(10)]
SHAPES: dict[str, dict[str, int]] = {  # those of Qwen2-1.5B; of Qwen3-8B
    "1.5B": {"hidden": 1536, "inner": 8960, "layers": 28, "heads": 12, "shared": 2, "vocabulary": 151_936},
    "8B": {"hidden": 4096, "inner": 12_288, "layers": 36, "heads": 32, "shared": 8, "vocabulary": 151_936},
    "tiny": {"hidden": 64, "inner": 160, "layers": 4, "heads": 4, "shared": 2, "vocabulary": 210},
}
SMALL = {"1.5B": "tiny", "8B": "tiny"}  # where the checks themselves are tried


def model(setting: Setting, name: str) -> Path:
    """The folder of a model of this name in bfloat16; made once, for all checks."""
    shape = setting.of(name, SMALL.get(name, name))
    folder = setting.folder / f"model-{shape}"
    if not folder.exists():
        begun = setting.folder / f"begun-{shape}-{os.getpid()}"
        save(SHAPES[shape], begun, setting.device)
        begun.rename(folder)
    return folder


def save(shape: dict[str, int], folder: Path, device: str) -> None:
    """Make a model and write it, with its tokenizer."""
    config = Qwen2Config(
        vocab_size=shape["vocabulary"],
        hidden_size=shape["hidden"],
        intermediate_size=shape["inner"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        num_key_value_heads=shape["shared"],
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        dtype="bfloat16",
    )
    torch.manual_seed(0)
    with usable(str(folder), "cannot be saved"):  # and without a bar
        with torch.device(device):
            made: Any = Qwen2ForCausalLM._from_config(config, dtype=torch.bfloat16)
        made.save_pretrained(folder)
    # For Qwen2 transformers takes no tokenizer but its own: here one of letters, three of them a word.
    letters = {letter: number for number, letter in enumerate(["Ġ", "w", *"0123456789", "<|endoftext|>"])}
    Qwen2Tokenizer(vocab=letters, merges=[], model_max_length=4096).save_pretrained(folder)


def texts(count: int, tokens: int, seed: int = 0) -> list[str]:
    """Texts of about so many tokens, of lengths as spread as natural ones."""
    rng = np.random.default_rng(seed)
    lengths = np.clip(np.exp(rng.normal(np.log(tokens), 0.5, size=count)), 3, 8 * tokens) // 3
    return [" ".join(rng.choice(WORDS, size=int(length))) for length in lengths]


def tokens_of(texts: Sequence[str]) -> int:
    """Their tokens."""
    return sum(3 * len(text.split()) - 1 for text in texts)
