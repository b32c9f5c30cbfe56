"""Labels judged by a noise channel or by cleanlab: students taught a posterior, or what is left without its doubts."""

import numpy as np

from w2s_probes.filtering.by_judgement import channel_filter, confident_filter
from w2s_probes.filtering.judges import CHANNEL, CONFIDENT
from w2s_probes.metrics.intervals import Estimate
from w2s_probes.noise.channel import ChannelEstimate, channel_model

from ..experiment import Experiment, FilterDecision, Lessons
from ..lessons.result_cache import Arrays, Record, array_hash


def channel_of(experiment: Experiment) -> ChannelEstimate:
    """The noise channel of the weak labels, with the recipe's penalty of the logistic probe; cached."""
    X, weak, penalty = experiment.X_train, experiment.weak_train, experiment.probes.logistic_l2

    def make() -> tuple[Arrays, Record]:
        found = channel_model(X, weak, l2=penalty, groups=experiment.groups, seed=experiment.seed)
        rates = np.array([[rate.value, rate.low, rate.high] for rate in (found.rate_01, found.rate_10)])
        arrays: Arrays = {"p": found.p, "posterior": found.posterior, "folds": found.folds, "rates": rates}
        return arrays, {"status": found.status}

    described = {"activations": array_hash(X), "labels": array_hash(weak), "l2": penalty, "seed": experiment.seed}
    arrays, record = experiment.cache.get(CHANNEL, described | {"groups": array_hash(experiment.group_codes)}, make)
    of_0, of_1 = (Estimate(*map(float, ends)) for ends in arrays["rates"])
    return ChannelEstimate(record["status"], of_0, of_1, arrays["p"], arrays["posterior"], weak, arrays["folds"])


def channel_relabel(experiment: Experiment) -> Lessons:
    """Teach a student the posterior of each row: what a probe of other rows and the row's own label say together."""
    found = channel_of(experiment)
    student = yield experiment.lesson(found.posterior)
    return experiment.outcome(student, probe=CHANNEL, l2=experiment.probes.logistic_l2, notes=found.notes)


def channel_removal(experiment: Experiment) -> FilterDecision:
    """Drop the rows whose posterior contradicts their label, as many as there are."""
    return FilterDecision(
        channel_filter(experiment.weak_train, channel_of(experiment).posterior), experiment.weak_train
    )


def channel_student(experiment: Experiment) -> Lessons:
    """Teach a student the rows that `channel_removal` leaves."""
    found = channel_of(experiment)
    result = channel_filter(experiment.weak_train, found.posterior)
    student = yield experiment.lesson(experiment.weak_train, result.mask)
    penalty, notes = experiment.probes.logistic_l2, result.report() | found.notes
    return experiment.outcome(student, probe=CHANNEL, l2=penalty, notes=notes, filtered=result)


def confident_removal(experiment: Experiment) -> FilterDecision:
    """Drop the rows that cleanlab takes for label issues, by the logistic probe's out-of-sample scores."""
    result = confident_filter(experiment.weak_train, experiment.out_of_sample_scores("logistic"))
    return FilterDecision(result, experiment.weak_train)


def confident_student(experiment: Experiment) -> Lessons:
    """Teach a student the rows that `confident_removal` leaves."""
    removal = confident_removal(experiment)
    student = yield experiment.lesson(removal.labels, removal.result.mask)
    penalty, result = experiment.probes.logistic_l2, removal.result
    return experiment.outcome(student, probe=CONFIDENT, l2=penalty, notes=result.report(), filtered=result)
