"""Drawing tokens: the inverse of a cumulative distribution, by one uniform number a token."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def draw(logits: Tensor, u: Tensor, temperature: float = 1.0, top_p: float = 1.0) -> Tensor:
    """The token ids (rows,) that uniform numbers u (rows,) in [0, 1) draw by logits (rows, vocabulary).

    A token is the number of cumulative probabilities that are ≤ u, tokens in the order of their ids. `top_p` keeps
    the likeliest tokens while the mass before them is less than it, of equal ones the first. Temperature 0 takes the
    likeliest token.

    >>> draw(torch.tensor([[1, 0.5, 0, -1, 2]] * 3), torch.tensor([0.53359, 0.33188, 0.056124])).tolist()
    [4, 1, 0]
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    # In float64 where the device has it: a vocabulary's cumulative sum in float32 is off by more than a rare token has.
    exact = torch.float32 if logits.device.type == "mps" else torch.float64
    p = torch.softmax(logits.to(exact) / temperature, dim=-1)
    if top_p < 1:
        ordered, ids = p.sort(dim=-1, descending=True, stable=True)
        before = ordered.cumsum(dim=-1) - ordered
        p = torch.zeros_like(p).scatter(-1, ids, ordered.where(before < top_p, 0))
    mass = p.cumsum(dim=-1)
    total = mass[:, -1:]
    # Times the total, which rounding and top_p leave below 1. The last token with any mass is the limit.
    drawn = torch.searchsorted(mass, u.to(mass)[:, None] * total, right=True)
    return torch.minimum(drawn, (mass < total).sum(dim=-1, keepdim=True))[:, 0]


def uniforms(streams: Sequence[np.random.Generator], tokens: int) -> NDArray[np.float64]:
    """The numbers (rows, tokens) that each row's tokens are drawn by."""
    return np.stack([stream.random(tokens) for stream in streams]) if streams else np.empty((0, tokens))
