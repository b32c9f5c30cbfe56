"""Chat templates: a text as a user's message, and proof that the text is in what comes of it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from w2s_probes.errors import InputError, did_you_mean, whole_reason

OWN = "own"  # the template that comes with the tokenizer; `own:NAME` where it has several
DEFAULT = "default"
NO_TEMPLATE = "none"  # plain text, for models that were not taught to converse
# The sample text: long, so that a template that shortens texts shows, and unlike any other.
MARKER = "the quick heron of 1873 wades past eleven silent boats while nobody counts the rain"
# What Jinja and what it calls were seen to raise: a template is a program.
WRONG = (TemplateError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True)
class Template:
    """Jinja source that makes a conversation of a text, the form of content that it reads, and a sample."""

    source: str
    rendering: str  # of MARKER, when the extraction was planned: a template may hold the date
    parts: bool = False  # content is a list of parts, [{"type": "text", "text": ...}], and not the text itself

    @classmethod
    def plan(cls, tokenizer: Any, source: str, where: str) -> "Template":
        """Find the form of content in which the template keeps the text; InputError where it does so in none."""
        reasons = []
        for parts in (False, True):
            template = cls(source, "", parts)
            try:
                rendered = template.render(tokenizer, MARKER, where)
            except InputError as error:
                reasons.append(error)
                continue
            # A list that is printed as such holds the text, too, and its own punctuation.
            printed = parts and ("'type'" in rendered or '"type"' in rendered)
            if MARKER.lower() in rendered.lower() and not printed:
                return cls(source, rendered, parts)
        if len(reasons) == 2:
            raise reasons[0]
        raise InputError(f"{where}: the chat template leaves the text of a user's message out: give another one")

    def render(self, tokenizer: Any, text: str, where: str, *, before: Sequence[tuple[str, str]] = ()) -> str:
        """The text as a user's message, with the prompt for an answer; InputError, saying where, if that fails.

        `before` are earlier messages, each with its answer.
        """
        turns = [(role, said) for turn in before for role, said in zip(("user", "assistant"), turn, strict=True)]
        return self.converse(tokenizer, [*turns, ("user", text)], where)

    def converse(
        self, tokenizer: Any, turns: Sequence[tuple[str, str]], where: str, *, prompt: bool | None = None
    ) -> str:
        """A conversation of roles and what they say, with the prompt for an answer unless the last one is an answer.

        `prompt` says instead whether that prompt is written.
        """
        messages = [
            {"role": role, "content": [{"type": "text", "text": said}] if self.parts else said} for role, said in turns
        ]
        try:
            rendered = tokenizer.apply_chat_template(
                messages,
                chat_template=self.source,
                tokenize=False,
                add_generation_prompt=turns[-1][0] != "assistant" if prompt is None else prompt,
            )
        except (*WRONG, SyntaxError) as error:
            reason = whole_reason(error)
            raise InputError(f"{where}: the chat template cannot be applied ({reason})") from error
        return str(rendered)

    def holds_date(self, tokenizer: Any) -> bool:
        """Whether it renders the same text differently on another day."""
        # A macro of this name hides the function that tokenizers hand in, which is not ours to replace.
        days = [f"{{%- macro strftime_now(form) -%}}{day}{{%- endmacro -%}}" for day in ("3 Feb 2001", "28 Nov 2022")]
        first, second = (
            replace(self, source=day + self.source).render(tokenizer, MARKER, "the chat template") for day in days
        )
        return first != second

    def refuse_changed(self, tokenizer: Any) -> None:
        """InputError where the template renders something else than when the extraction was planned."""
        if self.render(tokenizer, MARKER, "the chat template") != self.rendering:
            raise InputError(
                "the chat template renders the same text differently than at the beginning (does it hold the date or "
                "the time?): give a Jinja file with these fixed"
            )

    @property
    def fingerprint(self) -> str:
        """A hash of the sample rendering, for a store's key."""
        return hashlib.sha256(self.rendering.encode(errors="backslashreplace")).hexdigest()[:16]


def find_template(tokenizer: Any, model: str, named: "str | Template | None") -> Template | None:
    """The template of this name, or the one given; unless given the tokenizer's own, or none where it has none."""
    if isinstance(named, Template):
        return named
    if named is None:
        named = OWN if getattr(tokenizer, "chat_template", None) else NO_TEMPLATE
    if named == NO_TEMPLATE:
        return None
    return Template.plan(tokenizer, template_source(tokenizer, model, named), f"chat template {named}")


def is_template_name(named: str) -> bool:
    """Whether this stands for a tokenizer's template or for none, and not for a file."""
    return named == NO_TEMPLATE or named.partition(":")[0] == OWN


def refuse_no_template(named: str | None) -> None:
    """InputError for the file of a template that cannot be read, before a tokenizer is."""
    if named is not None and not is_template_name(named):
        template_source(None, "", named)


def template_source(tokenizer: Any, model: str, named: str) -> str:
    """The Jinja source that `own`, `own:NAME` or a file's path stands for."""
    head, _, wanted = named.partition(":")
    if head == OWN:
        templates = getattr(tokenizer, "chat_template", None)
        if isinstance(templates, dict):
            if (name := wanted or DEFAULT) in templates:
                return str(templates[name])
            raise InputError(
                f"model {model}: no chat template {name!r}; {did_you_mean(name, templates)}: give own:NAME"
            )
        if not isinstance(templates, str) or wanted:
            what = "no chat template" if not wanted else "no chat templates by name"
            raise InputError(f"model {model}: its tokenizer has {what}: give --chat-template FILE")
        return templates
    try:
        return Path(named).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"chat template {named}: not a readable file; give `own` or a Jinja file") from error
