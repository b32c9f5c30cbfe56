"""What a head is taught: labels, the rows that count, a loss, and when to stop."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ..checks import probabilities, scaled_weights
from ..errors import InputError
from ..losses import ExplicitConflict, LossName, Objective
from ..probes.validation import soft_labels
from ..tensors import as_numpy
from .finetuning.settings import Stop
from .head_start import HeadStart
from .stopping import Criterion

WARM_UP = 0.2  # of training, over which the weight of the student's own prediction ramps up (Burns et al. 2023, 4.3)


@dataclass(frozen=True, eq=False)
class HeadLesson:
    """What one head of `train_heads` learns from the rows that all heads read.

    The settings are those of `HeadStudent`. A lesson is checked when it is taught.
    """

    labels: ArrayLike  # (n,) P(label = 1); of rows that do not count anything
    rows: ArrayLike | None = None  # bool (n,): the rows that count; None: all
    weight: ArrayLike | None = None  # (n,) by which the rows' losses are multiplied, scaled to mean 1
    val_labels: ArrayLike | None = None  # (n_val,) P(label = 1), by which an epoch is chosen; None: the last one
    loss: LossName = "xent"
    alpha: float = 0.5
    warm_up: float = WARM_UP
    prior: float | Literal["batch"] | None = None
    epochs: int = 200
    learning_rate: float = 1e-3
    l2: float = 0.0
    stop: Stop = "auroc"
    patience: int = 20
    seed: int = 0  # of the initial weights and the order of rows
    conflict: ExplicitConflict | None = None  # what is added to the loss; with it the head is an oracle's
    start: HeadStart | None = None  # a trained head that it goes on from; None: random weights


@dataclass
class Pupil:
    """A head in training: its lesson, checked, and what has been chosen so far."""

    lesson: HeadLesson
    objective: Objective
    labels: torch.Tensor  # (n,), ½ where a row does not count
    rows: NDArray[np.bool_] | None  # None: all
    weight: torch.Tensor | None  # (n,), mean 1 over the rows that count, 0 elsewhere
    criterion: Criterion | None
    soft: bool  # whether a label is neither 0 nor 1
    standards: NDArray[np.bool_] | None  # rows (n,) by which its inputs are standardised; None: all, with the others
    score: float = field(default=-np.inf, init=False)
    since: int = field(default=0, init=False)  # epochs without a better one
    n_epochs: int = field(init=False)
    alpha: float | None = field(default=None, init=False)

    @classmethod
    def of(cls, lesson: HeadLesson, n: int, n_val: int | None, updates: int) -> "Pupil":
        """The pupil of a lesson on n rows, with that many updates an epoch; InputError for what cannot be taught."""
        if not 0 <= lesson.l2 < np.inf:
            raise InputError(f"l2={lesson.l2!r}: the penalty must be a finite number >= 0")
        if not 0 < lesson.learning_rate < np.inf:
            raise InputError(f"learning_rate={lesson.learning_rate!r}: it must be a finite number > 0")
        for name, count in (("epochs", lesson.epochs), ("patience", lesson.patience)):
            if count < 1:
                raise InputError(f"{name}={count!r}: at least 1 is needed")
        if lesson.val_labels is not None and n_val is None:
            raise InputError("validation labels without validation rows: give both, or neither to keep the last epoch")
        objective = Objective(lesson.loss, alpha=lesson.alpha, warm_up=lesson.warm_up, prior=lesson.prior, gather=False)
        criterion = Criterion.of(lesson.stop, np.empty(0))  # refuses one that does not exist
        rows = None if lesson.rows is None else _rows(lesson.rows, n)
        if lesson.conflict is not None and lesson.conflict.truth.shape != (n,):
            raise InputError(f"the truth of a conflict has shape {lesson.conflict.truth.shape}, but there are {n} rows")
        given = np.asarray(as_numpy(lesson.labels))
        if given.shape != (n,):
            raise InputError(f"labels have shape {given.shape}, but there are {n} rows of activations")
        taught = probabilities(given if rows is None else given[rows], "labels")
        soft_labels(taught, len(taught), one_sided=True)  # refuses one class
        objective.fit(taught)
        objective.plan(lesson.epochs * updates)
        p, weight = np.full(n, 0.5), None
        p[slice(None) if rows is None else rows] = taught
        if lesson.weight is not None:
            weight = torch.from_numpy(_weights(lesson.weight, rows, n))
        if lesson.val_labels is not None and n_val is not None:
            soft = probabilities(lesson.val_labels, "validation labels")
            if len(soft) != n_val:
                raise InputError(f"{len(soft)} validation labels but {n_val} rows: one label a row is needed")
            criterion = Criterion.of(lesson.stop, soft)
        soft_ = bool(((taught != 0) & (taught != 1)).any())
        standards = rows if lesson.start is None else lesson.start.standards(n)
        pupil = cls(lesson, objective, torch.from_numpy(p).float(), rows, weight, criterion, soft_, standards)
        pupil.n_epochs, pupil.alpha = lesson.epochs, objective.own_weight
        return pupil


def _rows(rows: ArrayLike, n: int) -> NDArray[np.bool_] | None:
    """The rows that count (n,), or None where all do."""
    mask = np.asarray(rows)
    if mask.shape != (n,) or mask.dtype != np.bool_:
        raise InputError(f"rows of shape {mask.shape} and dtype {mask.dtype}: one true or false for each of {n} rows")
    if not mask.any():
        raise InputError(f"none of {n} rows counts: nothing can be learned")
    return None if mask.all() else mask


def _weights(sample_weight: ArrayLike, mask: NDArray[np.bool_] | None, n: int) -> NDArray[np.float32]:
    """The weights (n,), 0 outside the mask, of mean 1 in it; InputError unless finite, not negative, not all zero."""
    if mask is None:
        return scaled_weights(sample_weight, n)
    weights, scaled = np.asarray(sample_weight, dtype=np.float64), np.zeros(n, dtype=np.float32)
    scaled[mask] = scaled_weights(weights[mask] if weights.shape == (n,) else weights, int(mask.sum()))
    return scaled
