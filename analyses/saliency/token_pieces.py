"""The text that each token stands for, cut out of the text itself where the tokenizer says where it is."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.encoding import Encoding


def token_pieces(tokenizer: Any, encoding: Encoding, text: str, ids: NDArray[np.int32]) -> list[str]:
    """The text that each token id (tokens,) stands for, spaces included: joined, they are about the text.

    From the tokenizer's offsets where it has them and they belong to these ids; else by decoding token by token.
    Tokens that stand for nothing in the text, such as [CLS], are shown by name.
    """
    if getattr(tokenizer, "is_fast", False):
        said = text if encoding.template is None else encoding.template.render(tokenizer, text, "the text")
        found = tokenizer(
            said,
            add_special_tokens=encoding.template is None,
            return_offsets_mapping=True,
            return_attention_mask=False,
            verbose=False,
        )
        first = _begins(found["input_ids"], ids)
        if first is not None:
            offsets = found["offset_mapping"][first : first + len(ids)]
            return _cut(tokenizer, said, ids, offsets)
        # Cut to the model's window with closing tokens kept inside: its offsets are those of the uncut text.
        special = set(tokenizer.all_special_ids)
        if len(ids) > 1 and int(ids[-1]) in special:
            first = _begins(found["input_ids"], ids[:-1])
            if first is not None:
                return _cut(tokenizer, said, ids, [*found["offset_mapping"][first : first + len(ids) - 1], (0, 0)])
    return [_named(tokenizer, int(token)) for token in ids]


def _begins(all_ids: list[int], ids: NDArray[np.int32]) -> int | None:
    """Where these ids stand among all: at the beginning, or, of a text cut on the left, at the end."""
    for first in (0, len(all_ids) - len(ids)):
        if first >= 0 and all_ids[first : first + len(ids)] == ids.tolist():
            return first
    return None


def _cut(tokenizer: Any, text: str, ids: NDArray[np.int32], offsets: list[tuple[int, int]]) -> list[str]:
    pieces, reached = [], None
    for token, (start, end) in zip(ids, offsets, strict=True):
        if start == end:
            pieces.append(_named(tokenizer, int(token)))
            continue
        begin = start if reached is None else max(min(reached, start), min(reached, end))
        pieces.append(text[begin:end] or "·")  # one character in several tokens: the later ones have none left
        reached = end
    return pieces


def _named(tokenizer: Any, token: int) -> str:
    return str(tokenizer.decode([token])) or str(tokenizer.convert_ids_to_tokens(token))
