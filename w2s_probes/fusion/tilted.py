"""A distribution tilted by α δ, and how far it is from the one it was."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Tilt:
    """P̃ = softmax(log P + α δ) of n rows at one α each, and its divergences from P, with their slopes in α.

    Distributions lie side by side, (C, n): sums over a few classes are then as fast as those over many.
    """

    log_p: Matrix  # (C, n) of P̃
    there: Vector  # (n,) KL(P̃‖P), nats; it never falls as α >= 0 grows
    back: Vector  # (n,) KL(P‖P̃)
    there_slope: Vector  # α Var_P̃ δ
    back_slope: Vector  # E_P̃ δ - E_P δ

    @classmethod
    def at(cls, log_p: Matrix, delta: Matrix, alpha: Vector) -> "Tilt":
        """Tilt log P (C, n) by α (n,) times δ (C, n), whose mean under P is 0 for each row (`centred`)."""
        scores = log_p + alpha * delta
        top = scores.max(axis=0)
        weights = np.exp(scores - top)
        total = weights.sum(axis=0)
        back = top + np.log(total)
        mean = (weights * delta).sum(axis=0) / total
        variance = (weights * (delta - mean) ** 2).sum(axis=0) / total
        return cls(scores - back, alpha * mean - back, back, alpha * variance, mean)


def centred(log_p: Matrix, delta: Matrix) -> Matrix:
    """δ (C, n) less its mean under P."""
    return np.asarray(delta - (np.exp(log_p) * delta).sum(axis=0))


def divergences(tuned: Matrix, base: Matrix) -> tuple[Vector, Vector]:
    """KL(Q_t‖Q) and KL(Q‖Q_t) (n,), in nats, of the distributions of logits (C, n)."""
    log_t, log_q = log_softmax(tuned, axis=0), log_softmax(base, axis=0)
    step = log_t - log_q
    return (np.exp(log_t) * step).sum(axis=0), -(np.exp(log_q) * step).sum(axis=0)
