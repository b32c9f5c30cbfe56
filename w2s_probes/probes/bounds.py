"""Bounds of a logistic fit's distance from its minimum that ask no spectrum: what its leading part cannot see."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from .design import Design
from .spectrum import EXACT

FAR_BELOW = 1e-3  # variance of a column, by the mean of the eigenvalues that are not computed
ROUNDING = 1e-12  # of that mean, by the largest eigenvalue: it is a difference of float32 numbers


def sees_all(design: Design) -> bool:
    """Whether a design's spectrum knows how far a step may go in every column."""
    if design.matrix.shape[1] <= EXACT:
        return True
    variance, _ = design.columns
    known = max(design.spectrum.rest, ROUNDING * float(design.spectrum.values[-1]))
    return bool(variance[variance > 0].min(initial=np.inf) >= FAR_BELOW * known)


def column_excess(
    design: Design, gradient: NDArray[np.float64], weights: NDArray[np.float64], l2: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The distance of objectives to their minimum (k,) by each column alone, from gradients (k, r), weights (k, n).

    Divided by the largest eigenvalue of the columns' correlations it is a lower bound: the Hessian is at most a quarter
    of the covariance, and that at most the variances times this eigenvalue. `l2` (k,) is in the design's units.
    """
    variance, largest = design.columns
    most = len(design.X) * weights.max(axis=1) * largest / 4
    curves = most[:, None] * variance + 2 * l2[:, None]
    shares = np.divide(gradient**2, 2 * curves, out=np.zeros_like(gradient), where=curves > 0)
    return np.asarray(largest * shares.sum(axis=1))


def least_loss(labels: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]:
    """The entropy of soft labels (k, n) by row weights (k, n): no loss is below it."""
    return np.asarray(((entr(labels) + entr(1 - labels)) * weights).sum(axis=1))
