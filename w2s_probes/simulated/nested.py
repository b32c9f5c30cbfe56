"""A supervisor that sees only the student's first k features, and whose errors the student can copy exactly.

Burns et al. 2023, "Weak-to-Strong Generalization", appendix E.1. Published accuracies at k = 10, 30, 100, 300, 1000,
with 10,000 rows of truth: .576, .70, .758, .803, .845. A linear student on all features gains nothing over it, while a
student of randomly flipped labels of the same accuracy ends far above.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh

from ..checks import probabilities
from ..errors import InputError, did_you_mean
from ..probes import LogisticProbe
from ..probes.validation import check_activations

FeatureOrder = Literal["stored", "principal"]

STRENGTHS = (10, 30, 100, 300, 1000)  # the published numbers of features


def first_features(
    X_fit: ArrayLike,
    truth_fit: ArrayLike,
    X: ArrayLike,
    k: int,
    *,
    l2: float = 1e-2,
    order: FeatureOrder = "stored",
) -> NDArray[np.float64]:
    """P(label = 1) of rows X (m, d) by a `LogisticProbe(l2)` on k features, fitted to X_fit (n, d), truth_fit (n,).

    The rows of X_fit must be the supervisor's alone: none of the student's, of validation or of the test. `order` says
    which features come first: "stored", the columns as they are; "principal", the principal components of X_fit, by
    falling variance. Either way they are linear in X, so a linear student on X can copy the supervisor. For several k
    over principal components, find `principal_coordinates` once and give them as X_fit and X. InputError where k is
    more than there are features.
    """
    if order not in get_args(FeatureOrder):
        raise InputError(f"order {order!r}: {did_you_mean(str(order), get_args(FeatureOrder))}")
    fit, rows = _alike(X_fit, X)
    if order == "principal":
        fit, rows = principal_coordinates(fit, rows, k)
    _check_k(k, fit.shape[1], f"X has {fit.shape[1]} features")
    probe = LogisticProbe(l2).fit(fit[:, :k], truth_fit)
    return np.asarray(probe.predict_proba(rows[:, :k])[:, 1])


def principal_coordinates(X_fit: ArrayLike, X: ArrayLike, k: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """X_fit (n, d) and X (m, d) along the first k principal components of X_fit, (n, k) and (m, k).

    Centred by the mean of X_fit, not scaled. Cost O(n d² + d³), or O(n² d) with fewer rows than columns. The signs of
    components have no meaning. InputError where k is more than min(n - 1, d).
    """
    fit, rows = _alike(X_fit, X)
    n, d = fit.shape
    _check_k(k, min(n - 1, d), f"{n} rows of {d} features have {min(n - 1, d)} principal components")
    center = fit.mean(axis=0, dtype=np.float64)
    centred = fit - center  # float64: the products of large features would drown the small components
    if n > d:
        components = eigh(centred.T @ centred, subset_by_index=[d - k, d - 1])[1][:, ::-1]
    else:
        components = np.linalg.svd(centred, full_matrices=False)[2][:k].T
    return (centred @ components).astype(np.float32), ((rows - center) @ components).astype(np.float32)


def hard(p: ArrayLike) -> NDArray[np.float64]:
    """1 where P(label = 1) (n,) is above one half, else 0."""
    return (probabilities(p, "p") > 0.5).astype(np.float64)


def _alike(X_fit: ArrayLike, X: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    fit, rows = check_activations(X_fit), check_activations(X)
    if fit.shape[1] != rows.shape[1]:
        raise InputError(
            f"X_fit has {fit.shape[1]} features but X has {rows.shape[1]}: give activations of one layer and model"
        )
    return fit, rows


def _check_k(k: int, most: int, why: str) -> None:
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= most:
        raise InputError(f"k={k!r}: {why}; give a whole number from 1 to {most}")
