"""The gate between two models: where the weak one is sure its opinion counts, where it is not the strong one's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..labels.label_set import LabelSet, ids_of, refuse_other_ids
from ..ties import above_half
from .dispersion import Dispersion, class_probabilities, dispersion, numbers

DEGENERATE = (
    "taught by labels of role weak alone it is degenerate: they are the weak expert's own, whose loss is least where "
    "it is surest, and the mixture copies it"
)


@dataclass(frozen=True)
class Gated:
    """The mixture of two models' predictions, row by row.

    >>> mixed = gate([0.9, 0.5], [0.2, 0.3])
    >>> mixed.p.round(3), mixed.weak_share
    (array([0.648, 0.3  ]), 0.32...)
    """

    p: NDArray[np.float64]  # (n,) P(label = 1), or (n, C): c · weak + (1 - c) · strong
    confidence: NDArray[np.float64]  # (n,) c in [0, 1]: what share of a row the weak model decides
    weak: NDArray[np.float64]  # the predictions that were mixed, in the shape of `p`
    strong: NDArray[np.float64]

    @property
    def weak_share(self) -> float:
        """The mean confidence: what share of all rows the weak model decides."""
        return float(self.confidence.mean())

    def expected_accuracy(self, truth: ArrayLike) -> float:
        """The accuracy of drawing one model for each row, the weak one with probability c: its expectation, no draw.

        `truth` (n,) is P(label = 1), or of C classes the number of each row's class. It is not that of the mixture.
        """
        right = [self._right(p, truth) for p in (self.weak, self.strong)]
        return float(np.mean(self.confidence * right[0] + (1 - self.confidence) * right[1]))

    def accuracy(self, truth: ArrayLike) -> float:
        """The accuracy of the mixture."""
        return float(self._right(self.p, truth).mean())

    def _right(self, p: NDArray[np.float64], truth: ArrayLike) -> NDArray[np.bool_]:
        classes = true_classes(truth, p)
        return np.asarray((p.argmax(axis=1) if p.ndim == 2 else above_half(p)) == classes)


def gate(weak: ArrayLike | LabelSet, strong: ArrayLike | LabelSet, kind: Dispersion = "variance") -> Gated:
    """Mix predictions of the same rows, P(label = 1) (n,) or (n, C), by the dispersion of the weak model's.

    The expectation is given, never a draw. Label sets must be of the same rows in the same order. InputError for
    predictions of other rows or classes, and as `dispersion`.
    """
    return mixed(weak, strong, dispersion(weak, kind))


def mixed(weak: ArrayLike | LabelSet, strong: ArrayLike | LabelSet, confidence: ArrayLike) -> Gated:
    """Mix predictions of the same rows by a confidence (n,), or by the same one for every row.

    >>> mixed([0.9, 0.5], [0.2, 0.3], 0.5).p
    array([0.55, 0.4 ])
    """
    first, second = pair(weak, strong)
    given = numbers(confidence, "a gate's confidence")
    if given.shape not in ((), (len(first),)):
        raise InputError(f"a confidence of shape {given.shape} for {len(first)} rows: give one number, or one a row")
    c = np.broadcast_to(given, (len(first),))
    if not ((c >= 0) & (c <= 1)).all():
        raise InputError("a gate's confidence must be numbers in [0, 1]")
    share = c if first.ndim == 1 else c[:, None]
    return Gated(share * first + (1 - share) * second, np.array(c), first, second)


def pair(weak: ArrayLike | LabelSet, strong: ArrayLike | LabelSet) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two models' predictions of the same rows, in one shape; InputError where they are not."""
    refuse_other_ids({"weak": ids_of(weak), "strong": ids_of(strong)})
    found = []
    for name, given in (("weak", weak), ("strong", strong)):
        class_probabilities(given, f"{name} predictions")
        found.append(numbers(given, f"{name} predictions"))
    if found[0].shape != found[1].shape:
        raise InputError(
            f"weak predictions have the shape {found[0].shape} and strong ones {found[1].shape}: give both of the same "
            "rows and classes"
        )
    if not len(found[0]):
        raise InputError("no rows: a gate needs at least one")
    return found[0], found[1]


def refuse_weak_labels(truth: ArrayLike | LabelSet, what: str) -> None:
    """InputError where labels that are said to be weak would teach a gate."""
    if isinstance(truth, LabelSet) and truth.role == "weak":
        raise InputError(f"{what} needs true labels: {DEGENERATE}")


def true_classes(truth: ArrayLike, p: NDArray[np.float64]) -> NDArray[np.intp]:
    """The class (n,) of each row by P(label = 1) (n,), or of predictions of C classes by their numbers."""
    values = numbers(truth, "true labels")
    if values.shape != (len(p),):
        raise InputError(f"{np.shape(truth)} true labels for {len(p)} rows: one number a row is needed")
    if p.ndim == 1:
        if not ((values >= 0) & (values <= 1)).all():
            raise InputError("true labels must be numbers in [0, 1]")
        return np.asarray(values > 0.5).astype(np.intp)
    if not ((values >= 0) & (values < p.shape[1]) & (values % 1 == 0)).all():
        raise InputError(f"true classes must be whole numbers from 0 to {p.shape[1] - 1}")
    return values.astype(np.intp)
