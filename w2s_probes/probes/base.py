"""What the probes share: binary scikit-learn classifiers that learn from soft labels."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..checks import group_numbers
from ..ties import above_half
from .validation import check_activations, soft_labels


class Probe(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A binary classifier on activations (n, d). Subclasses give `_score`, and `_fit` or `fit`.

    `y` is P(label = 1) in [0, 1], or two classes; `classes_` are 0 and 1, or those two, and the columns of
    `predict_proba` follow them.
    """

    classes_: NDArray[Any]
    n_features_in_: int
    _one_sided = False  # whether soft labels that all lie on one side of ½ can be learned from

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn from activations X (n, d) and labels y (n,)."""
        self._fit(*self._read(X, y))
        return self

    def _read(self, X: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Checked activations (n, d) and labels (n,) to learn from; sets what scikit-learn expects of a fit."""
        matrix = check_activations(X)
        validate_data(self, X, skip_check_array=True)  # sets n_features_in_ and feature names
        p, self.classes_ = soft_labels(y, len(matrix), one_sided=self._one_sided)
        return matrix, p

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Class probabilities (m, 2) of rows X (m, d). A training row given here is scored in-sample."""
        p = self._score(self._checked(X))
        return np.column_stack([1 - p, p])

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The class (m,) of rows X (m, d): the second one where its probability is above one half."""
        second = above_half(self.predict_proba(X)[:, 1])
        return np.asarray(self.classes_[second.astype(np.intp)])

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


def apart_of(apart: ArrayLike | None, rows: int) -> NDArray[np.intp] | None:
    """`apart` as whole numbers (n,) from 0; InputError if there is not one a row."""
    return group_numbers(apart, rows)
