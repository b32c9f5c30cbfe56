"""The pass of attention probes (`attention_pass`) on a torch device, where nothing leaves it but the rows' log-odds.

Tokens lie row after row and are never padded in products; what is one number a token and head is laid out as a matrix
of rows for the softmax and for sums, so that no sum hangs on the order in which a GPU's threads end.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..devices import in_words, opened, true_float32
from .attention_pass import AttentionWeights, Pool, Segments


@contextmanager
def on_device(name: str, what: str) -> Iterator[torch.device]:
    """A device, inside of a block in which products are true to float32; DeviceError where it lacks memory for `what`.

    Also where it is not there.
    """
    place: Any = opened(name, "device", "'cpu'")
    with in_words(name, what, "use 'cpu'"), true_float32(), torch.inference_mode():
        yield place


@dataclass(frozen=True)
class RowLayout:
    """Where the tokens of ragged rows lie in a matrix (rows, longest)."""

    token: Tensor  # (rows, longest) the number of the token; of places behind a row's end some token
    inside: Tensor  # (rows, longest) whether there is a token that counts
    row: Tensor  # (tokens,) the row of each token
    place: Tensor  # (tokens,) and its place there

    @classmethod
    def of(cls, ends: Segments, skip_first: bool, place: torch.device) -> "RowLayout":
        """Of rows that end where `ends` (rows + 1,) says."""
        lengths = np.diff(ends)
        across = np.arange(int(lengths.max()))
        inside = (across < lengths[:, None]) & (across >= int(skip_first))
        token = np.minimum(ends[:-1, None] + across, ends[-1] - 1)
        row = np.repeat(np.arange(len(lengths)), lengths)
        there = np.arange(int(ends[-1])) - np.repeat(ends[:-1], lengths)
        return cls(*(torch.from_numpy(array).to(place) for array in (token, inside, row, there)))

    def laid_out(self, by_token: Tensor, fill: float) -> Tensor:
        """Numbers (tokens, M, H) as (rows, longest, M, H), with `fill` where no token counts."""
        return by_token[self.token].masked_fill(~self.inside[..., None, None], fill)

    def back(self, matrix: Tensor) -> Tensor:
        """The same numbers (tokens, M, H) again."""
        return matrix[self.row, self.place]


@dataclass(frozen=True)
class DeviceRead:
    """Rows as M probes of H heads read them, on the device; as `attention_pass.Read`."""

    attention: Tensor  # (tokens, M, H)
    values: Tensor  # (tokens, M, H)
    log_odds: NDArray[np.float32]  # (rows, M)
    by_head: Tensor  # (rows, M, H)
    units: tuple[Tensor, Tensor | None]  # the hidden layer (tokens, M, hidden) after tanh, and its gate
    layout: RowLayout


def read_there(
    weights: AttentionWeights, X: Tensor, ends: Segments, pool: Pool, skip_first: bool = False
) -> DeviceRead:
    """As `attention_pass.read`, of tokens X (tokens, d) and weights on one device."""
    models, columns, width = weights.projection.shape
    layout = RowLayout.of(ends, skip_first, X.device)
    flat = torch.addmm(weights.offset.reshape(-1), X, weights.projection.reshape(-1, width).T)
    projected = flat.view(len(X), models, columns)
    values = projected[..., columns - weights.heads :].contiguous()
    tanh, gate = projected[..., :0], None
    if pool == "attention":
        tanh = projected[..., : weights.hidden].tanh()
        gate = projected[..., weights.hidden : 2 * weights.hidden].sigmoid() if weights.gated else None
        hidden = tanh if gate is None else tanh * gate
        scored = layout.laid_out(torch.einsum("tmk,mhk->tmh", hidden, weights.attention), -torch.inf)
        share = scored.softmax(dim=1)
    else:
        share = layout.inside[..., None, None].expand(*layout.token.shape, models, weights.heads).float()
        if pool == "max":
            open_to = layout.laid_out(values, -torch.inf)
            share = share * (open_to == open_to.amax(dim=1, keepdim=True))
        share = share / share.sum(dim=1, keepdim=True)
    by_head = (share * layout.laid_out(values, 0.0)).sum(dim=1)
    log_odds = by_head.sum(dim=2) + weights.intercept
    return DeviceRead(layout.back(share), values, log_odds.cpu().numpy(), by_head, (tanh, gate), layout)


def gradient_there(
    weights: AttentionWeights, X: Tensor, ends: Segments, found: DeviceRead, slope: NDArray[np.float32], pool: Pool
) -> list[Tensor]:
    """As `attention_pass.gradient`."""
    models, columns, width = weights.projection.shape
    by_row = torch.from_numpy(slope).to(X.device)
    down = by_row[found.layout.row][..., None]  # (tokens, M, 1)
    parts, by_attention = [], torch.zeros_like(weights.attention)
    if pool == "attention":
        moved = found.attention * (found.values - found.by_head[found.layout.row]) * down
        (tanh, gate), above = found.units, torch.einsum("tmh,mhk->tmk", moved, weights.attention)
        by_attention = torch.einsum("tmh,tmk->mhk", moved, tanh if gate is None else tanh * gate)
        slopes = (1 - tanh.square()) * above
        parts = [slopes] if gate is None else [slopes * gate, above * tanh * gate * (1 - gate)]
    else:
        parts = [X.new_zeros(len(X), models, columns - weights.heads)]
    flat = torch.cat([*parts, down * found.attention], dim=2).view(len(X), models * columns)
    by_projection = (flat.T @ X).view(models, columns, width)
    return [by_projection, flat.sum(dim=0).view(models, columns), by_attention, by_row.sum(dim=0)]
