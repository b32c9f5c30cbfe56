"""Which token of a row a stored vector is of, at whatever layer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SAME = 1e-6  # of a vector's size: nearer than this, two states are one and the same


@dataclass(frozen=True)
class TokenMatch:
    """The state of one row that lies nearest to what is stored for it."""

    distance: float
    layer: int  # the model's; one above its last: after the final norm
    tokens: frozenset[int]  # from 0; of several states that are the same every one
    length: int


def nearest_state(states: Sequence[Tensor], stored: NDArray[np.float32]) -> TokenMatch:
    """The nearest of a row's states, each (tokens, width), to a vector (width,)."""
    vector = torch.from_numpy(stored)
    distances = [torch.linalg.vector_norm(layer - vector, dim=1) for layer in states]
    number = min(range(len(distances)), key=lambda number: float(distances[number].min()))
    least = distances[number].min()
    tied = torch.nonzero(distances[number] <= least + SAME * torch.linalg.vector_norm(vector))[:, 0].tolist()
    return TokenMatch(float(least), number, frozenset(tied), len(states[0]))


def token_in_words(matches: Sequence[TokenMatch], marks: Sequence[int] | None = None) -> str | None:
    """Which token of their rows the matches are of, counted from the marked one of each, if any, or from either end.

    None where it is not the same in all.
    """
    if marks is not None:
        beside = frozenset.intersection(
            *(frozenset(token - at for token in m.tokens) for m, at in zip(matches, marks, strict=True))
        )
        if steps := min(beside, key=abs, default=0):
            return f"token {abs(steps)} {'after' if steps > 0 else 'before'} the marked one"
    from_end = frozenset.intersection(*(frozenset(m.length - token for token in m.tokens) for m in matches))
    if from_end:
        return f"token {min(from_end)} from the end"
    from_start = frozenset.intersection(*(m.tokens for m in matches))
    return f"token {min(from_start) + 1} of each row" if from_start else None
