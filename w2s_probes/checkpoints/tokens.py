"""Texts as token ids: how many tokens a model reads, what is cut from longer texts, and ids that it does not know."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ..errors import InputError

Tokens = NDArray[np.int32]  # token ids of one text (length,)
UNLIMITED = 10**9  # a tokenizer without a limit says so by a number of thirty digits


def window(tokenizer: Any, text_config: Any, model: nn.Module) -> int | None:
    """The most tokens that the model reads; None where neither tokenizer nor config nor positions set a limit.

    `tokenizer` may be None, of a model that is only planned with. `text_config` is the config of the part that reads
    the text; of `model` only shapes are looked at.
    """
    limits: list[Any] = [
        getattr(tokenizer, "model_max_length", None),
        getattr(text_config, "max_position_embeddings", None),
    ]
    for name, module in model.named_modules():
        # RoBERTa's table of positions begins with rows that no token stands at.
        if name.endswith("position_embeddings") and (padding := getattr(module, "padding_idx", None)) is not None:
            limits.append(int(module.weight.shape[0]) - int(padding) - 1)
    # A model may say -1 for no limit.
    return min((int(n) for n in limits if isinstance(n, int | float) and 0 < n < UNLIMITED), default=None)


def token_limit(tokenizer: Any, max_length: int | None, window: int | None, *, added: int | None = None) -> int | None:
    """The most tokens that are read of a text: the smaller of `max_length` and the model's window; None for no limit.

    InputError where `max_length` leaves no room for text beside the special tokens that the tokenizer adds to each
    text (`added` unless it is asked).
    """
    if max_length is not None:
        if max_length < 1:
            raise InputError(f"max_length={max_length} must be at least 1 token")
        added = int(tokenizer.num_special_tokens_to_add(pair=False)) if added is None else added
        if max_length <= added:
            raise InputError(
                f"max_length={max_length} leaves no room for text beside the {added} tokens that the tokenizer adds: "
                "raise it"
            )
    return min((limit for limit in (max_length, window) if limit is not None), default=None)


def tokenize(
    tokenizer: Any,
    texts: Sequence[str],
    limit: int | None,
    name_of: Callable[[int], str],
    *,
    side: Literal["left", "right"] = "right",
    special_tokens: bool = True,
) -> tuple[list[Tokens], list[int]]:
    """Token ids of each text (n arrays), `limit` of them at most, and the indices of texts that were cut.

    A longer text loses tokens at `side`; special tokens stay. InputError for a text without tokens, which `name_of`
    names by its index.
    """
    options: dict[str, Any] = {"verbose": False, "return_attention_mask": False, "return_token_type_ids": False}
    if not special_tokens:
        options["add_special_tokens"] = False
    texts, cut = list(texts), []
    if not texts:
        return [], []
    if limit is None:
        ids = tokenizer(texts, **options)["input_ids"]
    else:
        tokenizer.truncation_side = side
        # One more than the limit is asked for, which tells a text that was cut from one that just fits.
        ids = tokenizer(texts, truncation=True, max_length=limit + 1, **options)["input_ids"]
        cut = [index for index, row in enumerate(ids) if len(row) > limit]
        if cut:  # again, since the tokenizer puts its closing tokens inside the limit
            shorter = tokenizer([texts[i] for i in cut], truncation=True, max_length=limit, **options)["input_ids"]
            for index, row in zip(cut, shorter, strict=True):
                ids[index] = row
    for index, row in enumerate(ids):
        if not row:
            raise InputError(f"{name_of(index)}: its text has no tokens in this model's vocabulary; drop it")
    return [np.asarray(row, dtype=np.int32) for row in ids], cut


def refuse_unknown_tokens(model: str, rows: Sequence[Tokens], known: int, name_of: Callable[[int], str]) -> None:
    """InputError where a row has a token id beyond the `known` rows of the model's table of tokens.

    Some devices answer such an index with nonsense, others by taking the process down.
    """
    for index, row in enumerate(rows):
        if len(row) and (largest := int(row.max())) >= known:
            raise InputError(
                f"{name_of(index)}: the tokenizer of {model} gives token {largest}, and the model knows {known}: "
                "tokenizer and weights are of different models"
            )
