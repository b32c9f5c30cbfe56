"""Marked characters as tokens: the token that holds the last character of a span, by the tokenizer's own offsets."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from w2s_probes.checkpoints.tokens import Tokens
from w2s_probes.errors import InputError, preview

from .rendering import Span


class CutOff(InputError):
    """Some rows are marked beyond the tokens that are read of them, by the marks of these numbers from 0."""

    def __init__(
        self, ids: Sequence[str], limit: int | None, side: str, which: Sequence[int], names: Sequence[str] = ()
    ) -> None:
        self.ids, self.limit, self.side, self.which = list(ids), limit, side, sorted(set(which))
        marked = "".join(f" {names[one][:60]!r}," for one in self.which if names).removesuffix(",")
        super().__init__(
            f"the marked position{marked} is cut off in {len(self.ids)} rows ({preview(self.ids, 6)}), of which "
            f"{limit} tokens are read, cut on the {side}: raise --max-length, cut on the other side by --truncation, "
            "or drop them"
        )

    @classmethod
    def joined(cls, errors: "Sequence[CutOff]", names: Sequence[str]) -> "CutOff":
        """What was found in several parts of the rows; `names` are the positions, by the number of their marks."""
        ids = dict.fromkeys(name for error in errors for name in error.ids)
        return cls(list(ids), errors[0].limit, errors[0].side, [n for error in errors for n in error.which], names)


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

    Of an empty span it is the first token that holds the character behind it.
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
    lost: list[tuple[str, int]] = []
    for row, (name, own) in enumerate(zip(ids, rows, strict=True)):
        if list(found["input_ids"][row]) != own.tolist():
            raise InputError(f"row {name!r}: the tokenizer gives other tokens where it is asked where they stand")
        begins, ends = np.asarray(found["offset_mapping"][row], dtype=np.int64).reshape(-1, 2).T
        for which, spans in enumerate(marks):
            token = _token_of(begins, ends, *spans[row])
            if token is not None and len(own) == limit and token == _outermost(begins, ends, side):
                # The row may be cut within the tokens of one character.
                whole = tokenizer(
                    texts[row], return_offsets_mapping=True, add_special_tokens=special_tokens, verbose=False
                )["offset_mapping"]
                gone = len(whole) - len(own) if side == "left" else 0
                starts, stops = np.asarray(whole, dtype=np.int64).reshape(-1, 2).T
                in_whole = _token_of(starts, stops, *spans[row])
                token = token if in_whole == token + gone else None
            if token is None:
                lost.append((name, which))
            else:
                at[row, which] = token
    if lost:
        raise CutOff(list(dict.fromkeys(name for name, _ in lost)), limit, side, [which for _, which in lost])
    return at


def _outermost(begins: NDArray[np.int64], ends: NDArray[np.int64], side: Literal["left", "right"]) -> int:
    """The token of a text that stands at the side on which it is cut, beside those that the tokenizer adds."""
    return int(np.flatnonzero(ends > begins)[0 if side == "left" else -1])


def _token_of(begins: NDArray[np.int64], ends: NDArray[np.int64], first: int, end: int) -> int | None:
    """The token of the last character of a span; None where the tokens end before it or begin after it.

    Of an empty span it is the first token of the character behind it; None where no token holds that.
    """
    if first == end:
        holding = np.flatnonzero((begins <= first) & (ends > first))
        return int(holding[0]) if len(holding) else None
    holding = np.flatnonzero((begins < end) & (ends >= end) & (ends > begins))
    if len(holding):
        return int(holding[-1])  # of several that share a character, such as its bytes, the last
    real = ends > begins
    if not real.any() or end > ends[real].max() or end <= begins[real].min():
        return None
    inside = np.flatnonzero(real & (begins < end) & (ends > first))
    return int(inside[-1]) if len(inside) else None
