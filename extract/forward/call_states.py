"""The hidden states in what a module is called with, and in what it gives: of all tensors there the first."""

from typing import Any

from torch import Tensor

from .trace import hidden


def states_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """The hidden states among what a block is called with: the first of all."""
    states: Tensor = args[0] if args else next(iter(kwargs.values()))
    return states


def with_states(
    args: tuple[Any, ...], kwargs: dict[str, Any], states: Tensor
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same call with other hidden states."""
    if args:
        return (states, *args[1:]), kwargs
    return args, {**kwargs, next(iter(kwargs)): states}


def states_after(output: Any) -> Tensor | None:
    """The hidden states in a block's output; None where there are none."""
    if isinstance(output, Tensor) or (isinstance(output, tuple | list) and output and isinstance(output[0], Tensor)):
        return hidden(output)
    return None
