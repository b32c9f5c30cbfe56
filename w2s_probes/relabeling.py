"""A probe's opinion of the rows it learned from: out-of-sample by construction, in-sample only by name."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline

from .errors import InputError
from .probes import Probe
from .probes.validation import check_activations, soft_labels
from .randomness import seed_sequence


def relabel(
    probe: Any,
    X: ArrayLike,
    y: ArrayLike,
    in_sample: bool = False,
    *,
    groups: ArrayLike | None = None,
    folds: int = 5,
    seed: int = 0,
) -> NDArray[np.float64]:
    """P(label = 1) of every row (n,), from a probe that did not learn from that row's label.

    `probe` is an unfitted probe or any scikit-learn classifier with `predict_proba`; it is cloned, never changed.
    kNN and Topo leave each row out of its own neighbours; everything else, and every probe where `groups` (n,)
    are given, is cross-fitted over `folds` folds that keep groups and exact duplicates together. A classifier
    that is not one of ours learns from the hard labels y > ½. `in_sample=True` fits and scores the same rows, as
    the published code does: it flatters the labels, and is for replication only.
    """
    matrix = check_activations(X)
    p, _ = soft_labels(y, len(matrix))
    if in_sample:
        return _positive(_fitted(probe, matrix, p), matrix)
    if groups is None and hasattr(type(probe), "out_of_sample_"):
        return np.asarray(_fitted(probe, matrix, p).out_of_sample_)
    return cross_fitted(probe, matrix, p, groups=groups, folds=folds, seed=seed)


def cross_fitted(
    probe: Any,
    X: NDArray[np.float32],
    p: NDArray[np.float64],
    *,
    groups: ArrayLike | None = None,
    folds: int = 5,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Each row's score (n,) from a clone of the probe fitted on the folds without it."""
    together = _duplicates(X) if groups is None else pd.factorize(np.asarray(groups))[0]
    if len(together) != len(X):
        raise InputError(f"{len(together)} groups were given for {len(X)} rows")
    positive = p > 0.5
    # A class in fewer distinct groups than folds would leave a fold without it.
    fewest = min(len(np.unique(together[positive])), len(np.unique(together[~positive])))
    if fewest < folds:
        raise InputError(
            f"{folds} folds need at least {folds} groups of distinct rows in each class, got {fewest}: "
            "lower the number of folds or add data"
        )
    scores = np.empty(len(X))
    folds_seed = int(seed_sequence(seed, "folds").generate_state(1)[0])
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=folds_seed)
    for train, held_out in splitter.split(X, positive, together):
        scores[held_out] = _positive(_fitted(probe, X[train], p[train]), X[held_out])
    return scores


def _fitted(probe: Any, X: NDArray[np.float32], p: NDArray[np.float64]) -> Any:
    last = probe.steps[-1][1] if isinstance(probe, Pipeline) else probe
    return clone(probe).fit(X, p if isinstance(last, Probe) else (p > 0.5).astype(int))


def _positive(probe: Any, X: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(probe.predict_proba(X)[:, 1], dtype=np.float64)


def _duplicates(X: NDArray[np.float32]) -> NDArray[np.intp]:
    """A number for each row (n,) that rows share when they are equal bit for bit."""
    return np.asarray(pd.factorize(pd.Series([row.tobytes() for row in X]))[0], dtype=np.intp)
