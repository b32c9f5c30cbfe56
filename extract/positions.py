"""Positions: the tokens whose vectors are kept. Their names, and of marked ones the characters that mark them.

A marked position is the last token of a span of what the model reads: the text, or what a chat template makes of it.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from w2s_probes.errors import InputError, did_you_mean
from w2s_probes.io.plain_values import is_missing, refuse_no_utf8

from .rendering import Rendered, Span

MARK = "mark"  # of planned rows: first character and one beyond the last of what marks the position
NAMED = ("last", "first", "mean", "all")
Kind = Literal["span", "regex", "role", "answer"]
NAME = re.compile(r"[A-Za-z][\w-]{0,63}")
WRITTEN = re.compile(r"\[\s*\d{1,9}\s*,\s*\d{1,9}\s*\]")  # a span in a file of texts alone


@dataclass(frozen=True)
class Mark:
    """What marks a position in each row, and in words of its own: a field, a pattern or a role."""

    kind: Kind
    what: str = ""

    @property
    def field(self) -> str | None:
        """The field of the rows that says it; None where their text does."""
        return self.what if self.kind == "span" else None

    def find(self, rendered: Rendered, value: Any, where: str) -> Span | None:
        """The characters that mark it in a row, white space at their end left out; None where nothing does.

        Of an answer, whose first token is meant, it is the empty span before its first character.
        """
        if self.kind == "regex":
            matches = list(re.finditer(self.what, rendered.text))
            found = matches[-1].span() if matches else None
        elif self.kind == "span":
            found = _span_in(rendered, value, where)
        else:
            role = "assistant" if self.kind == "answer" else self.what
            said = [span for one, span in zip(rendered.roles, rendered.spans, strict=True) if one == role]
            found = said[-1] if said else None
        if found is None:
            return None
        begin, end = found
        if self.kind == "answer":
            begin += len(rendered.text[begin:end]) - len(rendered.text[begin:end].lstrip())
            return (begin, begin) if begin < end else None
        end = begin + len(rendered.text[begin:end].rstrip())
        return (begin, end) if begin < end else None


def mark_of(position: str) -> Mark | None:
    """What marks a position of this name; None for `last`, `first`, `mean` and `all`; InputError where it is none.

    >>> mark_of("regex:[0-9]+"), mark_of("last")
    (Mark(kind='regex', what='[0-9]+'), None)
    """
    refuse_no_utf8(position, "position")
    if position in NAMED:
        return None
    kind, colon, what = position.partition(":")
    kinds = {"span": "span", "span:FIELD": "span", "regex:PATTERN": "regex", "role:ROLE": "role", "answer": "answer"}
    if kind not in kinds.values():
        raise InputError(f"position {position[:60]!r}: {did_you_mean(kind, [*NAMED, *kinds])}")
    needs = kind in ("regex", "role")
    if (needs and not what) or (colon and not what) or (kind == "answer" and colon):
        raise InputError(f"position {position[:60]!r}: give it as {' or '.join(n for n in kinds if kinds[n] == kind)}")
    if kind == "regex":
        try:
            re.compile(what)
        except (re.error, OverflowError, RecursionError) as error:
            raise InputError(f"position {position[:60]!r}: not a regular expression ({error})") from error
    (name,) = (one for one in get_args(Kind) if one == kind)
    return Mark(name, what or ("span" if kind == "span" else ""))


def named_positions(given: Sequence[str]) -> dict[str, str]:
    """Positions by name from `NAME=POSITION`, several of them; a single one without a name has the name "".

    >>> named_positions(["end=last", "year=regex:[0-9]{4}"])
    {'end': 'last', 'year': 'regex:[0-9]{4}'}
    """
    pairs = [_named(text) for text in given]
    if len(pairs) == 1 and not pairs[0][0]:
        mark_of(pairs[0][1])
        return dict(pairs)
    for name, position in pairs:
        if not name:
            raise InputError(
                f"--position {position[:60]}: several are stored, so give each a name: NAME={position[:60]}"
            )
        if position == "all":
            raise InputError(f"--position {name}=all: every token is a store of its own kind: extract it apart")
        mark_of(position)
    if len({name for name, _ in pairs}) < len(pairs):
        raise InputError(
            f"--position: two have one name ({', '.join(name for name, _ in pairs)}): name them differently"
        )
    return dict(pairs)


def fields_of(positions: Iterable[str]) -> list[str]:
    """The fields of the rows that some positions read."""
    marks = [mark_of(position) for position in positions]
    return [mark.field for mark in marks if mark is not None and mark.field is not None]


def _named(text: str) -> tuple[str, str]:
    name, equals, position = text.partition("=")
    # `regex:a=b` has no name: names have no colon.
    return (name, position) if equals and NAME.fullmatch(name) else ("", text)


def _span_in(rendered: Rendered, value: Any, where: str) -> Span | None:
    """Where a row's own span lies: [start, end] in its text, or a piece of the text that stands in it once."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if is_missing(value):
        return None
    if isinstance(value, str):
        if not value.strip():
            return None
        written = WRITTEN.fullmatch(value.strip())  # [start, end] as a CSV file holds it
        if written and not any(value in one for one in rendered.said):
            return _span_in(rendered, json.loads(value), where)
        places = [
            (number, found.start())
            for number, said in enumerate(rendered.said)
            for found in re.finditer(f"(?={re.escape(value)})", said)
        ]
        if len(places) > 1:
            there, remedy = "its text", "give [start, end]"
            if rendered.conversation:
                there, remedy = "its messages", "give a longer piece of a message, which stands there once"
            raise InputError(f"{where}: its span {value[:40]!r} stands in {there} {len(places)} times: {remedy}")
        return rendered.written(*places[0], places[0][1] + len(value)) if places else None
    whole = isinstance(value, list | tuple) and len(value) == 2 and all(type(one) is int for one in value)
    if not whole:
        raise InputError(f"{where}: its span {str(value)[:40]!r} is neither a piece of its text nor [start, end]")
    if len(rendered.spans) != 1 or rendered.conversation:
        raise InputError(f"{where}: a conversation has no characters to count: give its span as a piece of a message")
    (text,), (first, last) = rendered.said, (int(one) for one in value)
    if not 0 <= first < last <= len(text):
        raise InputError(f"{where}: its span [{first}, {last}] is not in its text, which has {len(text)} characters")
    return rendered.written(0, first, last)


def refuse_marked(positions: Sequence[str], what: str) -> None:
    """InputError for several positions and for marked ones, where `what` reads a single one that has a name."""
    if len(positions) != 1 or mark_of(positions[0]) is not None:
        said = ", ".join(position[:40] for position in positions)
        raise InputError(f"{what} reads one of last, first, mean and all, not --position {said}: leave one of them out")
