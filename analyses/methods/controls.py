"""Controls, without which a filter's result cannot be read: as many rows removed, for other reasons."""

import numpy as np
from numpy.typing import NDArray

from w2s_probes.filtering import KEPT, FilterResult
from w2s_probes.randomness import stream

from ..experiment import Experiment, Outcome


def random_filter(experiment: Experiment) -> Outcome:
    """A student trained without as many rows as a filter drops, chosen at random, of each class its share."""
    positive = experiment.weak_train > 0.5
    rng = stream(experiment.seed, "random filter")
    first = np.zeros(len(positive))
    for side in (positive, ~positive):
        first[side] = (rng.permutation(int(side.sum())) + 0.5) / max(1, side.sum())
    return _without(experiment, -first, "at random")


def confidence_filter(experiment: Experiment) -> Outcome:
    """A student trained without the rows of which the weak supervisor is least sure: no probe is asked."""
    return _without(experiment, -np.abs(experiment.weak_train - 0.5), "least confident")


def oracle_filter(experiment: Experiment) -> Outcome:
    """A student trained without the rows whose weak labels are farthest from the truth: the best a filter can do."""
    return _without(experiment, np.abs(experiment.weak_train - experiment.true_train()), "farthest from the truth")


def _without(experiment: Experiment, badness: NDArray[np.float64], reason: str) -> Outcome:
    """A student trained without the worst rows, as many as the recipe's contamination says; ties by row order."""
    share = experiment.probes.contamination
    count = round(len(badness) * share)
    mask = np.ones(len(badness), dtype=bool)
    mask[np.argsort(-badness, kind="stable")[:count]] = False
    scores = experiment.judged(experiment.train(experiment.weak_train, mask))
    reasons = np.where(mask, KEPT, reason).astype(object)
    # No probe was asked, so there is no distance to a probe's opinion.
    result = FilterResult(mask, np.full(len(mask), np.nan), reasons, experiment.weak_train, count)
    return Outcome(scores, contamination=share, notes={"removed": float(count)}, filtered=result)
