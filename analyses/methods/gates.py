"""Gates: at the test rows, the supervisor's opinion where it is sure and the student's where it is not.

The mixture reads the supervisor at test, so that PGR can exceed 1: `gate-ceiling`, the same gate over the ceiling, says
what it could reach.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from w2s_probes.errors import InputError
from w2s_probes.gating import Gate, mixed
from w2s_probes.gating.learned import GateKind
from w2s_probes.metrics.recovery import hard_labels
from w2s_probes.randomness import stream

from ..experiment import Experiment, Lesson, Lessons
from ..experiment.calibrating import along
from ..experiment.trusted_rows import TRUSTED
from ..lessons.lesson import Examples, ceiling_lesson

DRAWS = 5  # of the shuffled control
Over = Literal["student", "ceiling"]
Control = Literal["average", "shuffled"]


def gate_prediction(
    experiment: Experiment, *, kind: GateKind, over: Over = "student", control: Control | None = None
) -> Lessons:
    """Mix the supervisor's scores with those of the plain student, or of the ceiling, by a gate of this kind.

    A learned gate reads the true labels of the rows that the supervisor holds out. Of the controls one gives every row
    the gate's mean confidence, the other gives each row that of another one, `DRAWS` times.
    """
    if hard_labels(experiment.weak_scores["test"]):
        raise InputError("the supervisor gives hard labels, of which every gate is sure: there is nothing to mix")
    lesson = experiment.lesson(experiment.weak_train) if over == "student" else taught_truth(experiment)
    student = yield lesson
    gate = Gate(kind)
    val = None if over == "student" else lesson.stop.p
    own = experiment.outcome(student, val=val)
    if kind == "learned":
        rows, curve = experiment.trusted_rows(), experiment.student_curve(student.scores, val)
        gate.fit(rows.weak, along(curve, {TRUSTED: student[TRUSTED]})[TRUSTED], rows.truth())
    scores, shares = {}, {}
    for name, strong in own.scores.items():
        if name in experiment.weak_scores:  # a supervisor of labels may lack candidates
            weak = experiment.weak_scores[name]
            confidence = gate.confidence(weak)
            scores[name] = _scores(weak, strong, confidence, control, experiment.seed, name)
            shares[name] = float(confidence.mean())
    notes = {"weak_share": shares["test"]}
    if gate.coef_ is not None:
        notes |= dict(zip(("gate_variance", "gate_entropy", "gate_bias"), map(float, gate.coef_), strict=True))
    return replace(own, scores=scores, notes=own.notes | notes)


def _scores(
    weak: NDArray[np.float64],
    strong: NDArray[np.float64],
    confidence: NDArray[np.float64],
    control: Control | None,
    seed: int,
    rows: str,
) -> NDArray[np.float64]:
    """The mixture of a set of rows (n,); of the shuffled control each draw's (draws, n)."""
    if control == "average":
        return mixed(weak, strong, confidence.mean()).p
    if control == "shuffled":
        draws = [stream(seed, "shuffled gate", rows, draw).permutation(confidence) for draw in range(DRAWS)]
        return np.stack([mixed(weak, strong, drawn).p for drawn in draws])
    return mixed(weak, strong, confidence).p


def taught_truth(experiment: Experiment) -> Lesson:
    """The ceiling's lesson, for oracles."""
    experiment.true_train()  # refused for any other
    assert experiment.truth is not None
    fit, stop = (Examples(experiment.rows[name], experiment.truth) for name in ("train", "val"))
    return ceiling_lesson(experiment.student, fit, stop, experiment.predicted, experiment.seed)
