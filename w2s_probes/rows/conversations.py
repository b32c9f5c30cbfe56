"""Conversations as rows: `messages`, a list of objects with `role` and `content`, checked and spelled in one way."""

import json
from typing import Any

import numpy as np

from ..errors import InputError, did_you_mean
from ..io.plain_values import is_missing

MESSAGES = "messages"
ROLES = ("system", "developer", "user", "assistant", "tool")
# Other keys of a message that are part of what was said, which would be lost; further ones say nothing to a model.
SAYING = ("tool_calls", "function_call", "tool_call_id", "name", "reasoning_content", "reasoning", "thinking")
Conversation = tuple[tuple[str, str], ...]  # a role and what was said, message after message


def conversation_of(value: Any, where: str) -> Conversation:
    """The messages of a row; `where` names it. InputError for none, and by number for those that cannot be read."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise InputError(f"{where}: its messages are a text that is no JSON: give a list of objects") from error
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, list | tuple) or not value:
        what = (
            "are missing" if value is None or is_missing(value) else "are empty" if value in ([], ()) else "are no list"
        )
        raise InputError(f"{where}: its messages {what}: give a list of objects with `role` and `content`")
    return tuple(_message(one, f"{where}: message {number}") for number, one in enumerate(value, start=1))


def as_one_text(conversation: Conversation) -> str:
    """The messages as JSON: what stands for a row's text, in hashes and where a text is shown.

    >>> as_one_text((("user", "2 + 2?"), ("assistant", "4")))
    '[{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]'
    """
    return json.dumps([{"role": role, "content": said} for role, said in conversation], ensure_ascii=False)


def _message(value: Any, where: str) -> tuple[str, str]:
    if isinstance(value, tuple) and len(value) == 2:  # one of a `Conversation`
        value = {"role": value[0], "content": value[1]}
    if not isinstance(value, dict):
        raise InputError(f"{where} is a {type(value).__name__}, not an object with `role` and `content`")
    role, content = value.get("role"), value.get("content")
    if role not in ROLES:
        raise InputError(f"{where} has role {str(role)[:40]!r}: {did_you_mean(str(role), ROLES)}")
    for name in SAYING:
        if (more := value.get(name)) is not None and not (isinstance(more, str | list | dict) and not more):
            raise InputError(f"{where} has {name!r}, which is not read: put what it says into its content, or drop it")
    if not isinstance(content, str):
        kind = "nothing" if content is None else f"a {type(content).__name__}"
        raise InputError(f"{where} has {kind} as content, and a text is read: join its parts, or drop it")
    if not content.strip():
        raise InputError(f"{where} is empty: drop it")
    return str(role), content
