"""The filter of raters: a student taught without the rows that several raters disagree about most."""

from w2s_probes.errors import InputError
from w2s_probes.filtering.by_raters import RATERS, raters_filter

from ..experiment import Experiment, FilterDecision, Lessons


def raters_removal(experiment: Experiment) -> FilterDecision:
    """The filter's decision by the raters' disagreement alone: no probe is asked."""
    if experiment.disagreement is None:
        raise InputError(
            "there is one supervisor here, which disagrees with nobody: give weak.kind 'ensemble', or 'labels' with "
            "the `disagreement` of w2s combine"
        )
    result = raters_filter(experiment.weak_train, experiment.disagreement, experiment.probes.contamination)
    return FilterDecision(result, experiment.weak_train)


def raters_student(experiment: Experiment) -> Lessons:
    """Teach a student the rows that `raters_removal` leaves."""
    removal = raters_removal(experiment)
    student = yield experiment.lesson(removal.labels, removal.result.mask)
    return experiment.outcome(
        student,
        probe=RATERS,
        contamination=experiment.probes.contamination,
        notes=removal.result.report(),
        filtered=removal.result,
    )
