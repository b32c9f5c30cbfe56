"""Relabelling: a student trained on a probe's out-of-sample scores in place of the weak labels."""

from ..experiment.view import Experiment, Outcome


def probe_relabel(experiment: Experiment, *, probe: str) -> Outcome:
    """Train a student on P(label = 1) of each row by a probe that did not learn that row."""
    return experiment.outcome(
        experiment.train(experiment.out_of_sample_scores(probe)), **experiment.probe_settings(probe)
    )
