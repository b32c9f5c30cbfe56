"""Activations as heads read them: standardised by the rows that a head learns from, and beside a column of ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..memory_limit import empty_rows

CONSTANT = 1e-6  # deviation, by the mean, up to which a column is its own rounding
BLOCK = 1 << 20  # numbers in float64 at once

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class StandardRows:
    """Rows X (n, d) as x = (X - center) / scale, and 1 for the bias.

    A constant column has an infinite scale: it is 0 for every head.
    """

    center: Float64  # (d,)
    scale: Float64  # (d,)
    rows: torch.Tensor  # float32 (n, d + 1)

    @classmethod
    def of(cls, X: NDArray[np.float32], device: torch.device | None = None) -> "StandardRows":
        """By the mean and deviation of all rows of X (n, d), on this device."""
        center, scale = moments(X)
        return cls(center, scale, _standardised(X, center, scale).to(device or "cpu"))

    def others(self, X: NDArray[np.float32]) -> torch.Tensor:
        """Other rows X (m, d) in the same way: float32 (m, d + 1)."""
        return _standardised(X, self.center, self.scale).to(self.rows.device)

    def raw(self, weights: torch.Tensor) -> tuple[Float64, float]:
        """Weights (d + 1,) on these rows as weights (d,) and bias on raw activations."""
        values = weights.cpu().double().numpy()
        coef = values[:-1] / self.scale
        return coef, float(values[-1] - coef @ self.center)


@dataclass(frozen=True)
class OwnStandards:
    """The standards of heads that learn from a part of the rows each, seen from those of all rows.

    x of a head is factor · x of all + shift, so that its weights w on that are w · factor on x of all, with the bias
    b + w · shift: one matrix serves all heads.
    """

    factor: torch.Tensor  # (heads, d + 1); 0 for the bias, and for columns that are constant on a head's rows
    shift: torch.Tensor  # (heads, d + 1); 1 for the bias

    @classmethod
    def of(cls, standard: StandardRows, masks: Sequence[NDArray[np.bool_]]) -> "OwnStandards":
        """By the moments of each mask's rows (n,); computed in float64, for all masks at once."""
        taught = np.array(masks, dtype=np.float64)
        width = standard.rows.shape[1]
        sums, squares = np.zeros((2, len(masks), width))
        for part in _parts(*standard.rows.shape):
            block = standard.rows[part].cpu().double().numpy()
            sums += taught[:, part] @ block
            squares += taught[:, part] @ np.square(block, out=block)
        count = taught.sum(axis=1, keepdims=True)
        mean = sums / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
        with np.errstate(invalid="ignore"):  # 0 · inf of a column that is constant on all rows
            raw = np.abs(standard.center + standard.scale * mean[:, :-1])
            varies = standard.scale * deviation[:, :-1] > CONSTANT * raw
        varies &= deviation[:, :-1] > CONSTANT * (1 + np.abs(mean[:, :-1]))  # beyond the rounding of float32
        factor, shift = np.zeros_like(mean), np.ones_like(mean)
        factor[:, :-1] = np.divide(1, deviation[:, :-1], out=np.zeros_like(raw), where=varies)
        shift[:, :-1] = -mean[:, :-1] * factor[:, :-1]
        there = standard.rows.device
        return cls(torch.from_numpy(factor).float().to(there), torch.from_numpy(shift).float().to(there))

    def seen(self, weights: torch.Tensor, out: torch.Tensor, bias: torch.Tensor) -> None:
        """Write the heads' weights (heads, d + 1) on x of all rows to `out`, of which `bias` is the last column."""
        torch.mul(weights, self.factor, out=out)
        torch.linalg.vecdot(weights, self.shift, out=bias)

    def pull_back(self, gradient: torch.Tensor) -> None:
        """Turn gradients (heads, d + 1) by weights on x of all rows into those by the heads' own, in place."""
        bias = gradient[:, -1:].clone()
        gradient.mul_(self.factor).addcmul_(bias, self.shift)

    def keep(self, heads: torch.Tensor) -> "OwnStandards":
        """Of these heads alone."""
        return OwnStandards(self.factor[heads], self.shift[heads])


def moments(X: NDArray[np.float32]) -> tuple[Float64, Float64]:
    """Mean and standard deviation (d,) of the columns of X (n, d); of constant columns infinity.

    In float64: in float32 the squares of 1e18 and of 1e-30 are no numbers, and a common offset drowns what varies.
    """
    center = X.mean(axis=0, dtype=np.float64)
    squares = np.zeros(X.shape[1])
    for part in _parts(*X.shape):
        squares += ((X[part] - center) ** 2).sum(axis=0)
    scale = np.sqrt(squares / len(X))
    return center, np.where(scale > CONSTANT * np.abs(center), scale, np.inf)


def _standardised(X: NDArray[np.float32], center: Float64, scale: Float64) -> torch.Tensor:
    """(X - center) / scale and 1, float32 (n, d + 1); of rows beyond all measure the largest number of float32."""
    out, most = empty_rows((len(X), X.shape[1] + 1), np.float32), np.finfo(np.float32).max
    out[:, -1] = 1
    for part in _parts(*X.shape):
        out[part, :-1] = np.clip((X[part] - center) / scale, -most, most)
    return torch.from_numpy(out)


def _parts(rows: int, width: int) -> Iterator[slice]:
    """The rows in slices, a block at a time: all of them in float64 would be twice the memory of X."""
    step = max(1, BLOCK // width)
    for start in range(0, rows, step):
        yield slice(start, start + step)
