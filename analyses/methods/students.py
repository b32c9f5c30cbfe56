"""Students on the weak labels as they are."""

from w2s_probes.losses.names import LossName

from ..experiment import Experiment, Lessons


def plain_student(experiment: Experiment, *, loss: LossName) -> Lessons:
    """Teach a student every weak label with this loss."""
    student = yield experiment.lesson(experiment.weak_train, loss=loss)
    return experiment.outcome(student)
