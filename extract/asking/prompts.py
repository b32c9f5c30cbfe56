"""Prompts: the shots, the row, and the question, as a conversation or as plain text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from w2s_probes.errors import InputError
from w2s_probes.io.plain_values import refuse_no_utf8

from ..templates import Template
from .label_words import LabelWord

# {text} is the row's, {0} and {1} are the answers. The same for every task: it names none.
PATTERN = "{text}\n\nAnswer with one word, {0} or {1}.\nAnswer:"
BETWEEN = "\n\n"  # shots of plain text
PLACES = re.compile(r"\{(text|0|1)\}")


def refuse_pattern(pattern: str) -> None:
    """InputError for a pattern of a prompt without the row's text, and for one that is no text."""
    refuse_no_utf8(pattern, "prompt")
    if "{text}" not in pattern:
        raise InputError(f"prompt {pattern[:60]!r}: no {{text}} in it: every row would be asked the same")


def asked(pattern: str, text: str, answers: tuple[str, str]) -> str:
    """The question about a text.

    >>> asked("{text} {0} or {1}?", "{0}", ("no", "yes"))
    '{0} no or yes?'
    """
    values = {"text": text, "0": answers[0], "1": answers[1]}
    return PLACES.sub(lambda place: values[place[1]], pattern)


@dataclass(frozen=True)
class Prompt:
    """The way from a row's text to what the model reads."""

    pattern: str
    answers: tuple[str, str]
    template: Template | None  # makes a conversation, of which shots are earlier turns; None: plain text
    shots: tuple[tuple[str, int], ...] = ()  # texts with labels
    words: tuple[LabelWord, LabelWord] | None = None  # spelled as after the prompt; for shots of plain text

    def of(self, tokenizer: Any, text: str, where: str) -> str:
        """The prompt about a text; InputError, saying where, if the template cannot be applied."""
        if self.template is None:
            shown = [self._question(shot) + self._spelled(label) for shot, label in self.shots]
            return BETWEEN.join([*shown, self._question(text)])
        before = [(self._question(shot), self.answers[label]) for shot, label in self.shots]
        return self.template.render(tokenizer, self._question(text), where, before=before)

    def every(self, tokenizer: Any, names: Sequence[str], texts: Sequence[str]) -> list[str]:
        """The prompts about texts (n,), whose rows messages call by these names."""
        if self.template is not None:
            self.template.refuse_changed(tokenizer)
        return [self.of(tokenizer, text, name) for name, text in zip(names, texts, strict=True)]

    def _question(self, text: str) -> str:
        return asked(self.pattern, text, self.answers)

    def _spelled(self, label: int) -> str:
        assert self.words is not None
        return self.words[label].spelling
