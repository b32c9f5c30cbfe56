"""The base of all probes: binary scikit-learn classifiers that learn from soft labels."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..metrics.recovery import auroc
from ..neighbors import Neighbors
from ..ties import above_half
from .validation import check_activations, checked_weights, is_soft, labels_to_score, soft_labels


class Probe(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A binary classifier on activations (n, d). Subclasses give `_score`, and `_fit` or `fit`.

    `y` is P(label = 1) in [0, 1], or two classes; `classes_` are 0 and 1, or those two, and the columns of
    `predict_proba` follow them. scikit-learn's tools take such labels too (`cross_val_score`, `GridSearchCV`), but for
    those that number the values of y before a probe sees them (`cross_val_predict` with `method="predict_proba"`):
    those are refused, unless y has two values, which are then learned as two classes. Its folds part exact duplicates
    and groups; those of `relabel`, `LogisticProbe.path` and `sweep` do not.

    >>> class Threshold(Probe):
    ...     def _fit(self, X, p):
    ...         self.cut_ = float(np.average(X[:, 0]))
    ...     def _score(self, X):
    ...         return (X[:, 0] > self.cut_).astype(float)
    >>> Threshold().fit([[0.0], [1.0], [5.0]], [0.1, 0.2, 0.9]).predict([[1.0], [4.0]]).tolist()
    [0, 1]
    """

    classes_: NDArray[Any]
    soft_: bool = False  # whether a label that was learned from is neither 0 nor 1
    n_features_in_: int
    _one_sided = False  # whether soft labels that all lie on one side of ½ can be learned from

    @classmethod
    def with_value(cls, value: float, **options: Any) -> Self:
        """An unfitted probe with this value of its one hyper-parameter that sweeps vary: here its first."""
        return cls(value, **options)

    @property
    def graph_k(self) -> int:
        """Neighbours a row that its fit reads from a graph of the training rows; 0 for a probe that reads none."""
        return 0

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn from activations X (n, d) and labels y (n,)."""
        self._fit(*self._read(X, y))
        return self

    def _read(self, X: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Checked activations (n, d) and labels (n,) to learn from; sets what scikit-learn expects of a fit."""
        matrix = check_activations(X)
        validate_data(self, X, skip_check_array=True)  # sets n_features_in_ and feature names
        p, self.classes_ = soft_labels(y, len(matrix), one_sided=self._one_sided)
        self.soft_ = is_soft(p)
        return matrix, p

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Class probabilities (m, 2) of rows X (m, d). A training row given here is scored in-sample."""
        p = self._score(self._checked(X))
        return np.column_stack([1 - p, p])

    def score_near(self, X: ArrayLike, nearest: Neighbors) -> NDArray[np.float64]:
        """P(second class) (m,) of rows X (m, d) whose nearest training rows have been searched before.

        `nearest` has `graph_k` training rows or more for each row. Several probes that learned from the same rows can
        so share one search; a probe that reads no neighbours scores the rows as ever.
        """
        return self._score(self._checked(X))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The class (m,) of rows X (m, d): the second one where its probability is above one half."""
        second = above_half(self.predict_proba(X)[:, 1])
        return np.asarray(self.classes_[second.astype(np.intp)])

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """The fit of the probe to labels y (m,) of rows X (m, d); higher is better.

        Soft labels: minus the Brier score, -mean (y - P(second class))²: 0 at best, -.25 of a guess of ½ where labels
        are 0 and 1. Where the probe has learned two classes and y has no others: accuracy, as of every scikit-learn
        classifier. The folds of a soft label set are so all measured alike, also one whose labels happen to be 0 and 1.
        For AUROC give `scoring=auroc_scorer`. InputError for labels that are neither in [0, 1] nor the probe's classes.
        """
        p = self.predict_proba(X)[:, 1]
        labels = labels_to_score(y, len(p), self.classes_)
        if self.soft_ or is_soft(labels):
            right = -((labels - p) ** 2)
        else:
            right = (above_half(p) == above_half(labels)).astype(np.float64)
        weights = None if sample_weight is None else checked_weights(sample_weight, len(right))
        return float(np.average(right, weights=weights))

    def _checked(self, X: ArrayLike) -> NDArray[np.float32]:
        check_is_fitted(self)
        matrix = check_activations(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        return matrix

    def _fit(self, X: NDArray[np.float32], p: NDArray[np.float64]) -> None:
        raise AssertionError("a probe defines _fit")

    def _score(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        raise AssertionError("a probe defines _score")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


def auroc_scorer(probe: Any, X: ArrayLike, y: ArrayLike) -> float:
    """AUROC of a fitted probe, or pipeline, on rows X (m, d) by the class of their labels y (m,): above ½, or second.

    For scikit-learn's `scoring`, whose own "roc_auc" takes no soft labels. InputError if all y are of one class.
    """
    p = probe.predict_proba(X)[:, 1]
    return auroc(labels_to_score(y, len(p), probe.classes_), p)
