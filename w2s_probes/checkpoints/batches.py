"""Batches of rows of like length under a token budget, and their padding: little of the work is spent on it."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from .tokens import Tokens


def batches(
    lengths: Sequence[int],
    budget: int,
    rows: Iterable[int] | None = None,
    mode: Callable[[int], Hashable] = lambda length: 0,
) -> Iterator[list[int]]:
    """Indices of `rows` (all), longest first, in batches whose rows x longest stay within `budget` tokens.

    A row longer than the budget makes a batch of its own. Longest first, so that the memory needed shows at once.
    Rows of one batch have lengths of equal `mode`: a model may read texts beyond some length in another way.
    """
    order = sorted(range(len(lengths)) if rows is None else rows, key=lambda row: (-lengths[row], row))
    start = 0
    while start < len(order):
        longest = lengths[order[start]]
        kind = mode(longest)
        batch = order[start : start + max(1, budget // max(1, longest))]
        fitting = next((at for at, row in enumerate(batch) if mode(lengths[row]) != kind), len(batch))
        yield batch[:fitting]
        start += fitting


def padded(tokens: Sequence[Sequence[int] | Tokens], pad: int, *, left: bool = False) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, both (rows, longest) int64, padded on the right unless asked otherwise.

    On the right a causal model's real tokens never see padding, and positions count from 0 in every family.
    """
    longest = max(map(len, tokens))
    ids = np.full((len(tokens), longest), pad, dtype=np.int64)
    mask = np.zeros((len(tokens), longest), dtype=np.int64)
    for row, row_ids in enumerate(tokens):
        places = slice(longest - len(row_ids), longest) if left else slice(0, len(row_ids))
        ids[row, places], mask[row, places] = row_ids, 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def padding_moved_right(input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
    """The same rows with their padding on the right, wherever it was: ids and mask, both (rows, length).

    Padded on the left, many models count positions from the padding, and some cannot be told otherwise.
    """
    if bool((attention_mask[:, 1:] <= attention_mask[:, :-1]).all()):
        return input_ids, attention_mask
    order = attention_mask.argsort(dim=1, descending=True, stable=True)
    return input_ids.gather(1, order), attention_mask.gather(1, order)
