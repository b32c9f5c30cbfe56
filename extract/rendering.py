"""Texts and conversations as a chat template renders them, with the place of every message's content."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from w2s_probes.errors import InputError

if TYPE_CHECKING:
    from w2s_probes.rows.conversations import Conversation

    from .templates import Template

Span = tuple[int, int]  # the first character and one beyond the last
# Stands for a message when the places are looked for: words that no template writes, and no two alike.
STAND_IN = "the {number}th grey heron of 1873 wades"


@dataclass(frozen=True)
class Rendered:
    """What the model reads of a row, and what in it are the row's own words."""

    text: str
    spans: tuple[Span, ...]  # of the text or of each message
    roles: tuple[str, ...]  # who says it; of a text without a template ""
    conversation: bool = False
    said: tuple[str, ...] = ()  # the text or each message, before a template strips it
    stripped: tuple[int, ...] = ()  # the characters that it strips at the beginning of each

    def written(self, number: int, first: int, end: int) -> Span | None:
        """Where characters of a text or message stand in what is read; None where the template strips them all."""
        (begin, stop), before = self.spans[number], self.stripped[number]
        found = max(begin, begin + first - before), min(stop, begin + end - before)
        return found if found[0] < found[1] else None


def plain(text: str) -> Rendered:
    """A text that is read as it is."""
    return Rendered(text, ((0, len(text)),), ("",), said=(text,), stripped=(0,))


class Renderer:
    """A chat template at work: conversations become texts, and no message is lost on the way."""

    def __init__(self, tokenizer: Any, template: "Template") -> None:
        self._tokenizer, self._template = tokenizer, template
        self._between: dict[tuple[str, ...], list[str]] = {}  # by roles: what stands before, between and after messages

    def render(self, conversation: "Conversation", where: str, *, of_text: bool = False) -> Rendered:
        """The conversation, with the prompt for an answer unless it ends in one.

        InputError, saying where, for a template that leaves a message out, changes its words or writes them elsewhere.
        """
        text = self._template.converse(self._tokenizer, conversation, where)
        roles = tuple(role for role, _ in conversation)
        if roles not in self._between:
            self._between[roles] = self._pieces(roles, where)
        pieces = self._between[roles]
        spans: list[Span] = []
        stripped: list[int] = []
        at = 0
        for number, (role, said) in enumerate(conversation):
            at += len(pieces[number])
            # A template may strip what was said; nothing else is let pass.
            spellings = (said, said.strip(), said.lstrip(), said.rstrip())
            fitting = (one for one in spellings if text.startswith(one + pieces[number + 1], at))
            spelled = next(fitting, None)
            if number == 0 and not text.startswith(pieces[0]):
                spelled = None
            if spelled is None:
                raise InputError(
                    f"{where}: the chat template does not write message {number + 1}, of role {role}, as it stands: "
                    "reword or drop it, or give another --chat-template"
                )
            spans.append((at, at + len(spelled)))
            stripped.append(0 if spelled in (said, said.rstrip()) else len(said) - len(said.lstrip()))
            at += len(spelled)
        if at + len(pieces[-1]) != len(text):
            raise InputError(f"{where}: the chat template writes more than its messages: give another --chat-template")
        said_by_all = tuple(said for _, said in conversation)
        return Rendered(text, tuple(spans), roles, not of_text, said_by_all, tuple(stripped))

    def _pieces(self, roles: Sequence[str], where: str) -> list[str]:
        """What the template writes around messages of these roles."""
        words = [STAND_IN.format(number=number) for number in range(len(roles))]
        rest = self._template.converse(self._tokenizer, tuple(zip(roles, words, strict=True)), where)
        pieces = []
        for role, said in zip(roles, words, strict=True):
            before, found, after = rest.partition(said)
            if not found or said in after:
                fault = "leaves out" if not found else "writes twice"
                raise InputError(
                    f"{where}: the chat template {fault} what {role} says in a talk of {', '.join(roles)[:80]}: "
                    "give another --chat-template, or drop such messages"
                )
            pieces.append(before)
            rest = after
        return [*pieces, rest]
