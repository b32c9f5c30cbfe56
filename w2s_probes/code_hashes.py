"""Hashes of functions, so that what they made is not taken for what an edited one would make."""

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from types import CodeType, MethodType, ModuleType
from typing import Any

import numpy as np
import pandas as pd

SINGLE = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis))


def code_hash(function: Callable[..., Any]) -> str:
    """A hash of a function's code and of what is bound to it, so that a changed method is run again.

    Bound are arguments of a `partial`, the object of a method or of a callable, and variables of enclosing functions:
    numbers, texts, containers, arrays, other functions, and objects by their attributes. All code and plain values of
    the module that defines it count; of what that imports, the package's version does. The code is hashed as it was
    loaded: an edit of the file during a run changes nothing.
    """
    parts = [_described(function, ())]
    while isinstance(function, partial):
        function = function.func
    owners = [function, type(function), *_selves(function)]
    for name in sorted({str(getattr(owner, "__module__", None)) for owner in owners} - {"builtins", "functools"}):
        if name in sys.modules:
            parts.append([name, _module(sys.modules[name])])
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def _selves(function: Any) -> Iterator[Any]:
    if isinstance(function, MethodType):
        yield function.__self__ if isinstance(function.__self__, type) else type(function.__self__)


def _module(module: ModuleType) -> list[Any]:
    """A module's own functions and classes, and its plain values, its own or imported."""
    parts = []
    for name, value in sorted(vars(module).items()):
        if isinstance(value, type):
            if value.__module__ == module.__name__:
                parts.append([name, _members(value)])
            continue
        own = getattr(value, "__module__", None) == module.__name__
        if own or isinstance(value, partial) or (_is_plain(value) and not name.startswith("__")):
            parts.append([name, _described(value, ())])
    return parts


def _members(owner: type) -> list[Any]:
    """A class's bases, and its own functions, properties, plain attributes and classes."""
    parts: list[Any] = [[base.__qualname__ for base in owner.__bases__]]
    for name, value in sorted(vars(owner).items()):
        if isinstance(value, type):
            parts.append([name, _members(value) if value.__qualname__.startswith(owner.__qualname__ + ".") else ""])
            continue
        runs = isinstance(value, property | cached_property | classmethod | staticmethod) or callable(value)
        if runs or (_is_plain(value) and not name.startswith("__")):
            parts.append([name, _described(value, ())])
    return parts


def _is_plain(value: Any) -> bool:
    """Whether it is a number, a text, an array of these, or a filled container of plain values.

    A module's empty container is one that its code fills: it would tell one moment of a run from another.
    """
    if isinstance(value, dict):
        return bool(value) and all(_is_plain(one) for pair in value.items() for one in pair)
    if isinstance(value, list | set):
        return bool(value) and all(map(_is_plain, value))
    if isinstance(value, tuple | frozenset):
        return all(map(_is_plain, value))
    return isinstance(value, SINGLE) or (isinstance(value, np.ndarray) and value.dtype != object)


def _described(value: Any, inside: tuple[int, ...]) -> Any:
    """What decides a value, in lists of texts that are the same in every process; `inside` are those around it."""
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(value, SINGLE):
        return [name, repr(value)]
    if isinstance(value, CodeType):
        return _instructions(value)
    if isinstance(value, ModuleType):
        return [name, value.__name__]
    if isinstance(value, type):
        return [name, f"{value.__module__}.{value.__qualname__}"]
    if id(value) in inside:
        return [name, "itself"]
    inside = (*inside, id(value))
    if isinstance(value, tuple | list):
        return [name, *(_described(one, inside) for one in value)]
    if isinstance(value, set | frozenset):
        return [name, *sorted((_described(one, inside) for one in value), key=repr)]
    if isinstance(value, dict):
        return [name, *([_described(key, inside), _described(one, inside)] for key, one in value.items())]
    if (array := _array(value)) is not None:
        return [name, *array]
    return [name, *(_function(value, inside) or _attributes(value, inside))]


def _array(value: Any) -> list[Any] | None:
    """The numbers of an array, a tensor or a table."""
    if isinstance(value, pd.DataFrame):
        return [list(map(repr, value.columns)), *(_array(value[column].to_numpy()) for column in value)]
    if isinstance(value, pd.Series | pd.Index):
        return _array(value.to_numpy())
    if hasattr(value, "detach") and hasattr(value, "double"):
        return [str(value.dtype), _array(value.detach().cpu().double().numpy())]
    if not isinstance(value, np.ndarray | np.generic):
        return None
    array = np.asarray(value)
    data = repr(array.tolist()).encode() if array.dtype == object else np.ascontiguousarray(array).tobytes()
    return [str(array.dtype), list(array.shape), hashlib.sha256(data).hexdigest()]


def _function(value: Any, inside: tuple[int, ...]) -> list[Any]:
    """A function's instructions, defaults and enclosing variables, without its place in the file; of others nothing."""
    if isinstance(value, partial):
        return [_described(one, inside) for one in (value.func, value.args, dict(sorted(value.keywords.items())))]
    if isinstance(value, MethodType):
        return [_described(value.__func__, inside), _described(value.__self__, inside)]
    if isinstance(value, property):
        return [_described(one, inside) for one in (value.fget, value.fset, value.fdel)]
    if isinstance(value, cached_property):
        return [_described(value.func, inside)]
    if isinstance(value, classmethod | staticmethod):
        return [_described(value.__func__, inside)]
    code = getattr(value, "__code__", None)
    if isinstance(code, CodeType):
        bound = (value.__defaults__, value.__kwdefaults__)
        cells = [_cell(cell, inside) for cell in value.__closure__ or ()]
        return [value.__qualname__, _instructions(code), *(_described(one, inside) for one in bound), cells]
    if (wrapped := getattr(value, "__wrapped__", None)) is not None:
        return [_described(wrapped, inside)]
    return [value.__qualname__] if hasattr(value, "__qualname__") else []


def _cell(cell: Any, inside: tuple[int, ...]) -> Any:
    try:
        return _described(cell.cell_contents, inside)
    except ValueError:  # not filled yet
        return []


def _attributes(value: Any, inside: tuple[int, ...]) -> list[Any]:
    """An object's own call and attributes, but for those that properties have kept."""
    kind = type(value)
    slots = [name for base in kind.__mro__ for name in vars(base).get("__slots__", ())]
    held = {name: getattr(value, name) for name in slots if hasattr(value, name)} | getattr(value, "__dict__", {})
    own = {
        name: one
        for name, one in sorted(held.items())
        if not name.startswith("__") and not isinstance(inspect.getattr_static(kind, name, None), cached_property)
    }
    call = getattr(vars(kind).get("__call__"), "__code__", None)
    return [call and _instructions(call), *([name, _described(one, inside)] for name, one in own.items())]


def _instructions(code: CodeType) -> list[Any]:
    constants = [_described(constant, ()) for constant in code.co_consts]
    return [code.co_code.hex(), code.co_names, code.co_varnames, code.co_freevars, constants]
