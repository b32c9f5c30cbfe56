"""The optimiser of many heads: Adam on one matrix, a row a head."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from .standard_rows import OwnStandards

FIRST, SECOND, LEAST = 0.9, 0.999, 1e-8  # Adam's betas and epsilon, as torch has them


class HeadWeights:
    """Weights (heads, d + 1) of heads, bias last, and their Adam states.

    A head's log-odds are one row of weights, where a layer of two logits has two: their gradients are opposite, so
    that Adam moves the difference by twice what it moves either. The last heads have standards of their own.
    """

    def __init__(
        self, initial: torch.Tensor, own: OwnStandards | None, rates: Sequence[float], penalties: Sequence[float]
    ) -> None:
        self.shared = len(initial) - (0 if own is None else len(own.factor))  # heads that read x of all rows as it is
        self.seen = initial.clone()  # on x of all rows
        self.own = own
        self._own_weights = initial[self.shared :].clone()
        self._rates = torch.tensor(rates)[:, None]
        self._penalties = torch.tensor(penalties)[:, None]
        self._mean, self._square = torch.zeros_like(initial), torch.zeros_like(initial)
        self._steps = 0
        self._arrange()

    def _arrange(self) -> None:
        """Set what follows from the heads that are left."""
        self.gradient, self._divisor = torch.empty_like(self.seen), torch.empty_like(self.seen)
        self._rate = float(self._rates[0]) if bool((self._rates == self._rates[0]).all()) else None
        self._penalized = bool(self._penalties.any())
        pull = (2 * self._penalties).expand(self.seen.shape).clone()
        pull[:, -1] = 0  # bias free
        matrices = self.gradient, self._mean, self._divisor, self._rates, pull
        shared, own = slice(self.shared), slice(self.shared, None)
        both = ((self.seen[shared], shared), (self._own_weights, own))
        self._parts = [
            _OwnOrShared(weights, *(matrix[span] for matrix in matrices)) for weights, span in both if len(weights)
        ]
        self._own_gradient, self._own_seen, self._own_bias = self.gradient[own], self.seen[own], self.seen[own, -1]
        if self.own is not None:
            self.own.seen(self._own_weights, self._own_seen, self._own_bias)

    def keep(self, heads: Sequence[int]) -> None:
        """Go on with these heads alone, in ascending order."""
        index = torch.tensor(heads, dtype=torch.long)
        own = index[index >= self.shared] - self.shared
        self.shared = int((index < self.shared).sum())
        for name in ("seen", "_rates", "_penalties", "_mean", "_square"):
            setattr(self, name, getattr(self, name)[index])
        self._own_weights = self._own_weights[own]
        self.own = self.own.keep(own) if self.own is not None and len(own) else None
        self._arrange()

    def step(self) -> None:
        """Update by `gradient`, that of the losses by `seen`, which is overwritten."""
        self._steps += 1
        gradient = self.gradient
        if self.own is not None:
            self.own.pull_back(self._own_gradient)
        if self._penalized:
            for part in self._parts:
                part.gradient.addcmul_(part.weights, part.pull)
        self._mean.lerp_(gradient, 1 - FIRST)
        self._square.mul_(SECOND).addcmul_(gradient, gradient, value=1 - SECOND)
        second = (1 - SECOND**self._steps) ** 0.5
        torch.sqrt(self._square, out=self._divisor).add_(LEAST * second)
        size = 2 * second / (1 - FIRST**self._steps)
        for part in self._parts:
            if self._rate is not None:
                part.weights.addcdiv_(part.mean, part.divisor, value=-size * self._rate)
            else:
                part.weights.addcmul_(part.mean / part.divisor, -size * part.rates)
        if self.own is not None:
            self.own.seen(self._own_weights, self._own_seen, self._own_bias)


class _OwnOrShared(NamedTuple):
    """Heads of one kind: rows of the matrices."""

    weights: torch.Tensor
    gradient: torch.Tensor
    mean: torch.Tensor
    divisor: torch.Tensor
    rates: torch.Tensor
    pull: torch.Tensor
