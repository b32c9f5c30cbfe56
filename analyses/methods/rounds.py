"""Students that teach students: rounds of the strong model, and steps through models between weak and strong."""

from w2s_probes.errors import InputError

from ..experiment.view import Experiment, Outcome


def strong_to_strong(experiment: Experiment, *, rounds: int) -> Outcome:
    """Train a student, then `rounds` times a fresh copy of the strong model on the scores of the one before."""
    student = experiment.train(experiment.weak_train)
    for _ in range(rounds):
        student = experiment.train(student["train"])
    return experiment.outcome(student)


def bootstrapping(experiment: Experiment) -> Outcome:
    """Train each intermediate model on the scores of the one before, the strong one last (Burns et al. 2023, 4.3.1)."""
    if not experiment.intermediate:
        raise InputError("method 'bootstrap' needs models between weak and strong: add [[intermediate]] to the recipe")
    labels = experiment.weak_train
    for learner in experiment.intermediate:
        labels = experiment.train(labels, learner=learner)["train"]
    return experiment.outcome(experiment.train(labels))
