"""L2-regularised logistic regression on soft labels."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from ..errors import InputError
from .base import Probe

MAX_STEPS = 100
LARGEST_L2 = 1e8  # beyond it every weight is 0 to rounding
TOLERANCE = 1e-9  # of the squared Newton decrement, relative to 1 + loss: the loss is then that close to its minimum


class LogisticProbe(Probe):
    """Minimises mean BCE(p, sigmoid(Xw + b)) + l2·‖w‖², the bias free, the inputs not standardised.

    (The blog's objective: no factor ½. scikit-learn's `C` for n rows is 1 / (2 n l2).) Solved by Newton's
    method with backtracking in float64, which does not mind the outlier dimensions of transformers; where
    d > n in the n-dimensional row space, in which the minimum lies. Cost O(n r² + r³) a step, r = min(n, d).
    With `l2=0` and separable classes there is no minimum: the last step is returned.
    """

    def __init__(self, l2: float = 1e-2) -> None:
        self.l2 = l2  # penalty, at least 0

    def _fit(self, X: NDArray[np.float32], p: NDArray[np.float64]) -> None:
        if not 0 <= self.l2 <= LARGEST_L2:
            raise InputError(f"l2={self.l2} must be in [0, {LARGEST_L2:g}]")
        center = X.mean(axis=0, dtype=np.float64)
        centred = X.astype(np.float64) - center
        if centred.shape[1] > centred.shape[0]:
            basis = row_space(centred)
            fitted = minimize_logistic(centred @ basis.T, p, self.l2)
            weights = fitted.weights @ basis
        else:
            fitted = minimize_logistic(centred, p, self.l2)
            weights = fitted.weights
        self.coef_ = weights[None, :]
        self.intercept_ = np.array([fitted.bias - weights @ center])
        self.n_iter_ = np.array([fitted.steps])

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log-odds (m,) of the second class."""
        return self._log_odds(self._checked(X))

    def _score(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(expit(self._log_odds(X)))

    def _log_odds(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(X @ self.coef_[0] + self.intercept_[0])


class Minimum(NamedTuple):
    """Where `minimize_logistic` ended."""

    weights: NDArray[np.float64]
    bias: float
    steps: int


def row_space(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormal rows (r, d) that span the rows of X (n, d), from its n × n Gram matrix; meant for n < d."""
    values, vectors = np.linalg.eigh(X @ X.T)
    kept = values > values[-1] * len(X) * np.finfo(np.float64).eps
    basis = (vectors[:, kept] / np.sqrt(values[kept])).T @ X
    return np.asarray(np.linalg.qr(basis.T)[0].T)


def objective(
    X: NDArray[np.float64], p: NDArray[np.float64], l2: float, weights: NDArray[np.float64], bias: float
) -> float:
    """mean BCE + l2·‖w‖², in a form that neither overflows nor takes the logarithm of 0."""
    logits = X @ weights + bias
    return float(np.mean(np.logaddexp(0, logits) - p * logits) + l2 * weights @ weights)


def minimize_logistic(X: NDArray[np.float64], p: NDArray[np.float64], l2: float) -> Minimum:
    """Newton's method on [w, b] from zero weights and the log-odds of the mean label."""
    n, d = X.shape
    mean = p.mean()
    weights, bias = np.zeros(d), float(np.log(mean) - np.log1p(-mean))
    loss = objective(X, p, l2, weights, bias)
    design = np.column_stack([X, np.ones(n)])
    ridge = np.append(np.full(d, 2 * l2), 0.0)
    for step in range(1, MAX_STEPS + 1):
        f = expit(X @ weights + bias)
        gradient = design.T @ (f - p) / n + ridge * np.append(weights, bias)
        hessian = (design * (f * (1 - f) / n)[:, None]).T @ design
        hessian[np.diag_indices(d + 1)] += ridge
        # A constant column at l2 = 0, or rows that are all saturated, leave the Hessian singular.
        hessian[np.diag_indices(d + 1)] += 1e-12 * max(float(np.trace(hessian)) / (d + 1), 1e-12)
        direction = cho_solve(cho_factor(hessian), gradient)
        decrement = float(gradient @ direction)
        if decrement <= TOLERANCE * (1 + abs(loss)):
            return Minimum(weights, bias, step)
        size = 1.0
        while size > 1e-10:
            candidate = weights - size * direction[:-1], bias - size * direction[-1]
            new_loss = objective(X, p, l2, *candidate)
            if new_loss <= loss - 1e-4 * size * decrement:
                break
            size /= 2
        else:
            return Minimum(weights, bias, step)  # no decrease is left that float64 can represent
        (weights, bias), loss = candidate, new_loss
    return Minimum(weights, bias, MAX_STEPS)
