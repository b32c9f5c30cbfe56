"""The dispersion of a prediction over its classes: how sure a model is, from 0 (uniform) to 1 (one class alone)."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

from ..errors import InputError, did_you_mean
from ..labels.label_set import LabelSet
from ..tensors import as_numpy

Dispersion = Literal["variance", "entropy"]
KINDS: tuple[Dispersion, ...] = ("variance", "entropy")
ROUNDED = 1e-3  # of the sum of a row's probabilities: half precision


def dispersion(p: ArrayLike | LabelSet, kind: Dispersion = "variance") -> NDArray[np.float64]:
    """The dispersion (n,) of P(label = 1) (n,), or of the probabilities of C classes (n, C), each row in [0, 1].

    The variance is (C Σ p² - 1) / (C - 1), which for two classes is (2p - 1)², and the entropy 1 - H(p) / ln C
    (Zeng et al. 2024, "Mixture of weak and strong experts on graphs"). InputError for numbers outside [0, 1], rows that
    do not add up to 1, and fewer than two classes.

    >>> dispersion([0.9, 0.5]).round(2)
    array([0.64, 0.  ])
    >>> dispersion([[0.7, 0.2, 0.1]], "entropy").round(6)
    array([0.270153])
    """
    if kind not in KINDS:
        raise InputError(f"dispersion {kind!r}: {did_you_mean(str(kind), KINDS)}")
    both = class_probabilities(p, "probabilities")
    classes = both.shape[1]
    if kind == "variance":
        found = (classes * np.square(both).sum(axis=1) - 1) / (classes - 1)
    else:
        found = 1 - entr(both).sum(axis=1) / np.log(classes)
    return np.asarray(np.clip(found, 0, 1))  # rounding alone leads out


def numbers(values: ArrayLike | LabelSet, name: str) -> NDArray[np.float64]:
    """An array of numbers; InputError for anything else."""
    try:
        return np.asarray(as_numpy(values), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be an array of numbers, with rows of one length") from error


def signals(weak: ArrayLike | LabelSet) -> NDArray[np.float64]:
    """What a learned gate reads of the weak predictions (n, 3): the dispersion by variance, by entropy, and 1."""
    parts = [dispersion(weak, kind) for kind in KINDS]
    return np.stack([*parts, np.ones(len(parts[0]))], axis=1)


def class_probabilities(p: ArrayLike | LabelSet, name: str) -> NDArray[np.float64]:
    """Probabilities of C classes (n, C); of P(label = 1) (n,) those of both classes."""
    values = numbers(p, name)
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] < 2):
        raise InputError(
            f"{name} have the shape {values.shape}: give P(label = 1) (n,), or probabilities (n, C) of two classes or "
            "more"
        )
    if not ((values >= 0) & (values <= 1)).all():
        bad = int((~((values >= 0) & (values <= 1)).reshape(len(values), -1).all(axis=1)).argmax())
        raise InputError(f"{name}: row {bad} holds {values[bad]}: probabilities are numbers in [0, 1]")
    if values.ndim == 1:
        return np.stack([1 - values, values], axis=1)
    if len(values) and np.abs(values.sum(axis=1) - 1).max() > ROUNDED:
        bad = int((np.abs(values.sum(axis=1) - 1) > ROUNDED).argmax())
        raise InputError(f"{name}: row {bad} adds up to {values[bad].sum():g}: the probabilities of a row add up to 1")
    return values
