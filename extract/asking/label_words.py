"""Label words: the two answers as single tokens, spelled as the tokenizer spells them after the prompt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from w2s_probes.errors import InputError
from w2s_probes.io.plain_values import refuse_no_utf8

if TYPE_CHECKING:
    from w2s_probes.checkpoints.tokens import Tokens

WORDS = ("no", "yes")  # of labels 0 and 1, unless others are named


@dataclass(frozen=True)
class LabelWord:
    """An answer, and the one token that it is after the prompt."""

    word: str  # as the user gave it
    spelling: str  # as it follows the prompt: with a leading space or without
    token: int


def parse_answers(named: str) -> tuple[str, str]:
    """The answers of labels 0 and 1 from `no,yes`; InputError unless these are two different words.

    >>> parse_answers("no, yes")
    ('no', 'yes')
    """
    refuse_no_utf8(named, "answers")
    words = [word.strip() for word in named.split(",")]
    if len(words) != 2 or not all(words):
        raise InputError(f"answers {named[:60]!r}: give two words, those of labels 0 and 1, such as no,yes")
    return words[0], words[1]


def label_words(tokenizer: Any, model: str, answers: tuple[str, str], before: str) -> tuple[LabelWord, LabelWord]:
    """Each answer as the token that follows the text `before`, the end of a prompt.

    Both are spelled alike: with a leading space where the tokenizer so makes one token of each that leaves those of
    `before` as they are, else without; after white space first without. InputError, by name, for an answer of several
    tokens or of none that the tokenizer knows, and for two that begin with the same token.
    """
    space, tokens = spelled_after(tokenizer, answers, before)
    for word, ids in zip(answers, tokens, strict=True):
        if not ids or ids[0] == tokenizer.unk_token_id:
            raise InputError(
                f"answer {word!r}: the tokenizer of {model} does not know it: give words of its vocabulary as answers"
            )
    if tokens[0][0] == tokens[1][0]:
        piece = tokenizer.convert_ids_to_tokens(tokens[0][0])
        raise InputError(
            f"answers {answers[0]!r} and {answers[1]!r} begin with the same token {piece!r} of {model}, which cannot "
            "tell them apart: give others"
        )
    for word, ids in zip(answers, tokens, strict=True):
        if len(ids) > 1:
            pieces = ", ".join(map(repr, tokenizer.convert_ids_to_tokens(ids[:6])))
            raise InputError(
                f"answer {word!r} is {len(ids)} tokens of {model} ({pieces}), and one is read: give a word of one token"
            )
    first, second = (LabelWord(word, space + word, int(ids[0])) for word, ids in zip(answers, tokens, strict=True))
    return first, second


def spelled_after(tokenizer: Any, words: Sequence[str], before: str) -> tuple[str, list[list[int]]]:
    """What stands before each word, a space or nothing, and its tokens, one or more, that follow the text `before`."""
    head = _ids(tokenizer, before)
    spaces = ("", " ") if not before or before[-1].isspace() else (" ", "")
    tried = [[_after(tokenizer, head, before, space + word) for word in words] for space in spaces]
    return next(
        ((space, ids) for space, ids in zip(spaces, tried, strict=True) if all(len(each) == 1 for each in ids)),
        (spaces[0], tried[0]),
    )


def _after(tokenizer: Any, head: list[int], before: str, spelling: str) -> list[int]:
    """The tokens that the spelling adds to those of the text before it; those of itself where it changes these."""
    whole = _ids(tokenizer, before + spelling)
    if whole[: len(head)] == head and len(whole) > len(head):
        return whole[len(head) :]
    # The last token has swallowed the answer's beginning: not what the model reads at the prompt's end.
    return whole[_common(whole, head) :]


def _common(a: list[int], b: list[int]) -> int:
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def beginning(tokenizer: Any, sample: str) -> "Tokens":
    """The special tokens that the tokenizer puts before a text; those that it puts after one end an answer."""
    plain, whole = _ids(tokenizer, sample), list(tokenizer(sample, verbose=False)["input_ids"])
    start = next((at for at in range(len(whole)) if whole[at : at + len(plain)] == plain), 0)
    return np.asarray(whole[:start], dtype=np.int32)
