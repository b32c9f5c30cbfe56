"""Learners that choose among K students round by round, from the rewards of the rounds before."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, did_you_mean
from .payoffs import a_number, numbers, whole_number

Form = Literal["loss", "published"]
Values = NDArray[np.float64]


@dataclass
class OnlineLearner:
    """Weights over K students for T rounds. The weights are kept as logarithms, which nothing overflows."""

    K: int  # students
    T: int  # rounds
    log_weights: Values = field(init=False, repr=False)  # (K,), the largest 0

    def __post_init__(self) -> None:
        for name in ("K", "T"):
            if not whole_number(value := getattr(self, name)):
                raise InputError(f"{name} = {value!r} must be a whole number")
        if self.K < 2:
            raise InputError(f"K = {self.K}: a choice needs at least two students")
        if self.T < 1:
            raise InputError(f"T = {self.T}: at least one round is needed")
        self.log_weights = np.zeros(self.K)

    @property
    def p(self) -> Values:
        """The probability (K,) of each student in the next round."""
        weights = np.exp(self.log_weights)
        return np.asarray(weights / weights.sum())

    @property
    def bound(self) -> float:
        """The regret to the best student that is not exceeded, in expectation where choices are drawn; NaN: none."""
        return float("nan")

    def choose(self, u: float) -> int:
        """The student of a number u in [0, 1): the first whose cumulative probability is above it."""
        return min(int(np.searchsorted(np.cumsum(self.p), u, side="right")), self.K - 1)

    def play(self, rewards: Values, draws: Values) -> tuple[NDArray[np.intp], Values]:
        """The student (T,) of each round and the chances (T, K) before it, over rewards (T, K) and draws (T,).

        Played from equal weights, and not from this learner's own, which stay as they are.
        """
        return _drawn(np.full(np.shape(rewards), 1 / self.K), draws)

    def _add(self, steps: Values) -> None:
        """Add to the logarithms of the weights, which are kept at 0 and below."""
        self.log_weights = self.log_weights + steps
        self.log_weights -= self.log_weights.max()


@dataclass
class Uniform(OnlineLearner):
    """Any student with the same chance in every round: what learning is compared with.

    >>> Uniform(4, 100).p.tolist()
    [0.25, 0.25, 0.25, 0.25]
    """


@dataclass
class Hedge(OnlineLearner):
    """Exponential weights with the rewards of every student, η = √(8 ln K / T) (Freund and Schapire 1997).

    With binary labels one audited row scores every student, so that this is the feedback that a user has.

    >>> hedge = Hedge(3, 10)
    >>> hedge.update([0.9, 0.4, 0.7])
    >>> hedge.p.round(6).tolist()
    [0.407362, 0.254922, 0.337716]
    """

    @property
    def eta(self) -> float:
        """The rate of learning."""
        return float(np.sqrt(8 * np.log(self.K) / self.T))

    @property
    def bound(self) -> float:
        """√(T ln K / 2), of the expected regret."""
        return float(np.sqrt(self.T * np.log(self.K) / 2))

    def update(self, rewards: ArrayLike) -> None:
        """Take the rewards (K,) of every student in a round, in [0, 1]."""
        self._add(self.eta * checked_rewards(rewards, (self.K,)))

    def play(self, rewards: Values, draws: Values) -> tuple[NDArray[np.intp], Values]:
        """The student (T,) of each round and the chances (T, K) before it; what was drawn changes no weight."""
        sums = self.eta * np.vstack([np.zeros((1, self.K)), np.cumsum(rewards, axis=0)[:-1]])
        weights = np.exp(sums - sums.max(axis=1, keepdims=True))
        return _drawn(weights / weights.sum(axis=1, keepdims=True), draws)


@dataclass
class Exp3(OnlineLearner):
    """Exponential weights with the reward of the chosen student alone: η = lr √(ln K / (K T)), γ = η / 2.

    `loss` adds -η (1 - r) / (p + γ) to the chosen student's log weight; its regret is bounded. `published` adds
    η r / (p + γ), as the code of PROTECTED does: it pays a student for being chosen, gets stuck with one, and after a
    change of regime its regret grows with every round.

    >>> exp3 = Exp3(3, 10, lr=2, form="published")
    >>> exp3.update(0, 0.9)
    >>> exp3.p.round(6).tolist()
    [0.490835, 0.254582, 0.254582]
    """

    lr: float = float(np.sqrt(2))  # multiplies the rate of learning; at √2 the bound is least
    form: Form = "loss"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not a_number(self.lr) or not 0 < self.lr < np.inf:
            raise InputError(f"lr = {self.lr!r} must be a number above 0")
        if self.form not in get_args(Form):
            raise InputError(f"form {self.form!r}: {did_you_mean(str(self.form), get_args(Form))}")

    @cached_property
    def eta(self) -> float:
        """The rate of learning."""
        return float(self.lr * np.sqrt(np.log(self.K) / (self.K * self.T)))

    @property
    def gamma(self) -> float:
        """The least chance that a reward is divided by, beside its student's."""
        return self.eta / 2

    @property
    def bound(self) -> float:
        """ln K / η + η K T / 2 of the loss form, √(2 T K ln K) at lr = √2, of the expected regret; else NaN.

        It is that of exponential weights without γ, which trades a little bias for less variance.
        """
        if self.form == "published":
            return float("nan")
        return float(np.log(self.K) / self.eta + self.eta * self.K * self.T / 2)

    def update(self, chosen: int, reward: float) -> None:
        """Take the reward in [0, 1] of the student that was chosen in a round."""
        if not whole_number(chosen) or not 0 <= chosen < self.K:
            raise InputError(f"student {chosen} was chosen, but there are {self.K}: 0 to {self.K - 1}")
        value = float(checked_rewards([reward], (1,))[0])
        steps = np.zeros(self.K)
        steps[chosen] = self.step(value, float(self.p[chosen]))
        self._add(steps)

    def step(self, reward: float, chance: float) -> float:
        """What is added to the log weight of a student that was chosen with this chance and got this reward."""
        gain = reward if self.form == "published" else reward - 1
        return self.eta * gain / (chance + self.eta / 2)

    def play(self, rewards: Values, draws: Values) -> tuple[NDArray[np.intp], Values]:
        """The student (T,) of each round and the chances (T, K) before it."""
        # In plain numbers: an array of a few students costs ten times as much a round.
        logs, chosen, weights = [0.0] * self.K, list[int](), list[list[float]]()
        for row, u in zip(rewards.tolist(), draws.tolist(), strict=True):
            most = max(logs)
            raised = [math.exp(one - most) for one in logs]
            whole = sum(raised)
            chances = [one / whole for one in raised]
            arm, passed = 0, chances[0]
            while passed <= u and arm < self.K - 1:
                arm += 1
                passed += chances[arm]
            chosen.append(arm)
            weights.append(chances)
            logs[arm] += self.step(row[arm], chances[arm])
        return np.array(chosen, dtype=np.intp), np.array(weights)


