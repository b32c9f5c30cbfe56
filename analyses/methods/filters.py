"""Filters: a student taught without the rows that a probe disagrees with."""

from ..experiment import Experiment, FilterDecision, Lessons


def probe_removal(experiment: Experiment, *, probe: str, relabels: bool = False) -> FilterDecision:
    """The filter's decision, and the labels of the rest: weak ones, or the probe's out-of-sample scores."""
    labels = experiment.out_of_sample_scores(probe) if relabels else experiment.weak_train
    return FilterDecision(experiment.filtered(probe), labels)


def probe_filter(experiment: Experiment, *, probe: str, relabels: bool = False) -> Lessons:
    """Teach a student without the rows that the probe's filter drops."""
    removal = probe_removal(experiment, probe=probe, relabels=relabels)
    student = yield experiment.lesson(removal.labels, removal.result.mask)
    return experiment.outcome(
        student,
        contamination=experiment.probes.contamination,
        notes=removal.result.report(),
        filtered=removal.result,
        taught=removal.labels if relabels else None,
        **experiment.probe_settings(probe),
    )
