"""Training of attention probes: several label sets or folds of the same rows together, by Adam on ragged batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from ..devices import PROCESSOR, sent
from ..memory_limit import has_room
from ..randomness import stream
from ..rows.offsets import offsets_of
from ..store.token_activations import TokenActivations, Tokens
from .attention_on_device import gradient_there, on_device, read_there
from .attention_pass import AttentionWeights, Pool, gradient, read
from .token_rows import FLOAT, KEPT_BYTES, PASS_TOKENS, TokenMoments, parts

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
    device: str = PROCESSOR


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
    shuffled within parts; what a memory limit has no room for is read batch by batch, with the same numbers. On a
    device it is the same but for rounding; the weights come back to the processor.
    """
    if how.device == PROCESSOR:
        return _trained(tokens, labels, taught, moments, how, torch.device("cpu"), read, gradient)
    with on_device(how.device, f"{len(labels)} attention probes of width {tokens.width} and their tokens") as place:
        weights = _trained(tokens, labels, taught, moments, how, place, read_there, gradient_there)
        return weights.to(torch.device("cpu"))


def _trained(
    tokens: Tokens,
    labels: NDArray[np.float64],
    taught: NDArray[np.bool_],
    moments: TokenMoments,
    how: AttentionSettings,
    there: torch.device,
    read: Any,
    gradient: Any,
) -> AttentionWeights:
    """The same by the passes `read` and `gradient`, of weights and tokens that lie `there`."""
    mean, scale = (torch.from_numpy(array.astype(np.float32)).to(there) for array in (moments.mean, moments.scale))
    weights = _begun(labels, taught, tokens.width, how).to(there)
    y, mask = labels.T.astype(np.float32), taught.T.astype(np.float32)  # (n, M)
    kept = list(parts(np.diff(tokens.offsets), max(1, KEPT_BYTES // (FLOAT * tokens.width))))
    adam = _Adam(weights.parts)

    def slopes_of(rows: NDArray[np.intp], passes: Iterator[Pass]) -> list[Tensor]:
        """The slope of a batch's loss by each of `weights.parts`; of its tokens nothing is kept."""
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
        return total

    for rows, passes in _batches(tokens, kept, how, there):
        adam.step(slopes_of(rows, passes))
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
        torch.zeros_like(weights.intercept),
    ]


Pass = tuple[slice, Tensor, NDArray[np.int64]]  # rows of a batch, their tokens, and where each row ends
Batch = tuple[NDArray[np.intp], Iterator[Pass]]  # the rows of a batch, and its passes


def _batches(tokens: Tokens, kept: list[slice], how: AttentionSettings, there: torch.device) -> Iterator[Batch]:
    """Every batch of every epoch. One part alone is read once, and stays in memory where there is room for it."""
    rng = stream(how.seed, "attention batches")
    alone = len(kept) == 1 and _may_be_read(tokens, kept[0])
    within = tokens.take(np.arange(len(tokens.offsets) - 1)) if alone else tokens
    for _ in range(how.epochs):
        for part in (kept[number] for number in rng.permutation(len(kept))):
            yield from _part_batches(within, part, rng, there)


def _part_batches(tokens: Tokens, part: slice, rng: np.random.Generator, there: torch.device) -> Iterator[Batch]:
    """The batches of a part's rows, shuffled: from memory where the part has room there, else each read from disk."""
    rows = np.arange(part.start, part.stop)
    within, before = (tokens.take(rows), part.start) if _may_be_read(tokens, part) else (tokens, 0)
    order, held = rng.permutation(rows), _held(within, there)
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        yield batch, _passes(within, batch - before, there, held)


def _may_be_read(tokens: Tokens, part: slice) -> bool:
    """Whether tokens that lie on disk have room in memory, part by part."""
    size = int(tokens.offsets[part.stop] - tokens.offsets[part.start]) * tokens.width * FLOAT
    return not isinstance(tokens, TokenActivations) and has_room(size)


def _held(tokens: Tokens, there: torch.device) -> Tensor | None:
    """The tokens on a device, sent there once for all batches; None where they are many, on disk, or not sent."""
    if there.type == "cpu" or not isinstance(tokens, TokenActivations) or tokens.values.nbytes > KEPT_BYTES:
        return None
    held: Tensor = sent(tokens.values, there)
    return held


def _passes(tokens: Tokens, rows: NDArray[np.intp], there: torch.device, held: Tensor | None) -> Iterator[Pass]:
    """Rows of a batch, as many at a time as a pass takes; their tokens are taken of those `held`, or sent `there`."""
    lengths = tokens.offsets[rows + 1] - tokens.offsets[rows]
    for place in parts(lengths, TRAINED_TOKENS if there.type == "cpu" else PASS_TOKENS):
        if held is None:
            block = tokens.take(rows[place])
            yield place, sent(block.values, there), block.offsets
            continue
        ends = offsets_of(lengths[place])
        at = np.arange(ends[-1]) + np.repeat(tokens.offsets[rows[place]] - ends[:-1], lengths[place])
        yield place, held[torch.from_numpy(at).to(there)], ends


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
