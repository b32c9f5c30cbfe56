"""Students that are taught a conflicting objective, and what their audit is to stand beside.

Both kinds read a truth that nobody has who needs weak labels: they make a pair to audit, and are no methods to use.
"""

from w2s_probes.losses.names import LossName

from ..experiment import Experiment, Lessons

LOSS: LossName = "xent"  # of the conflicts and the controls alike; without the conflict it is student-xent
OTHER_SEED = 1_000_003  # added to the seed of a trial: no other trial's


def explicit_conflict(experiment: Experiment, *, truthful: bool = False) -> Lessons:
    """Teach a student weak labels, or the truth, and to be wrong where it is: `losses.explicit_conflict`."""
    labels = experiment.true_train() if truthful else experiment.weak_train
    alpha = experiment.conflict.alpha
    student = yield experiment.lesson(labels, loss=LOSS, against=alpha)
    val = experiment.true_val() if truthful else None
    return experiment.outcome(student, val=val, notes={"conflict_alpha": alpha})


def implicit_conflict(experiment: Experiment, *, truthful: bool = False) -> Lessons:
    """Teach a student weak labels, or the truth, and rows of another task with that task's labels."""
    beside = experiment.true_conflict()
    labels = experiment.true_train() if truthful else experiment.weak_train
    student = yield experiment.lesson(labels, loss=LOSS, beside=beside)
    val = experiment.true_val() if truthful else None
    return experiment.outcome(student, val=val, notes={"conflict_rows": float(len(beside))})


def churn(experiment: Experiment) -> Lessons:
    """Teach the student without a conflict once more, with another seed: what becomes wrong by that alone."""
    student = yield experiment.lesson(experiment.weak_train, loss=LOSS, seed=experiment.seed + OTHER_SEED)
    return experiment.outcome(student)
