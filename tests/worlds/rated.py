"""Planted raters: rows with a truth, and raters of known sensitivity and specificity who judge them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from w2s_probes.labels.label_set import LabelSet

SENSITIVITY, SPECIFICITY = (0.9, 0.8, 0.7, 0.6), (0.8, 0.9, 0.6, 0.7)


def rated(
    n: int = 2000,
    *,
    sensitivity: Sequence[float] = SENSITIVITY,
    specificity: Sequence[float] = SPECIFICITY,
    missing: float = 0.0,
    soft: bool = False,
    share: float = 0.4,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Labels (n, r), NaN where missing, and the truth (n,); every row has at least one label.

    Soft labels are drawn from beta distributions whose means are the rates.
    """
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < share
    mean = np.where(truth[:, None], np.array(sensitivity), 1 - np.array(specificity))
    p = rng.beta(4 * mean, 4 * (1 - mean)) if soft else (rng.random(mean.shape) < mean).astype(float)
    gone = rng.random(p.shape) < missing
    gone[gone.all(axis=1), 0] = False
    return np.where(gone, np.nan, p), truth.astype(float)


def label_sets(p: NDArray[np.float64], names: Sequence[str] = "abcdefgh") -> dict[str, LabelSet]:
    """A label set for each rater, of the rows that it has judged; row i has the id `ri`."""
    ids = np.array([f"r{i}" for i in range(len(p))], dtype=object)
    judged = ~np.isnan(p)
    return {
        name: LabelSet(ids[judged[:, j]], p[judged[:, j], j]) for j, name in zip(range(p.shape[1]), names, strict=False)
    }
