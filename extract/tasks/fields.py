"""Fields of a source's records, and the templates that put them into a text."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from w2s_probes.errors import InputError, preview
from w2s_probes.io.plain_values import is_missing

Record = Mapping[str, Any]

WHOLE = re.compile(r"[-+]?\d{1,15}(\.0*)?")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def field(record: Record, name: str, place: str) -> Any:
    """A field's value; `a.b` is field b of field a, of every entry where a is a list. Arrays come as lists.

    InputError naming `place` where the field, or its value, is missing.
    """
    value: Any = record[name] if name in record else _inner(record, name.split("."), name, place)
    if is_missing(value):
        raise InputError(f"{place}: field {name!r} has no value: fill it in, or leave the row out")
    return value.tolist() if isinstance(value, np.ndarray) else value


def _inner(value: Any, path: list[str], name: str, place: str) -> Any:
    for at, part in enumerate(path):
        if isinstance(value, np.ndarray):
            value = value.tolist()
        if isinstance(value, list):
            return [_inner(entry, path[at:], name, place) for entry in value]
        if not isinstance(value, Mapping) or part not in value:
            has = preview(list(value), 8) if isinstance(value, Mapping) else f"a {type(value).__name__}"
            raise InputError(f"{place}: no field {name!r}; {'.'.join(path[:at]) or 'it'} has {has}")
        value = value[part]
    return value


def text_of(value: Any, name: str, place: str) -> str:
    """A value as text: lists line by line. InputError for a table of fields, and for a list of such as messages are."""
    inner = next((entry for entry in value if isinstance(entry, Mapping)), value) if isinstance(value, list) else value
    if isinstance(inner, Mapping):
        which = "content" if "content" in inner else next(iter(inner), "x")  # of messages, what they say
        raise InputError(f"{place}: field {name!r} holds fields itself: name one, for example {name}.{which}")
    return "\n".join(str(entry) for entry in value) if isinstance(value, list) else str(value)


def plain(value: Any) -> str:
    """A label's value as task files write it: 1, 1.0, "1" and "1.0" are the same, and so are true, "true" and "True".

    In CSV all of them are text.
    """
    if isinstance(value, str):
        spelled = value.strip().lower()
        if WHOLE.fullmatch(spelled):
            return str(int(float(spelled)))
        return spelled if spelled in ("true", "false") else value
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).lower()


def placeholders(template: str) -> set[str]:
    """The names between braces. ValueError for a name that no field has."""
    names = {match[1] for match in PLACEHOLDER.finditer(template)}
    for name in names:
        if not name.strip() or name != name.strip():
            raise ValueError(f"{{{name}}} names no field: write {{field}}, or {{outer.inner}} for nested fields")
    return names


def render(template: str, record: Record, place: str, values: Mapping[str, str]) -> str:
    """The template with its fields filled in; names in `values` come before the record's own."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        return values[name] if name in values else text_of(field(record, name, place), name, place)

    return PLACEHOLDER.sub(value, template)
