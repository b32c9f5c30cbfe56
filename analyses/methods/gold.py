"""A few true labels among many weak ones: in place of weak labels, after them, with more weight, or alone.

Each use has a control, `control-gold-weak:USE`, that does the same with the weak labels of the gold rows: what is left
between the two is what the true labels give, and not what a second training or other weights do.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..experiment import Experiment, Lessons, Outcome
from ..experiment.gold_rows import SHARE, GoldRows
from ..lessons.lesson import Lesson, Trained
from ..recipe.gold_names import GOLD_ROWS, WEAK_ROWS


def gold_labels(experiment: Experiment, rows: GoldRows, *, of_weak: bool) -> NDArray[np.float64]:
    """Labels (n,) of the gold rows: true ones, which this reads, or the weak ones of a control."""
    return experiment.weak_train[rows.mask] if of_weak else rows.truth()


def appended(experiment: Experiment, *, of_weak: bool = False, weigh: bool = False) -> Lessons:
    """Teach all rows together, the gold ones their true labels in place of weak ones.

    With `weigh` the gold rows together have the share `[gold] share` of all weight.
    """
    rows = experiment.gold_rows()
    gold, labels = rows.mask, experiment.weak_train.copy()
    labels[gold] = gold_labels(experiment, rows, of_weak=of_weak)
    beside = rows.weak_mask & ~gold
    weight = None
    if weigh and beside.any():
        share = rows.setting(SHARE)
        weight = np.where(gold, share / gold.sum(), (1 - share) / beside.sum())
    student = yield experiment.lesson(labels, _mask(gold | beside), weight=weight)
    return outcome_of_gold(experiment, rows, student, weak=weak_read(rows, beside, of_weak), of_weak=of_weak)


def after(experiment: Experiment, *, of_weak: bool = False) -> Lessons:
    """Teach weak labels, then go on with the gold rows' true ones.

    A head goes on from its weights, a fine-tuned model from the saved one; both with a new optimiser. The weak labels
    of validation rows stop the second training as they do the first.
    """
    rows = experiment.gold_rows()
    first = _kept(experiment.lesson(experiment.weak_train, _mask(rows.weak_mask)))
    yield first
    labels = experiment.weak_train.copy()
    labels[rows.mask] = gold_labels(experiment, rows, of_weak=of_weak)
    student = yield experiment.lesson(labels, rows.mask, start=first)
    return outcome_of_gold(experiment, rows, student, weak=weak_read(rows, rows.weak_mask, of_weak), of_weak=of_weak)


def gold_alone(experiment: Experiment) -> Lessons:
    """Teach the true labels of the gold rows, and no weak one; weak labels of validation rows stop it all the same."""
    rows = experiment.gold_rows()
    labels = experiment.weak_train.copy()
    labels[rows.mask] = rows.truth()
    student = yield experiment.lesson(labels, rows.mask)
    return outcome_of_gold(experiment, rows, student, weak=0)


def weak_alone(experiment: Experiment) -> Lessons:
    """Teach so many weak labels, and no true one."""
    rows = experiment.gold_rows()
    student = yield experiment.lesson(experiment.weak_train, _mask(rows.weak_mask))
    return outcome_of_gold(experiment, rows, student, weak=int(rows.weak_mask.sum()), of_weak=True)


def outcome_of_gold(
    experiment: Experiment, rows: GoldRows, student: Trained, *, weak: int, of_weak: bool = False, **more: Any
) -> Outcome:
    """The outcome of a student, with the gold rows and the rows with weak labels that it has read."""
    return experiment.outcome(student, notes=row_notes(rows, weak, of_weak=of_weak) | more.pop("notes", {}), **more)


def row_notes(rows: GoldRows, weak: int, *, of_weak: bool) -> dict[str, float]:
    """The notes of a method on how many rows it has read."""
    return {GOLD_ROWS: 0.0 if of_weak else float(len(rows.ids)), WEAK_ROWS: float(weak)}


def weak_read(rows: GoldRows, taught: NDArray[np.bool_], of_weak: bool) -> int:
    """The number of rows whose weak labels are taught: of a control those of the gold rows, too."""
    return int((taught | rows.mask if of_weak else taught).sum())


def _mask(rows: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """A lesson's mask, which is None where all rows are taught: so equal lessons are equal."""
    return None if rows.all() else rows


def _kept(lesson: Lesson) -> Lesson:
    """The same lesson, whose model is kept where it is a fine-tuned one: another goes on from it."""
    return lesson if lesson.learner.reads_activations else lesson.with_student_kept()
