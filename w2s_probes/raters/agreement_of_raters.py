"""How accurate raters are by their agreement alone, without truth: the spectral estimate.

Parisi et al. 2014 (PNAS 111:1253) for the weights, Jaffe et al. 2015 (AISTATS) for the two rates.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

LEAST_RATERS = 3  # two have one covariance, which splits into their accuracies in any proportion
LEAST_COMMON = 10  # rows of every two raters, below which their covariance is no guide
ROUNDS, SETTLED = 1000, 1e-8


@dataclass(frozen=True)
class RatersByAgreement:
    """The estimate, of raters whose errors are independent given the class."""

    weights: NDArray[np.float64]  # (r,) in proportion to sensitivity + specificity - 1
    sensitivity: NDArray[np.float64]  # (r,) mean P(1) where the truth is 1
    specificity: NDArray[np.float64]  # (r,)
    prior: float  # the share of label 1
    explained: float  # share of the squared covariances of different raters that one truth explains; 1: all


def rates_by_agreement(p: NDArray[np.float64], counts: NDArray[np.float64] | None = None) -> RatersByAgreement:
    """Estimate from labels p (n, r), NaN where a rater has not judged a row, each row counting `counts` (n,) times.

    With f = 2p - 1 and raters that err independently given the class, cov(f_i, f_j) = v_i v_j for i ≠ j, v_i in
    proportion to sensitivity + specificity - 1 (v by least squares over pairs, each weighted by its common rows). The
    third moments give the share of label 1: E Π (f - mean) = v_i v_j v_k (-2b) / √(1 - b²), b = 2 share - 1. Labels
    must be missing at random. The sign is such that the raters are better than chance on the whole.
    """
    judged = (~np.isnan(p)).astype(np.float64)
    of_row = np.ones(len(p)) if counts is None else counts
    weighted = judged * of_row[:, None]
    f = np.where(judged > 0, 2 * p - 1, 0.0)
    means = (weighted * f).sum(axis=0) / np.maximum(weighted.sum(axis=0), 1e-300)
    centred = (f - means) * judged
    common = weighted.T @ judged
    covariance = ((centred * of_row[:, None]).T @ centred) / np.maximum(common, 1e-300)
    pairs = common * (1 - np.eye(p.shape[1]))
    v = _rank_one(covariance, pairs)
    squares = float((pairs * covariance**2).sum())
    missed = float((pairs * (covariance - np.outer(v, v)) ** 2).sum())
    b = _imbalance(centred, judged, of_row, v)
    up, down = np.sqrt((1 - b) / (1 + b)), np.sqrt((1 + b) / (1 - b))
    return RatersByAgreement(
        weights=v / max(np.abs(v).sum(), 1e-300),
        sensitivity=np.clip((1 + means + v * up) / 2, 0, 1),
        specificity=np.clip((1 - means + v * down) / 2, 0, 1),
        prior=(1 + b) / 2,
        explained=1 - missed / squares if squares else 0.0,
    )


def refuse_too_little_agreement(names: tuple[str, ...], p: NDArray[np.float64]) -> None:
    """InputError for fewer than three raters, and for two that share too few rows."""
    if len(names) < LEAST_RATERS:
        raise InputError(
            f"weights by agreement take {LEAST_RATERS} raters, and there are {len(names)}: two agree equally well "
            "whichever of them is right: give trusted rows, or combine by mean"
        )
    judged = (~np.isnan(p)).astype(np.float64)
    common = judged.T @ judged + np.eye(len(names)) * len(p)
    if common.min() < LEAST_COMMON:
        i, j = np.unravel_index(int(common.argmin()), common.shape)
        raise InputError(
            f"{names[i]} and {names[j]} share {common[i, j]:.0f} rows, and weights by agreement take {LEAST_COMMON} of "
            "every two raters: give trusted rows, or combine by dawid-skene"
        )


def _rank_one(covariance: NDArray[np.float64], pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """v (r,) of least Σ pairs (covariance - v vᵀ)², coordinate by coordinate; the sum of v is not below 0."""
    values, vectors = np.linalg.eigh(covariance)
    v = np.asarray(vectors[:, -1] * np.sqrt(max(values[-1], 0.0)), dtype=np.float64)
    for _ in range(ROUNDS):
        before = v.copy()
        for i in range(len(v)):
            below = pairs[i] @ v**2
            v[i] = pairs[i] @ (covariance[i] * v) / below if below > 1e-300 else 0.0
        if np.abs(v - before).max() < SETTLED:
            break
    return -v if v.sum() < 0 else v


def _imbalance(
    centred: NDArray[np.float64], judged: NDArray[np.float64], counts: NDArray[np.float64], v: NDArray[np.float64]
) -> float:
    """b = P(1) - P(0), by the third moments of every three raters."""
    top = bottom = 0.0
    for i in range(len(v)):
        later = slice(i + 1, None)
        moment = (centred[:, later] * (centred[:, i] * counts)[:, None]).T @ centred[:, later]
        rows = (judged[:, later] * (judged[:, i] * counts)[:, None]).T @ judged[:, later]
        product = v[i] * np.outer(v[later], v[later])
        once = np.triu(np.ones_like(product), 1)
        top += float((once * moment * product).sum())
        bottom += float((once * rows * product**2).sum())
    slope = top / bottom if bottom > 0 else 0.0
    b = -slope / np.sqrt(4 + slope**2)
    return float(np.clip(b, -0.999, 0.999))
