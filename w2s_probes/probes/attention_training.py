"""Training of attention probes: several label sets or folds of the same rows together, by Adam on ragged batches."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from ..randomness import stream
from ..store.token_activations import TokenActivations, Tokens
from .attention_pass import AttentionWeights, Pool, gradient, read
from .token_rows import FLOAT, KEPT_BYTES, TokenMoments, parts

BATCH = 128  # rows
TRAINED_TOKENS = 4_096  # that go through the products at once: few enough to stay in the processor's cache
RATE, BETAS, EPSILON = 5e-3, (0.9, 0.999), 1e-8  # of Adam


@dataclass(frozen=True)
class AttentionSettings:
    """The settings of a training, as `AttentionProbe` has them."""

    hidden: int
    l2: float
    gated: bool
    epochs: int
    skip_first: bool
    heads: int
    pool: Pool
    seed: int


def train(
    tokens: Tokens,
    labels: NDArray[np.float64],
    taught: NDArray[np.bool_],
    moments: TokenMoments,
    how: AttentionSettings,
) -> AttentionWeights:
    """Weights, on raw activations, of M probes that learn labels (M, n) of the rows of their mask `taught` (M, n).

    All see the same batches and begin alike. Each minimises its mean BCE + l2 · (‖v‖² + ‖W₁‖² / hidden + ‖w₂‖²) on
    standardised inputs. Tokens that need more memory than `KEPT_BYTES` are read part by part in each epoch, and rows
    shuffled within parts.
    """
    mean, scale = (torch.from_numpy(array.astype(np.float32)) for array in (moments.mean, moments.scale))
    weights = _begun(labels, taught, tokens.width, how)
    y, mask = labels.T.astype(np.float32), taught.T.astype(np.float32)  # (n, M)
    kept = list(parts(np.diff(tokens.offsets), max(1, KEPT_BYTES // (FLOAT * tokens.width))))
    adam = _Adam(weights.parts)
    for rows, passes in _batches(tokens, kept, how):
        raw = weights.standardised(mean, scale)
        share = mask[rows] / np.maximum(mask[rows].sum(axis=0), 1)  # (rows, M)
        total = _penalty_slopes(weights, how.l2)
        for place, X, ends in passes:
            found = read(raw, X, ends, how.pool, how.skip_first)
            slope = share[place] * (expit(found.log_odds) - y[rows[place]])
            slopes = gradient(raw, X, ends, found, slope, how.pool)
            slopes[0] = (slopes[0] - slopes[1][..., None] * mean) / scale
            slopes[1][:, -how.heads :] = 0  # heads have no offset of their own: the intercept is
            for part, more in zip(total, slopes, strict=True):
                part += more
        adam.step(total)
    return weights.standardised(mean, scale)


def _begun(
    labels: NDArray[np.float64], taught: NDArray[np.bool_], width: int, how: AttentionSettings
) -> AttentionWeights:
    """Weights before training, alike for all probes but for the intercept, which says the mean label.

    One head begins with even attention and scores of 0; of several each begins somewhere else, or all stay the same.
    """
    hidden = how.hidden if how.pool == "attention" else 0
    rng, apart = stream(how.seed, "attention weights"), float(how.heads > 1)

    def drawn(rows: int, columns: int, size: float = 1.0) -> Tensor:
        one = size * rng.normal(size=(rows, columns)) / max(1, columns) ** 0.5
        return torch.from_numpy(np.repeat(one[None], len(labels), axis=0).astype(np.float32))

    units = hidden * (1 + how.gated)
    projection = torch.cat([drawn(units, width), drawn(how.heads, width, apart)], dim=1)
    prior = (labels * taught).sum(axis=1) / taught.sum(axis=1)
    intercept = torch.from_numpy(np.log(prior / (1 - prior)).astype(np.float32))
    offset = torch.zeros(len(labels), units + how.heads)
    return AttentionWeights(projection, offset, drawn(how.heads, hidden, apart), intercept, how.gated)


def _penalty_slopes(weights: AttentionWeights, l2: float) -> list[Tensor]:
    """The slope of the penalty by each of `weights.parts`."""
    by_projection = 2 * l2 * weights.projection
    by_projection[:, : -weights.heads] /= max(1, weights.hidden)
    return [
        by_projection,
        torch.zeros_like(weights.offset),
        2 * l2 * weights.attention,
        torch.zeros(len(by_projection)),
    ]


Pass = tuple[slice, Tensor, NDArray[np.int64]]  # rows of a batch, their tokens, and where each row ends


def _batches(
    tokens: Tokens, kept: list[slice], how: AttentionSettings
) -> Iterator[tuple[NDArray[np.intp], Iterator[Pass]]]:
    """The rows of every batch of every epoch, and their passes. One part alone is read once, and stays in memory."""
    rng = stream(how.seed, "attention batches")
    alone = tokens if isinstance(tokens, TokenActivations) else None
    if alone is None and len(kept) == 1:
        alone = tokens.take(np.arange(len(tokens.offsets) - 1))
    for _ in range(how.epochs):
        for part in (kept[number] for number in rng.permutation(len(kept))):
            rows = np.arange(part.start, part.stop)
            within = tokens.take(rows) if alone is None else alone
            before = part.start if alone is None else 0
            order = rng.permutation(rows)
            for start in range(0, len(order), BATCH):
                batch = order[start : start + BATCH]
                yield batch, _passes(within, batch - before)


def _passes(tokens: TokenActivations, rows: NDArray[np.intp]) -> Iterator[Pass]:
    """Rows of a batch, as many at a time as a pass takes."""
    for place in parts(np.diff(tokens.offsets)[rows], TRAINED_TOKENS):
        block = tokens.take(rows[place])
        yield place, torch.from_numpy(block.values), block.offsets


class _Adam:
    """Adam (Kingma and Ba 2015); changes the arrays in place."""

    def __init__(self, arrays: list[Tensor]) -> None:
        self.arrays, self.done = arrays, 0
        self.first, self.second = ([torch.zeros_like(array) for array in arrays] for _ in range(2))

    def step(self, slopes: list[Tensor]) -> None:
        """One update along these slopes."""
        self.done += 1
        short, long = (1 - beta**self.done for beta in BETAS)
        for array, slope, first, second in zip(self.arrays, slopes, self.first, self.second, strict=True):
            first.lerp_(slope, 1 - BETAS[0])
            second.mul_(BETAS[1]).addcmul_(slope, slope, value=1 - BETAS[1])
            array.addcdiv_(first, (second / long).sqrt_().add_(EPSILON), value=-RATE / short)
