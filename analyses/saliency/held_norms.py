"""Normalisations held fixed while a gradient is taken, so that gradient x input says something in pre-norm models.

A normalisation gives the same output whatever the length of its input, so that the gradient along the input itself is
0: where embeddings go straight into one, as in nearly every language model of today, plain gradient x input is next to
nothing. Held at the factors of the given text, a normalisation is linear, and what a token sends on is counted (the
LN rule of Ali et al. 2022, "XAI for Transformers: Better Explanations through Conservative Propagation").
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

SMALL = 1e-6  # of the largest number of a vector: below it a factor could not be told


def is_norm(module: nn.Module) -> bool:
    """Whether a module normalises vectors: LayerNorm, RMSNorm, and what transformers calls so."""
    return type(module).__name__.endswith(("LayerNorm", "RMSNorm", "LlamaNorm"))


@contextmanager
def held_norms(model: nn.Module) -> Iterator[None]:
    """In this block every normalisation of the model is, to gradients, the linear map that it is at its input."""
    hooks = [module.register_forward_hook(_held) for module in model.modules() if is_norm(module)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _held(module: nn.Module, args: tuple[Any, ...], out: Tensor) -> Tensor:
    x: Tensor = args[0]
    bias = getattr(module, "bias", None)
    if isinstance(module, nn.LayerNorm):  # hardly any other subtracts the mean
        x = x - x.mean(dim=-1, keepdim=True)
    linear = out.detach() if bias is None else out.detach() - bias
    plain = x.detach()
    told = plain.abs() > SMALL * plain.abs().amax(dim=-1, keepdim=True)
    factors = torch.where(told, linear / torch.where(told, plain, torch.ones_like(plain)), torch.zeros_like(plain))
    return out.detach() + factors * (x - plain)
