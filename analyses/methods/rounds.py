"""Students that teach students: rounds of the strong model, and steps through models between weak and strong."""

from w2s_probes.errors import InputError

from ..experiment import Experiment, Lessons


def strong_to_strong(experiment: Experiment, *, rounds: int) -> Lessons:
    """Teach a student, then `rounds` times a fresh copy of the strong model the scores of the one before."""
    student = yield experiment.lesson(experiment.weak_train)
    for _ in range(rounds):
        student = yield experiment.lesson(student["train"])
    return experiment.outcome(student)


def bootstrapping(experiment: Experiment) -> Lessons:
    """Teach each intermediate model the scores of the one before, the strong one last (Burns et al. 2023, 4.3.1)."""
    if not experiment.intermediate:
        raise InputError("method 'bootstrap' needs models between weak and strong: add [[intermediate]] to the recipe")
    labels = experiment.weak_train
    for learner in experiment.intermediate:
        student = yield experiment.lesson(labels, learner=learner)
        labels = student["train"]
    student = yield experiment.lesson(labels)
    return experiment.outcome(student)
