"""Texts with soft labels, their tokens, and micro-batches of like length with little padding."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checkpoints import tokens
from ..checks import probabilities, scaled_weights
from ..errors import InputError
from ..losses import ExplicitConflict

OVERHEAD = 128  # tokens that cost as much as a micro-batch beside its rows: so much padding is worth one fewer


@dataclass(frozen=True)
class Texts:
    """Texts (n,), soft labels P(label = 1) (n,), and perhaps weights of the rows' losses (n,), scaled to mean 1.

    A `conflict` is added to the loss.

    InputError where they do not fit together.
    """

    texts: Sequence[str]
    soft: NDArray[np.float64] = field(repr=False)
    weight: NDArray[np.float32] | None = field(default=None, repr=False)
    conflict: ExplicitConflict | None = field(default=None, repr=False)  # of these texts, added to the loss

    def __init__(
        self,
        texts: Sequence[str],
        soft: ArrayLike,
        weight: ArrayLike | None = None,
        conflict: ExplicitConflict | None = None,
    ) -> None:
        object.__setattr__(self, "texts", checked(texts, "the rows to fine-tune on"))
        object.__setattr__(self, "soft", np.array(probabilities(soft, "soft labels")))  # writable: pandas' are not
        if len(self.texts) != len(self.soft):
            raise InputError(f"{len(self.texts)} texts but {len(self.soft)} soft labels: one number a text is needed")
        if conflict is not None and conflict.truth.shape != (len(self.texts),):
            raise InputError(f"{len(self.texts)} texts, but a conflict's truth has shape {conflict.truth.shape}")
        object.__setattr__(self, "weight", None if weight is None else scaled_weights(weight, len(self.texts)))
        object.__setattr__(self, "conflict", conflict)

    def __len__(self) -> int:
        return len(self.texts)


def checked(texts: Sequence[str], what: str) -> list[str]:
    """The texts as a list; InputError, naming the first entry that is no text."""
    if isinstance(texts, str):
        raise InputError(f"{what}: give a list of texts, not one text")
    rows = list(texts)
    for row, text in enumerate(rows):
        if not isinstance(text, str):
            raise InputError(f"{what}: row {row} is {text!r}, which is no text")
    return rows


@dataclass(frozen=True)
class Tokenized:
    """Token ids of every text, cut to the model's window."""

    rows: list[tokens.Tokens]
    lengths: NDArray[np.int64]  # (n,)
    cut: int  # rows of which the end was cut off


def tokenize(tokenizer: Any, texts: Sequence[str], limit: int | None, what: str) -> Tokenized:
    """The tokens of each text, `limit` of them at most; InputError for a text that has none."""
    texts = list(texts)
    rows, cut = tokens.tokenize(tokenizer, texts, limit, lambda row: f"{what}: row {row}, {texts[row]!r}")
    return Tokenized(rows, np.array([len(row) for row in rows], dtype=np.int64), len(cut))


def micro_batches(lengths: NDArray[np.int64], budget: int) -> list[NDArray[np.intp]]:
    """The rows of each pass through the model: the partition into rows of like length that costs least.

    `lengths` (b,) are those of the rows. A micro-batch costs rows x longest tokens and `OVERHEAD`; it stays within
    `budget` tokens unless it is one long row. Longest first, so that the memory needed shows at once. O(b²).
    """
    order = np.argsort(-lengths, kind="stable")
    ordered = lengths[order]
    best = np.zeros(len(order) + 1)  # the least cost of the rows before the i-th
    begins = np.zeros(len(order) + 1, dtype=np.intp)
    for end in range(1, len(order) + 1):
        tokens = ordered[:end] * (end - np.arange(end))  # of the last micro-batch, by where it begins
        costs = np.where(tokens <= budget, best[:end] + tokens + OVERHEAD, np.inf)
        if not np.isfinite(costs[end - 1]):  # a row longer than the budget goes alone
            costs[end - 1] = best[end - 1] + tokens[end - 1] + OVERHEAD
        begins[end] = int(np.argmin(costs))
        best[end] = costs[begins[end]]
    parts = []
    end = len(order)
    while end:
        parts.append(order[begins[end] : end])
        end = int(begins[end])
    return parts[::-1]
