"""Writes recipes as TOML, which the standard library only reads."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml(values: Mapping[str, Any]) -> str:
    """A TOML document of plain values, lists and tables. None is left out, since TOML has none.

    >>> print(toml({"seeds": [0, 1], "data": {"n_train": 100}}), end="")
    seeds = [0, 1]
    <BLANKLINE>
    [data]
    n_train = 100
    """
    return "\n".join(_table(values, ())).strip() + "\n"


def _table(values: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Plain values first: what follows the heading of a table belongs to that table."""
    tables = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    arrays = {key: value for key, value in values.items() if _is_tables(value)}
    for key, value in values.items():
        if value is not None and key not in tables and key not in arrays:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in tables.items():
        yield from ("", f"[{'.'.join(map(_key, (*path, key)))}]")
        yield from _table(value, (*path, key))
    for key, items in arrays.items():
        for item in items:
            yield from ("", f"[[{'.'.join(map(_key, (*path, key)))}]]")
            yield from _table(item, (*path, key))


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _key(key: str) -> str:
    return key if BARE.fullmatch(key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):  # JSON's escapes are TOML's, but that TOML wants one for DEL as well
        value = value.encode(errors="backslashreplace").decode()  # a file's name that is no UTF-8, which TOML is
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, int | float):
        return repr(value)
    raise TypeError(f"no TOML for {type(value).__name__}")
