"""One pass of attention probes over ragged rows: log-odds, attention, and the gradient, by two matrix products.

Several probes go together: their projections are one matrix. Rows follow one another and are never padded; what is
summed over a row is summed from its first token to its last (`np.add.reduceat`).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Pool = Literal["attention", "max", "mean"]
Segments = NDArray[np.int64]  # (rows + 1,) where each row begins and ends


@dataclass
class AttentionWeights:
    """The weights of M probes of H heads on activations of width d, on raw activations or on standardised ones.

    `projection` has, probe after probe, the hidden layer's rows, those of its gate where there is one, and a row a
    head whose product with a token is its value.
    """

    projection: Tensor  # (M, K, d), K = hidden [+ hidden] + H; without attention K = H
    offset: Tensor  # (M, K)
    attention: Tensor  # (M, H, hidden)
    intercept: Tensor  # (M,)
    gated: bool = False

    @property
    def heads(self) -> int:
        """Heads of each probe."""
        return int(self.attention.shape[1])

    @property
    def hidden(self) -> int:
        """Units of the hidden layer."""
        return int(self.attention.shape[2])

    @property
    def parts(self) -> list[Tensor]:
        """The arrays, in the order of the fields."""
        return [self.projection, self.offset, self.attention, self.intercept]

    def to(self, place: torch.device) -> "AttentionWeights":
        """The same weights on a device."""
        projection, offset, attention, intercept = (part.to(place) for part in self.parts)
        return AttentionWeights(projection, offset, attention, intercept, self.gated)

    def standardised(self, mean: Tensor, scale: Tensor) -> "AttentionWeights":
        """The same probes on raw activations, if these weights are of activations less `mean` (d,) over `scale`."""
        projection = self.projection / scale
        return AttentionWeights(projection, self.offset - projection @ mean, self.attention, self.intercept, self.gated)


@dataclass(frozen=True)
class Read:
    """Rows as M probes of H heads read them."""

    attention: NDArray[np.float32]  # (tokens, M, H), of each row and head 1 in all
    values: NDArray[np.float32]  # (tokens, M, H) what a head says of a token, without the intercept
    log_odds: NDArray[np.float32]  # (rows, M)
    by_head: NDArray[np.float32]  # (rows, M, H) each head's part of it
    projected: Tensor  # (tokens, M, K) of the hidden layer after its nonlinearities, for `gradient`


def read(weights: AttentionWeights, X: Tensor, ends: Segments, pool: Pool, skip_first: bool = False) -> Read:
    """Read tokens X (tokens, d) of rows that end where `ends` says; with `skip_first` no first token counts."""
    models, columns, width = weights.projection.shape
    flat = torch.addmm(weights.offset.reshape(-1), X, weights.projection.reshape(-1, width).T)
    projected = flat.view(len(X), models, columns)
    values = projected[..., columns - weights.heads :].contiguous().numpy()
    starts = ends[:-1]
    if pool == "attention":
        scored = torch.einsum("tmk,mhk->tmh", _hidden(weights, projected), weights.attention).numpy()
        if skip_first:
            scored[starts] = -np.inf
        attention = _softmax(scored, ends)
    elif pool == "max":
        open_to = values.copy() if skip_first else values
        if skip_first:
            open_to[starts] = -np.inf
        attention = (open_to == _each(np.maximum.reduceat(open_to, starts, axis=0), ends)).astype(np.float32)
        attention /= _each(np.add.reduceat(attention, starts, axis=0), ends)
    else:
        attention = np.ones_like(values)
        if skip_first:
            attention[starts] = 0
        attention /= _each(np.add.reduceat(attention, starts, axis=0), ends)
    by_head = np.add.reduceat(attention * values, starts, axis=0)
    log_odds = by_head.sum(axis=2) + weights.intercept.numpy()
    return Read(attention, values, log_odds, by_head, projected)


def gradient(
    weights: AttentionWeights, X: Tensor, ends: Segments, found: Read, slope: NDArray[np.float32], pool: Pool
) -> list[Tensor]:
    """The gradient by `weights.parts`, from the slope (rows, M) of the loss by each row's log-odds.

    Overwrites `found.projected`. The attention of `max` and `mean` is taken as fixed.
    """
    models, columns, width = weights.projection.shape
    down = _each(slope, ends)[..., None]  # (tokens, M, 1)
    towards = found.projected
    towards[..., columns - weights.heads :] = torch.from_numpy(down * found.attention)
    by_attention = torch.zeros_like(weights.attention)
    if pool != "attention":
        towards[..., : columns - weights.heads] = 0
    else:
        moved = found.attention * (found.values - _each(found.by_head, ends)) * down
        scored = torch.from_numpy(moved)  # the slope by what the softmax is taken of (tokens, M, H)
        hidden, tanh = weights.hidden, towards[..., : weights.hidden]
        above = torch.einsum("tmh,mhk->tmk", scored, weights.attention)
        if weights.gated:
            gate = towards[..., hidden : 2 * hidden]
            by_attention = torch.einsum("tmh,tmk->mhk", scored, tanh * gate)
            by_gate = above * tanh * gate * (1 - gate)
            above *= gate
            gate.copy_(by_gate)
        else:
            by_attention = torch.einsum("tmh,tmk->mhk", scored, tanh)
        tanh.copy_(torch.ops.aten.tanh_backward(above, tanh))
    flat = towards.view(len(X), models * columns)
    by_projection = (flat.T @ X).view(models, columns, width)
    by_offset = flat.sum(dim=0).view(models, columns)
    return [by_projection, by_offset, by_attention, torch.from_numpy(slope.sum(axis=0))]


def _hidden(weights: AttentionWeights, projected: Tensor) -> Tensor:
    """The hidden layer (tokens, M, hidden), its nonlinearities applied in place."""
    hidden = weights.hidden
    tanh = projected[..., :hidden].tanh_()
    return tanh * projected[..., hidden : 2 * hidden].sigmoid_() if weights.gated else tanh


def _softmax(scored: NDArray[np.float32], ends: Segments) -> NDArray[np.float32]:
    """The softmax (tokens, M, H) over the tokens of each row."""
    raised = np.exp(scored - _each(np.maximum.reduceat(scored, ends[:-1], axis=0), ends))
    return np.asarray(raised / _each(np.add.reduceat(raised, ends[:-1], axis=0), ends))


def _each(by_row: NDArray[np.float32], ends: Segments) -> NDArray[np.float32]:
    """What a row has, for each of its tokens."""
    return np.repeat(by_row, np.diff(ends), axis=0)
