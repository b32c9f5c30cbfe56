"""A causal model that is trained to say a label: the next token's logits of two words, by its own head."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

from ...checkpoints.loading import refuse_two_way, usable
from ...checkpoints.tokens import Tokens
from ...errors import InputError
from .settings import Over


class Says(Protocol):
    """How texts are put to a causal model, and the words of the two labels; `extract.asking.Saying` is one."""

    @property
    def words(self) -> tuple[int, int]:
        """The tokens of labels 0 and 1."""

    @property
    def facts(self) -> dict[str, Any]:
        """All that decides what is asked, fit for JSON."""

    def tokens(self, texts: Sequence[str], what: str) -> list[Tokens]:
        """The tokens of each text's prompt; InputError, naming the row, for one that the model cannot read whole."""


class WordsHead(nn.Linear):
    """A language-model head that sees the last token of each row alone, and computes in float32."""

    last: Tensor | None = None  # (rows,) places of the last tokens
    words: Tensor | None  # (2,) tokens whose logits are made; None: of the whole vocabulary

    def forward(self, input: Tensor) -> Tensor:
        """Logits (rows, 1, words) after hidden states (rows, tokens, width)."""
        assert self.last is not None
        states = input[torch.arange(len(input), device=input.device), self.last][:, None]
        weight: Tensor = self.weight
        bias: Tensor | None = self.bias
        if self.words is not None:
            weight = weight[self.words]
            bias = None if bias is None else bias[self.words]
        with torch.autocast(input.device.type, enabled=False):
            return nn.functional.linear(states.float(), weight.float(), None if bias is None else bias.float())


class LabelSpeaker(nn.Module):
    """A causal model as a classifier: logits of the two words, and over the vocabulary log Σ exp of all beside them."""

    def __init__(self, model: Any, words: tuple[int, int], over: Over) -> None:
        super().__init__()
        self.words, self.over = words, over
        self.head = {"of": _with_words_head(model, words if over == "labels" else None)}  # in no module list: it is one
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SequenceClassifierOutput:
        """`logits` (rows, 2), or (rows, 3) with the log-total, float32; padding is on the right.

        In a class that FSDP and DeepSpeed look into.
        """
        self.head["of"].last = attention_mask.sum(dim=1) - 1
        found = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        wide = 2 if self.over == "labels" else found.shape[-1]
        if found.shape != (len(input_ids), 1, wide):
            raise InputError(
                f"{type(self.model).__name__}: does not make its logits by its language-model head alone, so it cannot "
                "be trained to say labels: choose another model, or kind 'lora' or 'full'"
            )
        if self.over == "labels":
            return SequenceClassifierOutput(logits=found[:, 0].float().clone())  # no view: FSDP hangs on to it
        every = found[:, 0].float()
        return SequenceClassifierOutput(
            logits=torch.cat([every[:, list(self.words)], every.logsumexp(-1, keepdim=True)], 1)
        )

    def get_input_embeddings(self) -> Any:
        """The table of tokens."""
        return self.model.get_input_embeddings()

    def get_output_embeddings(self) -> Any:
        """The head, which may share its weights with that table."""
        return self.head["of"]

    @property
    def _no_split_modules(self) -> Any:
        """The classes of blocks, each of which FSDP gathers at once."""
        return self.model._no_split_modules

    def tie_weights(self) -> None:
        """Have head and table share their weights again, where they do, after a move."""
        self.model.tie_weights()

    def save_pretrained(self, place: Path) -> None:
        """Write the whole causal model, adapters merged into its weights, in float32.

        What adapters add at usual rates is less than bfloat16 can tell apart from nothing.
        """
        model = self.model
        if hasattr(model, "merge_and_unload"):
            model = model.float().merge_and_unload()
        model.save_pretrained(place)


def unsaid(logits: Tensor) -> Tensor:
    """-log of the two words' share (n,) in the probability of the next token, from logits (n, 3)."""
    return logits[:, 2] - torch.logaddexp(logits[:, 0], logits[:, 1])


def speaking_model(folder: Path, config: Any, dtype: torch.dtype) -> Any:
    """The causal model of a checkpoint; InputError where its files have none."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM

    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise InputError(f"model {folder}: a {config.model_type} has no language-model head: name a causal model")
    refuse_two_way(str(folder), config)
    with usable(str(folder), "no causal model can be made of it"):
        model, report = AutoModelForCausalLM.from_pretrained(
            folder, config=config, dtype=dtype, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
    if lacking := sorted(map(str, report["missing_keys"])):
        raise InputError(
            f"model {folder}: its weights lack {len(lacking)} of a causal model's ({lacking[0]}): it has no "
            "language-model head, or is damaged; name a causal model"
        )
    return model


def _with_words_head(model: Any, words: tuple[int, int] | None) -> WordsHead:
    """Put a `WordsHead` of the same weights in the head's place."""
    head = model.get_output_embeddings()
    name = next((name for name, module in model.named_modules() if module is head and name), None)
    if name is None or not isinstance(head, nn.Linear):
        raise InputError(
            f"{type(model).__name__}: its language-model head is no linear layer, so it cannot be trained to say "
            "labels: choose another model, or kind 'lora' or 'full'"
        )
    new = WordsHead(head.in_features, head.out_features, head.bias is not None, device="meta")
    new.weight, new.bias = head.weight, head.bias
    new.register_buffer("words", None if words is None else torch.tensor(words), persistent=False)
    model.set_submodule(name, new)
    return new
