"""What the tests of fine-tuning share: a task that tiny models learn, and a loss without settings."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast, Qwen2Tokenizer

from tests.conftest import WORDS
from w2s_probes.students import FineTuning, Texts

# Tiny random models want large steps; a hundred rows and few updates keep the tests short.
QUICK = FineTuning(kind="full", epochs=4, batch_size=16, learning_rate=3e-3, warm_up=2, eval_every=5)


def task(rows: int = 96, seed: int = 0, longest: int = 20) -> Texts:
    """Texts of very different lengths, every other word of which, the last included, says the label: w0 or w1."""
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % 2
    texts = []
    for label in labels:
        words = rng.choice(WORDS[2:], size=rng.integers(1, longest))
        words[::-2] = f"w{label}"
        texts.append(" ".join(words))
    return Texts(texts, labels.astype(float))


def save_tokenizer(folder: Path, **special: Any) -> None:
    """The tokenizer of the tiny models: a word a token."""
    vocabulary = {w: i for i, w in enumerate(["<pad>", "<unk>", "<s>", "</s>", *WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", model_max_length=64, **({"pad_token": "<pad>"} | special)
    )
    fast.save_pretrained(folder)


def save_model(folder: Path, model: Any, **special: Any) -> Path:
    """A checkpoint's folder."""
    model.save_pretrained(folder)
    if model.config.model_type == "qwen2":  # for which transformers takes no tokenizer but its own
        letters = {letter: i for i, letter in enumerate(["Ġ", "w", *"0123456789", "<|endoftext|>"])}
        Qwen2Tokenizer(vocab=letters, merges=[], model_max_length=64).save_pretrained(folder)
    else:
        save_tokenizer(folder, **special)
    return folder


def tiny(kind: str, config: str, **settings: Any) -> Any:
    """A random model of this class and config; the same each time."""
    import transformers

    torch.manual_seed(0)
    return getattr(transformers, kind)(getattr(transformers, config)(**settings))
