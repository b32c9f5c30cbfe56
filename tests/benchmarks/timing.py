"""Two ways of doing the same, timed in turns, so that a busy machine slows both."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    what: str
    ours: float
    reference: float
    unit: str
    against: str
    ratio: float  # in the direction of the bar
    bar: float
    at_least: bool = True

    @property
    def ok(self) -> bool:
        """Whether the bar is reached."""
        return self.ratio >= self.bar if self.at_least else self.ratio <= self.bar


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turns(ours: Callable[[], object], reference: Callable[[], object], times: int) -> tuple[float, float, float]:
    """Median seconds of both, and the median of reference / ours over pairs that were run one after the other.

    Who is first changes from pair to pair; a run of each before the first pair is not counted.
    """
    pairs = []
    ours(), reference()
    for turn in range(times):
        if turn % 2:
            there = seconds(reference)
            pairs.append((seconds(ours), there))
        else:
            here = seconds(ours)
            pairs.append((here, seconds(reference)))
    table = np.array(pairs)
    return float(np.median(table[:, 0])), float(np.median(table[:, 1])), float(np.median(table[:, 1] / table[:, 0]))
