"""Filters: a student trained on the weak labels that a probe does not object to."""

from ..experiment.view import Experiment, FilterDecision, Outcome


def probe_removal(experiment: Experiment, *, probe: str, relabels: bool = False) -> FilterDecision:
    """What the probe's filter drops; the student learns the weak labels, or the probe's opinion, of the rest."""
    labels = experiment.opinion(probe) if relabels else experiment.weak_train
    return FilterDecision(experiment.filtered(probe), labels)


def probe_filter(experiment: Experiment, *, probe: str, relabels: bool = False) -> Outcome:
    """A student trained without the rows that the probe's filter drops."""
    removal = probe_removal(experiment, probe=probe, relabels=relabels)
    return experiment.outcome(
        experiment.train(removal.labels, removal.result.mask),
        contamination=experiment.probes.contamination,
        notes=removal.result.report(),
        filtered=removal.result,
        taught=removal.labels if relabels else None,
        **experiment.probe_settings(probe),
    )
