"""What the leading components of a weak and of a strong model's representations share. No label is read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..probes.validation import check_activations
from ..randomness import stream
from ..rows.groups import group_numbers
from .foretold_measure import Foretold, known, unknown, without_interval
from .jackknife import BLOCKS, jackknifed

OVERLAP, GAP = "subspace overlap", "kernel gap"
SHARE = 0.9  # of the variance that the leading components have
RIDGE = 0.1  # of the mean leading eigenvalue
ROWS = 1000  # read at most: a decomposition of all rows and widths would take minutes, and twenty-one are needed


@dataclass(frozen=True, eq=False)
class LeadingComponents:
    """The leading principal components of n rows: orthonormal scores and the variances of the components.

    >>> X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.1], [0.0, -0.1]])
    >>> LeadingComponents.of(X, share=0.9).variances
    array([0.5])
    """

    scores: NDArray[np.float64]  # (n, k) orthonormal columns
    variances: NDArray[np.float64]  # (k,) descending

    @classmethod
    def of(cls, X: NDArray[np.floating], share: float = SHARE) -> "LeadingComponents":
        """The fewest components of rows X (n, d) that have this share of the variance; none where all rows are equal.

        From the Gram matrix of the shorter side: O(n d min(n, d)).
        """
        centred = np.asarray(X, dtype=np.float64) - np.mean(X, axis=0, dtype=np.float64)
        n, d = centred.shape
        gram = centred @ centred.T if n <= d else centred.T @ centred
        values, vectors = np.linalg.eigh(gram)
        values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
        total, rank = values.sum(), min(n - 1, d)
        if not total > 0:
            return cls(np.empty((n, 0)), np.empty(0))
        # A share that rounding puts a hair below is there.
        k = min(rank, 1 + int(np.searchsorted(values.cumsum() / total, share - 1e-12)))
        kept = vectors[:, :k] if n <= d else centred @ vectors[:, :k] / np.sqrt(values[:k])
        return cls(kept, values[:k] / n)


def subspace_overlap(
    weak_X: ArrayLike, strong_X: ArrayLike, *, groups: ArrayLike | None = None, share: float = SHARE, **how: int
) -> Foretold:
    """The share of the weak model's leading components that lies among the strong model's: ‖U_sᵀ U_w‖²_F / k_w.

    Dong et al. 2025 (arXiv 2502.05075): the correlation dimension d_{s∧w} = ‖V_sᵀ V_w‖²_F over the weak model's
    dimension d_w. What both share the student inherits of its supervisor's errors, so that they find larger gains at
    low overlap. V are there bases of features of fine-tuning; here U (n, k) are those of the rows, orthonormal scores
    of the principal components that have the `share` of the variance of activations (n, d_w) and (n, d_s). 0 to 1;
    of unrelated models k_s / (n - 1), which `foretell` shows by permuted rows.

    At most `rows=1000` rows are read, drawn by `seed`, whole groups (n,) of them. The interval is that of the
    jackknife over `blocks=20` blocks of rows, or groups. Undefined where a model's rows are all equal.
    """
    return _measured(OVERLAP, weak_X, strong_X, groups, share, 0.0, **how)


def kernel_gap(
    weak_X: ArrayLike,
    strong_X: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    share: float = SHARE,
    ridge: float = RIDGE,
    **how: int,
) -> Foretold:
    """What the strong model can learn and the weak one cannot: the operator norm ‖P_s (I - P_w)‖, 0 to 1.

    Xue, Li and Mirzasoleiman 2025 (arXiv 2502.00620): the student falls short of its ceiling by about
    ‖P_s (I - P_w) y‖² / n, P = K (K + β I)⁻¹ of the kernel K = X Xᵀ / n of a model's principal representations;
    without labels they take the norm, and find less of the gap recovered where it is large. How many components are
    principal, and β, they leave to be tuned: here those with the `share` of the variance, and β is `ridge` times
    their mean eigenvalue. Rows and interval are as of `subspace_overlap`.
    """
    if not ridge >= 0:
        raise InputError(f"ridge={ridge}: a share of the mean eigenvalue is 0 or more")
    return _measured(GAP, weak_X, strong_X, groups, share, ridge, **how)


def overlap_of(weak: LeadingComponents, strong: LeadingComponents) -> float:
    """‖U_sᵀ U_w‖²_F / k_w; NaN where one has no components."""
    if not len(weak.variances) or not len(strong.variances):
        return float("nan")
    return float(((strong.scores.T @ weak.scores) ** 2).sum() / len(weak.variances))


def gap_of(weak: LeadingComponents, strong: LeadingComponents, ridge: float = RIDGE) -> float:
    """‖P_s (I - P_w)‖, from matrices of components alone; NaN where one has no components."""
    if not len(weak.variances) or not len(strong.variances):
        return float("nan")
    kept_s, kept_w = (one.variances / (one.variances + ridge * one.variances.mean()) for one in (strong, weak))
    across = strong.scores.T @ weak.scores
    # P_s (I - P_w) (I - P_w) P_s in the strong components: I - P_w has 1 beside the weak ones, and 1 - kept in them.
    inner = np.eye(len(kept_s)) - (across * (1 - (1 - kept_w) ** 2)) @ across.T
    squared = np.linalg.eigvalsh(kept_s[:, None] * inner * kept_s)[-1]
    return float(np.sqrt(max(squared, 0.0)))


def permuted_rows(components: LeadingComponents, order: NDArray[np.intp]) -> LeadingComponents:
    """The components of the rows in another order (n,)."""
    return LeadingComponents(components.scores[order], components.variances)


def drawn_rows(groups: NDArray[np.intp] | None, n: int, rows: int, seed: int) -> NDArray[np.intp]:
    """Row numbers, ascending: all, or at most `rows`, of whole groups in a random order as far as they fit.

    Where every group has more rows than that, rows are drawn from all of them.
    """
    if n <= rows:
        return np.arange(n)
    numbers = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1].ravel()
    sizes, drawn, left, rng = np.bincount(numbers), set[int](), rows, stream(seed, "rows of kernels")
    for group in rng.permutation(len(sizes)).tolist():
        if sizes[group] <= left:
            drawn.add(group)
            left -= int(sizes[group])
    if not drawn:
        return np.sort(rng.permutation(n)[:rows])
    return np.flatnonzero(np.isin(numbers, list(drawn)))


def _measured(
    measure: str,
    weak_X: ArrayLike,
    strong_X: ArrayLike,
    groups: ArrayLike | None,
    share: float,
    ridge: float,
    rows: int = ROWS,
    blocks: int = BLOCKS,
    seed: int = 0,
) -> Foretold:
    if not 0 < share <= 1:
        raise InputError(f"share={share}: a share of the variance is in (0, 1]")
    weak, strong = check_activations(weak_X), check_activations(strong_X)
    if len(weak) != len(strong):
        raise InputError(f"{len(weak)} rows of the weak model but {len(strong)} of the strong one: give the same rows")
    numbers = group_numbers(groups, len(weak))
    chosen = drawn_rows(numbers, len(weak), rows, seed)
    weak, strong = weak[chosen], strong[chosen]

    def of(mask: NDArray[np.bool_]) -> float:
        first, second = LeadingComponents.of(weak[mask], share), LeadingComponents.of(strong[mask], share)
        return overlap_of(first, second) if measure == OVERLAP else gap_of(first, second, ridge)

    own = None if numbers is None else numbers[chosen]
    estimate = jackknifed(of, len(chosen), own, blocks=blocks, seed=seed)
    if np.isnan(estimate.value):
        return unknown(measure, "no labels", len(chosen), "all rows of a model are equal")
    if not blocks:
        return Foretold(measure, without_interval(estimate.value), "no labels", len(chosen))
    return known(measure, estimate, "no labels", len(chosen), own, (0, 1))
