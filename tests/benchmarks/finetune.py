"""Fine-tuning beside the loop that one would write by hand, and what rows of like length save."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from tests.benchmarks.timing import Line, in_turns
from w2s_probes.checkpoints.batches import padded
from w2s_probes.losses import Objective
from w2s_probes.losses.functions import xent
from w2s_probes.randomness import stream
from w2s_probes.students import FineTuning, Texts
from w2s_probes.students.finetune import finetune
from w2s_probes.students.finetuning.classifier import Checkpoint
from w2s_probes.students.finetuning.process_group import ProcessGroup
from w2s_probes.students.finetuning.updates import ModelInTraining
from w2s_probes.students.texts import Tokenized, tokenize

PAD, RATE = 0, 1e-4
PLAIN = "AdamW, the same batches padded to their longest"
SPREAD = "its rows in random order"


def cases() -> Iterator[Line]:
    """The lines of the table."""
    with tempfile.TemporaryDirectory() as name:
        small, wide = Path(name) / "small", Path(name) / "wide"
        save(small, width=64, layers=4)
        save(wide, width=256, layers=6)
        yield whole(small, 64, texts(640, like=0.0))
        yield whole(small, 64, texts(640, like=1.0))
        yield whole(wide, 256, texts(96, like=0.0))
        yield whole(wide, 256, texts(96, like=1.0))
        yield padding(wide, texts(96, like=1.0))


def texts(rows: int, *, like: float) -> Texts:
    """Texts of some 30 words: all of them, or as lengths spread in natural text, with this deviation of the log."""
    rng = np.random.default_rng(0)
    lengths = np.clip(np.exp(rng.normal(3.4, like, size=rows)) if like else np.full(rows, 30), 2, 250).astype(int)
    labels = rng.random(rows)
    return Texts([" ".join(f"w{i}" for i in rng.integers(1, 200, size=n)) for n in lengths], labels)


def save(folder: Path, *, width: int, layers: int) -> None:
    """A random decoder with a tokenizer of 200 words."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=202,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=256,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    words = {word: i for i, word in enumerate(["<pad>", "<unk>", *(f"w{i}" for i in range(200))])}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>").save_pretrained(folder)


def whole(folder: Path, width: int, rows: Texts) -> Line:
    """An epoch, from the files to the scores."""
    settings = FineTuning(kind="full", epochs=1, learning_rate=RATE, eval_every=10**6)
    ours, theirs, ratio = in_turns(
        lambda: finetune(folder, rows, settings=settings, objective=Objective("xent")),
        lambda: by_hand(folder, rows, settings),
        times=3,
    )
    spread = "30 words each" if len({len(text.split()) for text in rows.texts}) == 1 else "2 to 250 words"
    return Line(f"full fine-tuning, width {width}, {len(rows)} rows of {spread}", ours, theirs, "s", PLAIN, ratio, 0.9)


def by_hand(folder: Path, rows: Texts, settings: FineTuning) -> Any:
    """What a researcher would write: shuffle, pad each batch to its longest text, backward, clip, step."""
    tokenizer = Checkpoint.open(folder).tokenizer
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    model.config.pad_token_id = PAD
    tokens = [np.asarray(own) for own in tokenizer(list(rows.texts))["input_ids"]]
    soft = torch.from_numpy(rows.soft).float()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.1)
    model.train()
    order = stream(0, "order of the rows", 0).permutation(len(rows))
    for batch in np.array_split(order, -(-len(rows) // settings.batch_size)):
        ids, mask = padded([tokens[row] for row in batch], PAD)
        loss = xent(model(input_ids=ids, attention_mask=mask).logits, soft[batch])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()
    return model


class AsTheyCome(ModelInTraining):
    """Micro-batches of rows in the order of the batch, with as few of them as the budget allows."""

    def gradients(
        self,
        tokenized: Tokenized,
        soft: Tensor,
        rows: Any,
        loss: Any,
        *,
        step: int,
        weight: Tensor | None = None,
        conflict: Any = None,
    ) -> Tensor:
        """Those of the mean over the rows."""
        self.model.train()
        longest, parts = int(tokenized.lengths[rows].max()), []
        size = max(1, self.settings.batch_tokens // longest)
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            value = loss(self._logits(tokenized, part, None), soft[part]) * (len(part) / len(rows))
            value.backward()
            parts.append(value.detach())
        return torch.stack(parts).sum()


def padding(folder: Path, rows: Texts) -> Line:
    """The updates of one epoch, with and without micro-batches of like length."""
    settings = FineTuning(kind="full", learning_rate=RATE)
    checkpoint = Checkpoint.open(folder)
    tokens = tokenize(checkpoint.tokenizer, rows.texts, 256, "train")
    soft, processes = torch.from_numpy(rows.soft).float(), ProcessGroup(0, 1, torch.device("cpu"))

    def epoch(kind: type[ModelInTraining]) -> None:
        model = checkpoint.classifier(settings, seed=0, dtype=torch.float32)
        model.config.pad_token_id = PAD
        student = kind(model, settings, pad=PAD, dtype=torch.float32, processes=processes, seed=0)
        order = stream(0, "order of the rows", 0).permutation(len(rows))
        for step, batch in enumerate(np.array_split(order, -(-len(rows) // 32))):
            student.update(tokens, soft, batch, Objective("xent"), step=step, rate=RATE)

    ours, theirs, ratio = in_turns(lambda: epoch(ModelInTraining), lambda: epoch(AsTheyCome), times=3)
    what = f"micro-batches of like length, width 256, {len(rows)} rows of 2 to 250 words"
    return Line(what, ours, theirs, "s", SPREAD, ratio, 1.0)
