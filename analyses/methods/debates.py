"""Controls of a debate: the supervisor itself, with one thing changed of what its members read; none is a student."""

from w2s_probes.errors import InputError

from ..experiment import Experiment, Lessons, Outcome
from ..experiment.row_sets import scored


def debate_control(experiment: Experiment, *, control: str) -> Lessons:
    """The members' mean of the evaluation sets under a control, by what follows `control-debate-`."""
    if experiment.debates is None:
        raise InputError("there is no debate: its settings are the recipe's [debate]")
    scores = yield from experiment.debates.labels(control)
    debates = experiment.debates
    return Outcome(scored(scores), trusted=debates.n_truth, notes=debates.notes(control))
