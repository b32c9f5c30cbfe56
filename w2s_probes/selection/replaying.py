"""Learners played over a record of rewards: what they chose, and how far they stay behind the best student."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..randomness import stream
from .online_learners import OnlineLearner, checked_rewards


@dataclass(frozen=True)
class Replay:
    """A learner's course over T rounds."""

    chosen: NDArray[np.intp]  # (T,) the student of each round
    weights: NDArray[np.float64]  # (T, K) their chances, as they were before the round
    curve: NDArray[np.float64]  # (T,) regret so far to the student that is best over all rounds
    best: int  # that student, which only hindsight knows

    @property
    def regret(self) -> float:
        """The regret over all rounds to the best student in hindsight; below 0 where switching was better than any."""
        return float(self.curve[-1])


def replay(rewards: ArrayLike, learner: OnlineLearner, seed: int = 0) -> Replay:
    """Play a learner, from equal weights, over the rewards (T, K) in [0, 1] of every student in every round.

    Choices are drawn by the seed's own stream, so that learners on one seed see the same luck. The learner that is
    given stays as it is. InputError for rewards of another number of students, or outside [0, 1].

    >>> from w2s_probes.selection import Hedge
    >>> played = replay(np.tile([0.2, 0.8], (100, 1)), Hedge(2, 100))
    >>> played.best, bool(played.regret < Hedge(2, 100).bound)
    (1, True)
    """
    values = checked_rewards(rewards, (-1, learner.K))
    if not len(values):
        raise InputError("rewards have no rounds: at least one is needed")
    chosen, weights = learner.play(values, stream(seed, "replay").random(len(values)))
    best = int(values.sum(axis=0).argmax())
    return Replay(chosen, weights, np.cumsum(values[:, best] - values[np.arange(len(values)), chosen]), best)
