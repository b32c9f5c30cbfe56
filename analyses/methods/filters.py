"""Filters: a student trained on the weak labels that a probe does not object to."""

from dataclasses import replace

from ..experiment import Experiment, Outcome


def probe_filter(experiment: Experiment, *, probe: str) -> Outcome:
    """A student trained without the rows that the probe's filter drops."""
    result = experiment.filtered(probe)
    outcome = experiment.probe_outcome(probe, experiment.train(experiment.weak_train, result.mask))
    return replace(outcome, contamination=experiment.probes.contamination, notes=result.report(), filtered=result)


def probe_filter_relabel(experiment: Experiment, *, probe: str) -> Outcome:
    """A student trained on the probe's opinion of the rows that its filter keeps."""
    result = experiment.filtered(probe)
    taught = experiment.opinion(probe)
    outcome = experiment.probe_outcome(probe, experiment.train(taught, result.mask))
    share = experiment.probes.contamination
    return replace(outcome, contamination=share, notes=result.report(), filtered=result, taught=taught)
