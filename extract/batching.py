"""Batches of rows of like length under a token budget, so that little is spent on padding."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices of rows, longest first, so many at a time that rows x longest stays within `budget` tokens.

    A row longer than the budget makes a batch of its own. Longest first, so that the memory needed shows at once.
    """
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size


def padded(tokens: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, both (rows, longest), padded on the right.

    On the right a causal model's real tokens never see padding, and positions count from 0 in every family.
    """
    longest = max(map(len, tokens))
    ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in tokens])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in tokens])
    return ids, mask
