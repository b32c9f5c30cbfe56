"""Any classifier of scikit-learn as a probe: soft labels are the weights of a row in both classes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from ..errors import InputError
from ..ties import above_half
from .base import Probe
from .class_specs import ClassSpec
from .validation import is_soft


class ClassifierProbe(Probe):
    """The classifier that `spec` names (`module:Class`, or `module:Class(C=0.1)`), taught as `fit_classifier` does.

    Out-of-sample scores are cross-fitted, as of every probe without `out_of_sample_`. It cannot be saved.

    >>> probe = ClassifierProbe("sklearn.naive_bayes:GaussianNB").fit([[0.0], [1.0], [5.0], [6.0]], [0.1, 0.2, 0.8, 1])
    >>> probe.predict([[0.5], [5.5]]).tolist()
    [0, 1]
    """

    def __init__(self, spec: str = "sklearn.linear_model:LogisticRegression") -> None:
        self.spec = spec

    def _fit(self, X: NDArray[np.float32], p: NDArray[np.float64]) -> None:
        self.classifier_ = fit_classifier(ClassSpec.parse(self.spec).make(), X, p)

    def _score(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return classifier_scores(self.classifier_, X)


def fit_classifier(classifier: Any, X: NDArray[np.float32], p: NDArray[np.float64]) -> Any:
    """A clone of a classifier, fitted to activations X (n, d) and soft labels p (n,).

    Where `fit` takes `sample_weight`, a row whose label is soft stands there twice, in class 1 with the weight p and in
    class 0 with 1 - p; other classifiers learn the hard labels p > ½. InputError where it refuses them.
    """
    with classifier_errors(classifier):
        if not is_soft(p) or not has_fit_parameter(classifier, "sample_weight"):
            return clone(classifier).fit(X, above_half(p).astype(int))
        ones, zeros = p > 0, p < 1
        labels = np.repeat([1, 0], [ones.sum(), zeros.sum()])
        weights = np.concatenate([p[ones], 1 - p[zeros]])
        return clone(classifier).fit(np.concatenate([X[ones], X[zeros]]), labels, sample_weight=weights)


def classifier_scores(classifier: Any, X: NDArray[np.float32]) -> NDArray[np.float64]:
    """P(label = 1) (m,) of rows X (m, d) by a fitted classifier of two classes; InputError where it refuses them."""
    with classifier_errors(classifier):
        return np.asarray(classifier.predict_proba(X)[:, 1], dtype=np.float64)


@contextmanager
def classifier_errors(classifier: Any) -> Iterator[None]:
    """InputError, in one line, where a classifier of another library refuses the activations."""
    try:
        yield
    except InputError:
        raise
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        name = classifier.__name__ if isinstance(classifier, type) else type(classifier).__name__
        reason = str(error).splitlines()[0]
        raise InputError(f"{name} cannot judge these activations ({reason}): use another classifier") from error
