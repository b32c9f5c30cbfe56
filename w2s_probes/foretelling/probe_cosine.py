"""Whether what one probe has learned ranks the rows of another: their Mahalanobis cosine on the target's rows."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..metrics.influence import InfluenceEstimate
from ..metrics.intervals import Estimate, share_interval
from ..probes.registry import HEAVY
from ..probes.validation import check_activations
from ..rows.groups import group_numbers
from ..tensors import as_numpy
from .foretold_measure import Foretold, known, unknown

COSINE = "Mahalanobis cosine"
CHECKED = 200  # rows by which it is seen that a probe's scores are those of its direction


def mahalanobis_cosine(first: Any, second: Any, X: ArrayLike, *, groups: ArrayLike | None = None) -> Foretold:
    """The cosine of two linear probes in the metric of rows X (n, d): w1ᵀ Σ w2 / √(w1ᵀ Σ w1 · w2ᵀ Σ w2).

    Ying, Hase and Kriegeskorte 2026 (arXiv 2606.19603): with Σ the covariance of the target's rows and `second` a
    probe of the target, AUROC of `first` there is nearly linear in it. It is the correlation of the two probes'
    log-odds over the rows, and is computed as such, in O(n d). A probe is a fitted linear one, or a direction (d,).
    1: they rank the rows alike, 0: not at all, -1: the other way round.

    No label is read, but those that taught the probes. The interval is by Student's t on the influence of rows, or of
    groups (n,), of the probes as they are, on Fisher's scale (1921), and so within [-1, 1]. InputError for a direction
    of another width; undefined where all rows are equal along one of them.
    """
    matrix = check_activations(X)
    numbers = group_numbers(groups, len(matrix))
    sides = [matrix.astype(np.float64) @ direction_of(one, matrix.shape[1]) for one in (first, second)]
    for probe, side in zip((first, second), sides, strict=True):
        _refuse_other_order(probe, matrix[:CHECKED], side[:CHECKED])
    a, b = (side - side.mean() for side in sides)
    spreads = [float(np.sqrt((side**2).mean())) for side in (a, b)]
    for side, spread in zip(sides, spreads, strict=True):
        if not spread > 1e-9 * max(1e-300, float(np.abs(side).max())):  # equal but for the rounding of the product
            return unknown(COSINE, "weak labels", len(matrix), "all rows are equal along a direction")
    a, b = a / spreads[0], b / spreads[1]
    value = float(np.clip((a * b).mean(), -1, 1))
    influence = (a * b - value * (a**2 + b**2) / 2) / len(matrix)
    plain = InfluenceEstimate(value, influence).estimate(numbers)
    # Fisher's z of a correlation is half the logit of (1 + r) / 2. One direction twice has no error, and no interval.
    ends = share_interval((1 + value) / 2, (plain.high - value) / 2, len(matrix))
    low, high = (2 * end - 1 for end in ends)
    return known(COSINE, Estimate(value, low, high, plain.error), "weak labels", len(matrix), numbers)


def direction_of(probe: Any, width: int) -> NDArray[np.float64]:
    """The weights (width,) of a fitted linear probe, or a direction as it is.

    InputError for a probe that has no direction, for another width, and for weights that are not finite or all 0.
    """
    name = type(probe).__name__ if hasattr(probe, "get_params") else "the direction"
    weights = getattr(probe, "coef_", None) if hasattr(probe, "get_params") else probe
    if weights is None or name in HEAVY:  # of those `coef_` is of the last of several steps
        raise InputError(f"{name} has no direction: give a fitted linear probe, such as the logistic one")
    vector = np.asarray(as_numpy(weights), dtype=np.float64)
    if vector.ndim == 2 and len(vector) > 1:
        raise InputError(f"{name} has {len(vector)} directions, of as many classes: give a probe of two classes")
    vector = vector[0] if vector.ndim == 2 else vector
    if vector.shape != (width,):
        raise InputError(
            f"{name} is of width {vector.shape[-1] if vector.ndim else 0}, the layer of width {width}: "
            "probes of two layers or models cannot be compared"
        )
    if not np.isfinite(vector).all() or not vector.any():
        raise InputError(f"{name} has weights that are not finite, or all 0: it is no direction")
    return vector


def _refuse_other_order(probe: Any, X: NDArray[np.float32], side: NDArray[np.float64]) -> None:
    """InputError for a classifier with weights whose P(1) of rows (n,) is not in the order of their projections."""
    if not hasattr(probe, "predict_proba"):
        return
    scores = np.asarray(probe.predict_proba(X), dtype=np.float64)[:, 1]
    steps = np.diff(scores[np.argsort(side, kind="stable")])
    if (steps < -0.05).any():  # far more than rounding where activations are large
        raise InputError(f"{type(probe).__name__} does not score rows by its `coef_` alone: it is no direction")
