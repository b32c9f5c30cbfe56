"""The methods by name, which the package's own file fills; plugins, packages and programs add to them."""

import re
from inspect import signature
from typing import Any

from w2s_probes.registries import Registry

from ..experiment import Method
from ..recipe.gold_names import GOLD
from ..results.names import CEILING, WEAK, is_matched_control, is_reference

EXPECTED = (
    "expected is a Method(function), whose function is given an Experiment, and yields lessons and returns an Outcome"
)


def _fault(name: str, method: Any) -> str | None:
    """What is wrong with a method that somebody adds; None where nothing is."""
    if (wrong := _name_fault(name)) is not None and name not in METHODS.own:
        return wrong
    if not isinstance(method, Method):
        return f"this is a {type(method).__name__}; {EXPECTED}"
    for function in (method.run, *([method.removal] if method.removal is not None else [])):
        try:
            signature(function).bind(None)
        except (TypeError, ValueError) as error:
            return f"its function cannot be called with an Experiment ({error}); {EXPECTED}"
    return None


def _name_fault(name: str) -> str | None:
    """What is wrong with the name of a method, which names files, and may not be taken for one that means another."""
    if re.fullmatch(r"\w[\w.+-]*", name) is None:
        return "a name is of letters, digits, and . _ + - within it, as it stands in the names of files"
    if is_reference(name):
        return f"{WEAK}, and names that begin with {CEILING}, are those of references: choose another"
    if name.startswith(GOLD):
        return f"names that begin with {GOLD} are those of uses of gold rows: choose another"
    if is_matched_control(name):
        return "a name of this beginning is that of a method's control: choose another"
    return None


METHODS: Registry[Method] = Registry("methods", "method", fault=_fault)
