"""Controls, without which a filter's result cannot be read."""

import numpy as np

from w2s_probes.randomness import stream

from ..experiment import Experiment, Outcome


def random_filter(experiment: Experiment) -> Outcome:
    """A student trained without as many rows as a filter drops, chosen at random."""
    n, share = len(experiment.weak_train), experiment.probes.contamination
    mask = np.ones(n, dtype=bool)
    mask[stream(experiment.seed, "random filter").permutation(n)[: round(n * share)]] = False
    return Outcome(experiment.train_student(experiment.weak_train, mask), contamination=share)
