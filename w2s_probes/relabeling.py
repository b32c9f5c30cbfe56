"""A probe's scores of the rows it learned from: out-of-sample by construction, in-sample only by name."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from .errors import InputError
from .neighbors import Neighbors
from .probes import LogisticProbe, MLPProbe, Probe
from .probes.classifier import classifier_errors, classifier_scores, fit_classifier
from .probes.validation import check_activations, soft_labels
from .rows.folds import fold_numbers
from .rows.groups import group_ids


def relabel(
    probe: Any,
    X: ArrayLike,
    y: ArrayLike,
    in_sample: bool = False,
    *,
    groups: ArrayLike | None = None,
    folds: int = 5,
    seed: int = 0,
    graph: Neighbors | None = None,
) -> NDArray[np.float64]:
    """P(label = 1) of every row (n,), from a probe that did not learn from that row's label.

    `probe` is an unfitted probe or any scikit-learn classifier with `predict_proba`; it is cloned, never changed.
    kNN and Topo leave each row, its exact duplicates and its group (`groups` (n,)) out of its own neighbours, which
    `graph` may give (`neighbors.search`, with `group_ids=group_ids(X, groups)`), and Topo out of the rows whose
    components it takes; mean differences leave them out of all sums; everything else is cross-fitted over `folds`
    folds that keep duplicates and groups together. On labels that are pure noise the AUROC of kNN's and Topo's scores
    is a little under ½: .49 at k = 50 and 400 rows, .43 at 100. A classifier that is not one of ours learns a row in
    both classes, with the weights y and 1 - y, where its `fit` takes `sample_weight`, and else from y > ½.
    `in_sample=True` fits and scores the same rows, as the published code does: it flatters the labels, and is for
    replication only.
    """
    if isinstance(probe, type) or not (hasattr(probe, "fit") and hasattr(probe, "predict_proba")):
        raise InputError(f"{probe!r} is no classifier that gives probabilities: an instance with fit and predict_proba")
    matrix = check_activations(X)
    p, _ = soft_labels(y, len(matrix))
    if in_sample:
        return _positive(_fitted(probe, matrix, p), matrix)
    if hasattr(type(probe), "out_of_sample_"):
        shared: Any = {"graph": graph} if getattr(probe, "graph_k", 0) else {}
        fitted = clone(probe).fit(matrix, p, group_ids=group_ids(matrix, groups), **shared)
        return np.asarray(fitted.out_of_sample_)
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
    fold = fold_numbers(X, p, groups=groups, folds=folds, seed=seed)
    if type(probe) is LogisticProbe:
        return np.asarray(LogisticProbe.path(X, p, l2=[probe.l2], cv=fold, device=probe.device).out_of_fold[0])
    if type(probe) is MLPProbe:  # all folds in one loop
        return np.asarray(MLPProbe.path(X, p, **{**probe.get_params(), "cv": fold}).out_of_fold[0])
    scores = np.empty(len(X))
    for number in range(folds):
        held_out = fold == number
        scores[held_out] = _positive(_fitted(probe, X[~held_out], p[~held_out]), X[held_out])
    return scores


def _fitted(probe: Any, X: NDArray[np.float32], p: NDArray[np.float64]) -> Any:
    last = probe.steps[-1][1] if isinstance(probe, Pipeline) else probe
    if not isinstance(last, Probe):
        return fit_classifier(probe, X, p)
    with classifier_errors(probe):
        return clone(probe).fit(X, p)


def _positive(probe: Any, X: NDArray[np.float32]) -> NDArray[np.float64]:
    return classifier_scores(probe, X)
