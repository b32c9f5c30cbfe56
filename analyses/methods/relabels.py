"""Relabelling: a student taught a probe's out-of-sample scores in place of the weak labels."""

from ..experiment import Experiment, Lessons


def probe_relabel(experiment: Experiment, *, probe: str) -> Lessons:
    """Teach a student P(label = 1) of each row by a probe that did not learn that row."""
    student = yield experiment.lesson(experiment.out_of_sample_scores(probe))
    return experiment.outcome(student, **experiment.probe_settings(probe))
