"""Other ways from a text to its tokens: without the special ones, with one more, through the chat template."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from w2s_probes.checkpoints.tokens import Tokens
from w2s_probes.errors import InputError

from ..encoding import Encoding
from .subject import Subject


def other_tokens(
    subject: Subject, names: Sequence[str], texts: Sequence[str], tokens: Sequence[Tokens]
) -> Iterator[tuple[str, list[Tokens]]]:
    """The tokens of some rows got in other ways, with the words for each; those that are the same are left out."""
    tokenizer = subject.source.tokenizer
    plain = replace(subject.encoding, template=None)
    for words, rows in (
        ("without the special tokens that the tokenizer adds", _bare(subject, texts)),
        ("with the first token twice", [np.concatenate([row[:1], row]) for row in tokens]),
        ("with the token that begins a text before them", _beside(tokens, tokenizer.bos_token_id, before=True)),
        ("with the token that ends a text behind them", _beside(tokens, tokenizer.eos_token_id, before=False)),
        ("through the tokenizer's chat template", _through_template(subject, names, texts)),
        ("as the text is, without a chat template", _encoded(plain, subject, names, texts)),
        ("of the text without spaces around it", _encoded(plain, subject, names, [text.strip() for text in texts])),
    ):
        known = rows is not None and all(0 < len(row) <= (subject.source.window or len(row)) for row in rows)
        if rows is not None and known and any(not np.array_equal(a, b) for a, b in zip(rows, tokens, strict=True)):
            yield words, rows


def _bare(subject: Subject, texts: Sequence[str]) -> list[Tokens]:
    ids = subject.source.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    return [np.asarray(row, dtype=np.int32) for row in ids]


def _beside(tokens: Sequence[Tokens], token: int | None, *, before: bool) -> list[Tokens] | None:
    if token is None:
        return None
    extra = np.array([token], dtype=np.int32)
    return [np.concatenate([extra, row] if before else [row, extra]) for row in tokens]


def _through_template(subject: Subject, names: Sequence[str], texts: Sequence[str]) -> list[Tokens] | None:
    if not getattr(subject.source.tokenizer, "chat_template", None):
        return None
    try:
        return _encoded(Encoding.plan(subject.source, None, "right", "own"), subject, names, texts)
    except InputError:  # it has none that can be used
        return None


def _encoded(encoding: Encoding, subject: Subject, names: Sequence[str], texts: Sequence[str]) -> list[Tokens] | None:
    try:
        return encoding.encode(subject.source.tokenizer, names, texts).rows
    except InputError:  # a text that this way leaves without tokens
        return None
