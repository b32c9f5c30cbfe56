"""Mowst: the supervisor's head and the student's trained again with a gate between them, on trusted rows.

Taught by weak labels alone it is degenerate: they are the weak expert's own, its loss is least where it is surest, and
the mixture copies it. So it learns the true labels of weak-train, and its control is what these alone teach a student.
"""

import numpy as np
from numpy.typing import NDArray

from w2s_probes.errors import InputError
from w2s_probes.gating import GatedExperts, LinearHead
from w2s_probes.labels.label_set import LabelSet
from w2s_probes.probes import LogisticProbe

from ..experiment import Experiment, Lesson, Lessons, Outcome
from ..experiment.calibrating import VAL
from ..experiment.row_sets import is_scored
from ..lessons.lesson import Examples


def gated_experts(experiment: Experiment, *, joint: bool) -> Outcome:
    """Two heads and a gate, trained on all rows of weak-train; those that the supervisor holds out stop them.

    The weak expert, on the supervisor's activations, starts from a probe of the true labels that the supervisor learns,
    the strong one from a probe of the weak labels of strong-train, both with the recipe's penalty. The start is fitted
    to vectors of the same kind as it is applied to, whatever probes read.
    """
    rows, weak_model, strong_model = experiment.trusted_rows(), experiment.weak_activations, experiment.activations
    if weak_model is None:
        raise InputError("mowst trains a head on the supervisor's model: take weak.kind = 'head'")
    truth, held, l2 = rows.truth(), rows.held_out, experiment.probes.logistic_l2
    X_weak, X_strong = (model.of(rows.rows) for model in (weak_model, strong_model))
    taught = experiment.taught(np.ones(len(experiment.weak_train), dtype=bool))
    starts = {
        "weak": _head(X_weak[~held], truth[~held], l2),
        "strong": _head(strong_model.of(experiment.rows["train"])[taught], experiment.weak_train[taught], l2),
    }
    experts = GatedExperts(joint=joint).fit(X_weak, X_strong, truth, held, **starts)
    found = {
        name: experts.mix(weak_model.of(table), strong_model.of(table))
        for name, table in experiment.predicted.items()
        if is_scored(name) or (experiment.calibrate is not None and name in (VAL, "train"))
    }
    notes = {"weak_share": found["test"].weak_share, "rounds": float(experts.n_rounds_)}
    return Outcome(experiment.evaluated({name: one.p for name, one in found.items()}), l2=l2, notes=notes)


def trusted_student(experiment: Experiment) -> Lessons:
    """The control of what reads trusted rows: a student taught their true labels and no weak one."""
    rows = experiment.trusted_rows()
    truth = LabelSet(rows.rows["id"].to_numpy(dtype=object), rows.truth(), "truth")
    fit, stop = (Examples(rows.rows[part].reset_index(drop=True), truth) for part in (~rows.held_out, rows.held_out))
    student = yield Lesson(
        experiment.student, fit, stop, experiment.predicted, experiment.loss, experiment.seed, role="truth"
    )
    return experiment.outcome(student)


def _head(X: NDArray[np.float32], labels: NDArray[np.float64], l2: float) -> LinearHead:
    probe = LogisticProbe(l2).fit(X, labels)
    return LinearHead(np.ravel(probe.coef_).astype(np.float64), float(np.ravel(probe.intercept_)[0]))