def _drawn(weights: Values, draws: Values) -> tuple[NDArray[np.intp], Values]:
    """The student (T,) of each round, the first whose cumulative chance exceeds the round's draw; and the weights."""
    passed = (np.cumsum(weights, axis=1) <= draws[:, None]).sum(axis=1)
    return np.minimum(passed, weights.shape[1] - 1), weights


def checked_rewards(rewards: ArrayLike, shape: tuple[int, ...]) -> Values:
    """Rewards of this shape, where -1 stands for any number; InputError unless they are numbers in [0, 1]."""
    values = numbers(rewards, "rewards")
    if values.ndim != len(shape) or any(want not in (-1, have) for want, have in zip(shape, values.shape, strict=True)):
        wanted = ", ".join("any number" if want < 0 else str(want) for want in shape)
        raise InputError(f"rewards have the shape {values.shape}: ({wanted}) is wanted, one number a student")
    if not np.isfinite(values).all():
        raise InputError("rewards must be finite numbers")
    if values.size and (values.min() < 0 or values.max() > 1):
        most = np.abs(values).max()
        remedy = f"divide by {most:g}" if values.min() >= 0 else "shift and scale them"
        raise InputError(f"rewards lie in [{values.min():g}, {values.max():g}], which is not within [0, 1]: {remedy}")
    return values
