"""Logistic fits without a penalty that meet every soft label, solved as one linear system instead of by iterations.

Where rows are no more than columns, and independent, weights exist at which each row's log-odds are those of its label.
No loss is less than that of the labels' own entropy, so these are minima; of them the one of smallest weights is the
limit of small penalties. An iterative solver comes close to it only slowly: hardly fewer rows than columns are the
worst case that there is, and the training rows of five folds of 5,000 rows of width 4,096 are that.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk
from scipy.special import logit

from .bounds import least_loss
from .design import Design
from .left_out import RowFamily, factored
from .matrices import host
from .problems import CONVERGED, Problems, Solutions

CLOSE = 3e-7  # of the objective, above the entropy of the labels: what is farther off is left to the iterations
ROUNDING = 1e-15  # of the objective: no excess is said to be less
SHARED = 2  # times as many rows as columns: more products are not held at once
BLOCK = 1 << 21  # numbers converted to float64 at once: few, so that the sum is not passed over often


def met_labels(design: Design, problems: Problems) -> Solutions:
    """The fits that meet all labels, without an iteration; the excess of all others is NaN."""
    out = Solutions.begun(np.zeros((len(problems.l2), design.matrix.shape[1] + 1)))
    fits = np.flatnonzero(interpolating(design, problems))
    if not len(fits):
        return out
    theta = interpolated(design, problems[fits])
    fits, theta = fits[there := np.isfinite(theta).all(axis=1)], theta[there]
    some = problems[fits]
    labels, weights = some.labels[some.label_of], some.weights[some.weight_of]
    logits = host(design.forward(design.put(theta), exact=True))
    loss = np.einsum("kn,kn->k", np.logaddexp(0, logits) - labels * logits, weights)
    # No loss is below the entropy of the labels, so that this is the excess itself and no estimate.
    excess = 1 - least_loss(labels, weights) / loss
    good = excess <= CLOSE
    out.theta[fits[good]], out.status[fits[good]] = theta[good], CONVERGED
    out.excess[fits[good]] = np.clip(excess[good], ROUNDING, 1)
    return out


def interpolating(design: Design, problems: Problems) -> NDArray[np.bool_]:
    """Which fits (k,) `interpolated` may solve: no penalty, rows no more than columns, no label that is 0 or 1.

    Equal rows are not independent.
    """
    found = np.zeros(len(problems.l2), dtype=bool)
    for at in np.flatnonzero(problems.l2 == 0):
        rows = problems.weights[problems.weight_of[at]] > 0
        if rows.sum() <= design.matrix.shape[1]:
            labels = problems.labels[problems.label_of[at]][rows]
            soft = bool(((labels > 0) & (labels < 1)).all())
            found[at] = soft and len(np.unique(design.equal[rows])) == rows.sum()
    return found


def interpolated(design: Design, problems: Problems) -> NDArray[np.float64]:
    """Parameters θ (k, r + 1) of smallest weights that give each row with a weight its label; NaN where none do.

    With w = Xᵀα, and K = XXᵀ of these rows: Kα + b = logit(label) and Σ α = 0. O(n² d) for the products of n rows,
    which fits share where that is less, and Cholesky factors, O(m³), which share the rows before a fold (`factored`).
    """
    bias = np.full(len(problems.l2), np.nan)
    shares = np.zeros((len(problems.l2), len(design.X)))
    numbers = np.unique(problems.weight_of)
    used = [np.flatnonzero(problems.weights[number] > 0) for number in numbers]
    for family, sets, gram in _with_products(design, used):
        for at, factor in factored(gram, sets):
            fits = np.flatnonzero(problems.weight_of == numbers[family[at]])
            labels = problems.labels[problems.label_of[fits]][:, sets.order]
            # Labels that this set of rows is without may be 0 or 1.
            targets = logit(np.where(np.isin(sets.order, used[family[at]]), labels, 0.5))
            solved = factor.solve(np.column_stack([targets.T, np.ones(len(sets.order))]))
            bias[fits] = solved[:, :-1].sum(axis=0) / solved[:, -1].sum()
            shares[np.ix_(fits, sets.order)] = solved[:, :-1].T - bias[fits, None] * solved[:, -1]
    theta = host(design.backward(design.put(shares), exact=True))
    theta[:, -1] = bias
    return theta


def _with_products(
    design: Design, used: list[NDArray[np.intp]]
) -> Iterator[tuple[list[int], RowFamily, NDArray[np.float64]]]:
    """Families of sets of rows, and the products of each family's rows, which families share where that is less."""
    families = RowFamily.families(used)
    union = np.unique(np.concatenate(used))
    apart = (
        len(union) > SHARED * design.matrix.shape[1]
        or sum(len(sets.order) ** 2 for _, sets in families) < len(union) ** 2
    )
    products = None
    if len(families) > 1 and not apart:
        products = _products(design, union)
        _mirror(products)
    for family, sets in families:
        if products is None:
            yield family, sets, _products(design, sets.order)
        else:
            places = np.searchsorted(union, sets.order)
            yield family, sets, products.T[np.ix_(places, places)].T  # of its transpose, whose rows lie together


def _mirror(products: NDArray[np.float64]) -> None:
    """Write the lower half of a matrix over its upper half, some columns at a time."""
    step = max(1, BLOCK // len(products))
    for start in range(0, len(products), step):
        stop = start + step
        own = np.tril(products[start:stop, start:stop])
        products[start:stop, start:stop] = own + np.tril(own, -1).T
        products[start:stop, stop:] = products[stop:, start:stop].T


def _products(design: Design, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """XXᵀ (m, m) of some rows (m,) of the scaled matrix and a constant column, in float64: its lower half.

    With Σ α = 0 the column changes no solution; without it the products of all rows, which are centred, are singular.
    """
    width = design.matrix.shape[1]
    length = float(design.spectrum.values.sum()) + design.spectrum.rest * (width - len(design.spectrum.values))
    out: NDArray[np.float64] = np.full((len(rows), len(rows)), length, order="F")
    step = max(1, BLOCK // len(rows))
    for start in range(0, width, step):
        columns = design.exact_columns(rows, slice(start, start + step))
        out = dsyrk(1.0, columns, beta=1.0, c=out, lower=1, overwrite_c=1)
    return out
