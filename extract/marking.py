"""Marked characters as tokens: the token that holds the last character of a span, by the tokenizer's own offsets."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from w2s_probes.checkpoints.tokens import Tokens
from w2s_probes.errors import InputError, preview

from .rendering import Span


class CutOff(InputError):
    """Some rows are marked beyond the tokens that are read of them."""

    def __init__(self, ids: Sequence[str], limit: int | None, side: str) -> None:
        self.ids, self.limit, self.side = list(ids), limit, side
        super().__init__(
            f"the marked position is cut off in {len(self.ids)} rows ({preview(self.ids, 6)}), of which {limit} tokens "
            f"are read, cut on the {side}: raise --max-length, cut on the other side by --truncation, or drop them"
        )


def tokens_at(
    tokenizer: Any,
    ids: Sequence[str],
    texts: Sequence[str],
    rows: Sequence[Tokens],
    marks: Sequence[Sequence[Span]],
    *,
    limit: int | None,
    side: Literal["left", "right"],
    special_tokens: bool,
) -> NDArray[np.int64]:
    """The token (rows, marks) that holds the last character of each span of characters, counted from a row's first.

    `rows` are the token ids that are read of the texts, cut and closed as `limit`, `side` and `special_tokens` say.
    Where a tokenizer drops that character, as some do white space, it is the last token before it that holds one of the
    span. Raises `CutOff` where a span ends beyond what is read, and InputError for a tokenizer that does not tell where
    its tokens stand, or tells it of others.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise InputError(
            f"{type(tokenizer).__name__} does not tell where its tokens stand in a text: marked positions need a fast "
            "tokenizer: give last, first, mean or all"
        )
    tokenizer.truncation_side = side
    options: dict[str, Any] = {"add_special_tokens": special_tokens, "verbose": False}
    if limit is not None:
        options |= {"truncation": True, "max_length": limit}
    found = tokenizer(list(texts), return_offsets_mapping=True, **options)
    at = np.empty((len(rows), len(marks)), dtype=np.int64)
    lost: list[str] = []
    for row, (name, own) in enumerate(zip(ids, rows, strict=True)):
        if list(found["input_ids"][row]) != own.tolist():
            raise InputError(f"row {name!r}: the tokenizer gives other tokens where it is asked where they stand")
        begins, ends = np.asarray(found["offset_mapping"][row], dtype=np.int64).reshape(-1, 2).T
        for which, spans in enumerate(marks):
            token = _token_of(begins, ends, *spans[row])
            if token is None:
                lost.append(name)
            else:
                at[row, which] = token
    if lost:
        raise CutOff(list(dict.fromkeys(lost)), limit, side)
    return at


def _token_of(begins: NDArray[np.int64], ends: NDArray[np.int64], first: int, end: int) -> int | None:
    """The token of the last character of a span; None where the tokens end before it or begin after it."""
    holding = np.flatnonzero((begins < end) & (ends >= end) & (ends > begins))
    if len(holding):
        return int(holding[-1])  # of several that share a character, such as its bytes, the last
    real = ends > begins
    if not real.any() or end > ends[real].max() or end <= begins[real].min():
        return None
    inside = np.flatnonzero(real & (begins < end) & (ends > first))
    return int(inside[-1]) if len(inside) else None
