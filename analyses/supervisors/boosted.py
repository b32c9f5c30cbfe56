"""A boosted supervisor: AdaBoost of stumps on TF-IDF features or a model's activations, calibrated."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.ensemble import AdaBoostClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from w2s_probes.errors import InputError, whole_reason
from w2s_probes.randomness import torch_seed
from w2s_probes.rows.folds import fold_numbers
from w2s_probes.rows.groups import GROUP

from ..experiment.row_sets import RowSets
from ..experiment.task_models import TaskModels
from ..lessons.lesson import Scores
from ..recipe.schema import Weak
from .held_out import HELD_OUT, held_out_rows

SEEDS = 1 << 31  # scikit-learn's are below


def boosted_supervisor(weak: Weak, sets: RowSets, task_models: TaskModels, *, task: str, seed: int) -> Scores:
    """P(label = 1) for each set by AdaBoost (scikit-learn's) that learned four fifths of weak-train.

    Its decision lies in [-2, 2] and is no probability: the fifth that is held out turns it into one by Platt's logistic
    curve. Its own scores are cross-fitted: each by a curve of rows of other groups. Where a curve falls, or that fifth
    has too few groups of a class for five folds, P is (2 + decision) / 4 instead, which ranks alike. InputError where
    there is nothing to learn.
    """
    held = held_out_rows(sets.weak, task, seed)
    fit, rest = (sets.weak[part].reset_index(drop=True) for part in (~held, held))
    features = _features(weak, fit, task_models)
    booster = AdaBoostClassifier(n_estimators=weak.rounds, random_state=torch_seed(seed, task, "boosting") % SEEDS)
    if fit["label"].nunique() < 2:
        raise InputError(
            f"{task}, seed {seed}: the {len(fit)} rows of weak-train that a boosted supervisor learns are of one "
            "class: raise weak.n_truth"
        )
    try:
        booster.fit(features(fit), fit["label"])
    except ValueError as error:  # no stump is better than chance
        raise InputError(
            f"{task}, seed {seed}: a boosted supervisor finds nothing to learn ({whole_reason(error)}): raise "
            "weak.n_truth, or take another kind"
        ) from error

    def decisions(rows: pd.DataFrame) -> NDArray[np.float64]:
        return np.asarray(booster.decision_function(features(rows)), dtype=np.float64)

    of_rest, truth = decisions(rest), rest["label"].to_numpy(dtype=float)
    slope, shift = _platt(of_rest, truth)
    held_out = _cross_fitted(of_rest, truth, rest[GROUP].to_numpy(dtype=object), seed) if slope > 0 else None
    found = {name: decisions(rows) for name, rows in sets.labelled.items()}
    if held_out is None:
        return {name: (2 + np.clip(made, -2, 2)) / 4 for name, made in {**found, HELD_OUT: of_rest}.items()}
    curved = {name: np.asarray(expit(slope * made + shift), dtype=np.float64) for name, made in found.items()}
    return {**curved, HELD_OUT: held_out}


def _platt(decisions: NDArray[np.float64], truth: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and shift of the logistic curve; a slope of 0 where there is none."""
    if len(np.unique(truth)) < 2:
        return 0.0, 0.0
    curve = LogisticRegression(C=10.0).fit(decisions[:, None], truth)
    return float(curve.coef_[0, 0]), float(curve.intercept_[0])


def _cross_fitted(
    decisions: NDArray[np.float64], truth: NDArray[np.float64], groups: NDArray[np.object_], seed: int
) -> NDArray[np.float64] | None:
    """P (n,) of each row by the curve of other folds; None where there are too few rows, or a curve falls."""
    alone = np.arange(len(decisions), dtype=np.float32)[:, None]  # rows are related by group alone
    try:
        folds = fold_numbers(alone, truth, groups=groups, seed=seed)
    except InputError:  # too few groups of a class
        return None
    p = np.empty(len(decisions))
    for fold in np.unique(folds):
        held = folds == fold
        slope, shift = _platt(decisions[~held], truth[~held])
        if slope <= 0:
            return None
        p[held] = expit(slope * decisions[held] + shift)
    return p


def _features(weak: Weak, fit: pd.DataFrame, task_models: TaskModels) -> Any:
    """What turns rows into features: words and word pairs of the rows that are learned, or a model's activations."""
    if weak.model is not None:
        activations = task_models.activations(weak)
        return activations.of
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(fit["text"])
    return lambda rows: words.transform(rows["text"])
