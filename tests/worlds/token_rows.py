"""Rows of tokens whose labels hang on marked tokens: additive, or a needle whose value counts only beside its key."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from w2s_probes.store import TokenActivations


@dataclass(frozen=True)
class TokenWorld:
    """Rows of 20 tokens of 32 dimensions, their truth, weak labels with a fifth wrong, and which tokens are marked."""

    tokens: TokenActivations
    truth: NDArray[np.float64]  # (n,)
    weak: NDArray[np.float64]  # (n,) .1 or .9
    marks: NDArray[np.bool_]  # (tokens,)


def token_world(kind: Literal["additive", "needle"], seed: int, n: int = 1000, length: int = 20) -> TokenWorld:
    """Additive: two tokens of a positive row are shifted by 4 along one direction.

    Needle: a key direction, +4, marks two tokens of every row, whose value is ±2 by the label; on all other tokens
    that value is N(0, 2²). Directions are those of a drawn rotation, so that no column is one.
    """
    rng, width = np.random.default_rng(seed), 32
    turned = np.linalg.qr(np.random.default_rng(5).normal(size=(width, width)))[0]
    values, truth = rng.normal(size=(n, length, width)), rng.random(n) < 0.5
    marks = rng.random((n, length)).argsort(axis=1) < 2
    if kind == "additive":
        marks &= truth[:, None]
    else:
        values[..., 1] = np.where(marks, np.where(truth, 2, -2)[:, None], rng.normal(scale=2, size=(n, length)))
    values[..., 0] += 4 * marks
    weak = np.where(truth ^ (rng.random(n) < 0.2), 0.9, 0.1)
    flat = (values.reshape(n * length, width) @ turned).astype(np.float32)
    ids = np.array([f"row-{row}" for row in range(n)], dtype=object)
    tokens = TokenActivations(flat, np.arange(0, n * length + 1, length), np.zeros(n * length, np.int32), ids)
    return TokenWorld(tokens, truth.astype(np.float64), weak, marks.ravel())
