"""The methods by name, which the package's own file fills; plugins, packages and programs add to them."""

from inspect import signature
from typing import Any

from w2s_probes.registries import Registry

from ..experiment import Method

EXPECTED = (
    "expected is a Method(function), whose function is given an Experiment, and yields lessons and returns an Outcome"
)


def _fault(name: str, method: Any) -> str | None:
    """What is wrong with a method that somebody adds; None where nothing is."""
    if not isinstance(method, Method):
        return f"this is a {type(method).__name__}; {EXPECTED}"
    for function in (method.run, *([method.removal] if method.removal is not None else [])):
        try:
            signature(function).bind(None)
        except (TypeError, ValueError) as error:
            return f"its function cannot be called with an Experiment ({error}); {EXPECTED}"
    return None


METHODS: Registry[Method] = Registry("methods", "method", fault=_fault)
