"""Folds for cross-fitting: related rows, by group or as exact duplicates, are in one fold."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..randomness import stream
from ..ties import above_half
from .groups import group_ids


def fold_numbers(
    X: NDArray[np.float32],
    p: NDArray[np.float64],
    *,
    groups: ArrayLike | None = None,
    folds: int = 5,
    seed: int = 0,
) -> NDArray[np.intp]:
    """The fold 0 .. folds-1 of each row (n,), with about the same share of each class (p (n,) above one half).

    Raises InputError if a class is in too few groups of distinct rows for every fold to have one.
    """
    if not isinstance(folds, int | np.integer) or folds < 2:
        raise InputError(f"folds={folds}: cross-fitting needs at least 2")
    ids = group_ids(X, groups)
    positive = above_half(p)
    # A class in fewer distinct groups than folds would leave a fold without it.
    fewest = min(len(np.unique(ids[positive])), len(np.unique(ids[~positive])))
    if fewest < folds:
        raise InputError(
            f"{folds} folds need at least {folds} groups of distinct rows in each class, got {fewest}: "
            "give more rows of that class, or fewer folds (folds=)"
        )
    fold = _fold_of_groups(ids, positive, folds, seed)[ids]
    for side, name in ((positive, "above"), (~positive, "not above")):
        if len(np.unique(fold[side])) < folds:  # groups of both classes leave no way out, or none was found
            raise InputError(
                f"the rows whose label is {name} 0.5 are in too few groups to share out over {folds} folds: lower the "
                "number of folds or add data"
            )
    return fold


def _fold_of_groups(ids: NDArray[np.intp], positive: NDArray[np.bool_], folds: int, seed: int) -> NDArray[np.intp]:
    """The fold of each group. Groups of equal numbers of rows of each class are dealt out evenly, large ones first.

    The rest of such a kind goes to the folds with fewest rows of its classes, the rarer counting more. scikit-learn's
    StratifiedGroupKFold looks at one group after the other: over a second for 10,000 single rows, which is longer
    than all fits take.
    """
    rng = stream(seed, "folds")
    sizes = np.column_stack([np.bincount(ids, weights=side) for side in (positive, ~positive)]).astype(np.intp)
    kinds, kind_of = np.unique(sizes, axis=0, return_inverse=True)
    by_kind = np.split(np.argsort(kind_of.ravel(), kind="stable"), np.cumsum(np.bincount(kind_of.ravel()))[:-1])
    shares = kinds / sizes.sum(axis=0)  # of all rows of each class
    filled = np.zeros((folds, 2))
    fold = np.empty(len(sizes), dtype=np.intp)
    for kind in np.argsort(-shares.max(axis=1), kind="stable"):
        groups = rng.permutation(by_kind[kind])
        emptiest = np.lexsort((rng.permutation(folds), filled.sum(axis=1), filled @ shares[kind]))
        fold[groups] = emptiest[np.arange(len(groups)) % folds]
        filled += np.bincount(fold[groups], minlength=folds)[:, None] * shares[kind]
    return fold
