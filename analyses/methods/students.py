"""Students on the weak labels as they are."""

from w2s_probes.students.head import Loss

from ..experiment import Experiment, Outcome


def plain_student(experiment: Experiment, *, loss: Loss) -> Outcome:
    """A student trained on every weak label with this loss."""
    return Outcome(experiment.train_student(experiment.weak_train, loss=loss))
