"""Where logistic fits begin."""

import numpy as np
from numpy.typing import NDArray

from .bounds import least_loss
from .design import Design
from .problems import Problems, Solutions


def start(design: Design, problems: Problems) -> NDArray[np.float64]:
    """Weights of 0 and the log-odds of the mean label: the minimum at an infinite penalty."""
    theta = np.zeros((len(problems.l2), design.matrix.shape[1] + 1))
    means = (problems.weights @ problems.labels.T)[problems.weight_of, problems.label_of]
    means = np.clip(means, 1e-6, 1 - 1e-6)
    theta[:, -1] = np.log(means) - np.log1p(-means)
    return theta


def begin_nearer(theta: NDArray[np.float64], design: Design, problems: Problems, met: Solutions) -> None:
    """Move fits with a penalty from their start θ (k, r + 1) towards the fit that meets the same labels without one.

    Along that line the loss is about a parabola, from the start's to the least there is, and the penalty's term is one:
    the smaller the penalty, the nearer to the fit without.
    """
    penalty, labels, weights = design.penalty(problems.l2), problems.labels, problems.weights
    for at in np.flatnonzero(np.isfinite(met.excess)):
        label, weight = problems.label_of[at], problems.weight_of[at]
        fits = np.flatnonzero((problems.label_of == label) & (problems.weight_of == weight) & (problems.l2 > 0))
        if not len(fits):
            continue
        y, z = labels[label], theta[fits[0], -1]
        least = least_loss(y[None], weights[weight][None])[0]
        gained = max(0.0, float(weights[weight] @ (np.logaddexp(0, z) - y * z) - least))
        lost = penalty[fits] * (met.theta[at, :-1] @ met.theta[at, :-1])
        share = gained / np.maximum(gained + lost, np.finfo(np.float64).tiny)
        theta[fits] += share[:, None] * (met.theta[at] - theta[fits])
