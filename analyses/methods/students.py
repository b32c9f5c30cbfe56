"""Students on the weak labels as they are."""

from w2s_probes.losses.names import LossName

from ..experiment.view import Experiment, Outcome


def plain_student(experiment: Experiment, *, loss: LossName) -> Outcome:
    """Train a student on every weak label with this loss."""
    return experiment.outcome(experiment.train(experiment.weak_train, loss=loss))
