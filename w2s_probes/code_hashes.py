"""Hashes of functions, so that what they made is not taken for what an edited one would make."""

import hashlib
import sys
from collections.abc import Callable
from functools import partial
from types import CodeType
from typing import Any


def code_hash(function: Callable[..., Any]) -> str:
    """A hash of a function's code and bound arguments, so that a changed method is run again.

    All code and plain values of the module that defines it count; of what that imports, the package's version does.
    The code is hashed as it was loaded: an edit of the file during a run changes nothing.
    """
    bound: list[Any] = []
    while isinstance(function, partial):
        bound.append([function.args, sorted(function.keywords.items())])
        function = function.func
    module = sys.modules.get(function.__module__)
    parts = [_code(function)]
    for name, value in sorted(vars(module).items()) if module is not None else ():
        if getattr(value, "__module__", None) == function.__module__:
            parts.append([name, [_code(member) for member in (value, *vars(value).values()) if callable(member)]])
        elif isinstance(value, int | float | str | tuple) and not name.startswith("__"):
            parts.append([name, repr(value)])
    return hashlib.sha256(f"{function.__qualname__} {bound!r} {parts!r}".encode()).hexdigest()[:24]


def _code(function: Any) -> Any:
    """A function's instructions and defaults, without its place in the file."""
    code = getattr(function, "__code__", None)
    if code is None:
        return getattr(function, "__qualname__", type(function).__qualname__)
    return [_instructions(code), repr(function.__defaults__), repr(function.__kwdefaults__)]


def _instructions(code: CodeType) -> list[Any]:
    constants = [
        _instructions(constant)
        if isinstance(constant, CodeType)
        else sorted(map(repr, constant))
        if isinstance(constant, frozenset)
        else constant
        for constant in code.co_consts
    ]
    return [code.co_code.hex(), code.co_names, code.co_varnames, code.co_freevars, constants]
