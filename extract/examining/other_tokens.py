"""Other ways from a text to its tokens: without the special ones, with one more, through the chat template."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from w2s_probes.checkpoints.tokens import Tokens
from w2s_probes.errors import InputError
from w2s_probes.rows.conversations import MESSAGES

from ..encoding import Encoding
from .subject import Subject


def other_tokens(subject: Subject, rows: pd.DataFrame, tokens: Sequence[Tokens]) -> Iterator[tuple[str, list[Tokens]]]:
    """The tokens of some rows got in other ways, with the words for each; those that are the same are left out."""
    for words, others in (_of_talks if MESSAGES in rows else _of_texts)(subject, rows, tokens):
        known = others is not None and all(0 < len(row) <= (subject.source.window or len(row)) for row in others)
        if others is not None and known and any(not np.array_equal(a, b) for a, b in zip(others, tokens, strict=True)):
            yield words, others


def _of_texts(
    subject: Subject, rows: pd.DataFrame, tokens: Sequence[Tokens]
) -> Iterator[tuple[str, list[Tokens] | None]]:
    tokenizer = subject.source.tokenizer
    names, texts = rows["id"].tolist(), rows["text"].tolist()
    plain = replace(subject.encoding, template=None)
    yield "without the special tokens that the tokenizer adds", _bare(subject, texts)
    yield from _with_one_more(subject, tokens)
    yield "with the token that ends a text behind them", _beside(tokens, tokenizer.eos_token_id, before=False)
    yield "through the tokenizer's chat template", _through_template(subject, names, texts)
    yield "as the text is, without a chat template", _encoded(plain, subject, names, texts)
    stripped = [text.strip() for text in texts]
    yield "of the text without spaces around it", _encoded(plain, subject, names, stripped)


def _of_talks(
    subject: Subject, rows: pd.DataFrame, tokens: Sequence[Tokens]
) -> Iterator[tuple[str, list[Tokens] | None]]:
    yield from _with_one_more(subject, tokens)
    written = [each.text for each in subject.encoding.rendered(subject.source.tokenizer, rows)]
    added = replace(subject.encoding, template=None)
    yield (
        "with the tokenizer's special tokens beside the template's",
        _encoded(added, subject, rows["id"].tolist(), written),
    )
    assert subject.encoding.template is not None
    converse = partial(subject.encoding.template.converse, subject.source.tokenizer, where="a row", prompt=False)
    yield "without the prompt for an answer", _bare(subject, [converse(talk) for talk in rows[MESSAGES]])


def _with_one_more(subject: Subject, tokens: Sequence[Tokens]) -> Iterator[tuple[str, list[Tokens] | None]]:
    yield "with the first token twice", [np.concatenate([row[:1], row]) for row in tokens]
    begin = subject.source.tokenizer.bos_token_id
    yield "with the token that begins a text before them", _beside(tokens, begin, before=True)


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
