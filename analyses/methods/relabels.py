"""Relabelling: a student trained on a probe's out-of-sample opinion in place of the weak labels."""

from ..experiment.view import Experiment, Outcome


def probe_relabel(experiment: Experiment, *, probe: str) -> Outcome:
    """A student trained on the probe's P(label = 1) of each row, from a probe that did not learn that row."""
    return experiment.outcome(experiment.train(experiment.opinion(probe)), **experiment.probe_settings(probe))
