"""A run's progress, and the time of its steps by kind of work."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from w2s_probes.progress import Progress, silent


def first_process() -> bool:
    """Whether this process reports and cleans up: the first of torchrun's, or the only one."""
    return os.environ.get("RANK", "0") == "0"


@dataclass(frozen=True)
class StepTime:
    """The time of one step, in seconds."""

    seconds: float  # in all, reading what was kept included
    made: dict[str, float]  # seconds by kind of what had to be made, each without what it needed made; none: all kept


@dataclass
class Clock:
    """Counts steps as they begin, and times what is made in them.

    >>> clock = Clock(total=2)
    >>> clock.next("ceiling")
    >>> with clock.timer("trained"):
    ...     pass
    >>> clock.taken().made
    {'trained': 0.0}
    """

    progress: Progress = silent
    total: int = 0
    done: int = 0
    doing: str = ""
    _began: float = 0.0
    _made: dict[str, float] = field(default_factory=dict)
    _within: float = 0.0  # seconds that the innermost thing being made has spent on others

    def next(self, doing: str) -> None:
        """Begin a step, and report it."""
        self.doing, self._began, self._made = doing, time.monotonic(), {}
        self.progress(doing, self.done, self.total)
        self.done += 1

    def within(self, doing: str) -> None:
        """Report a part of the step."""
        self.progress(f"{self.doing} ({doing})", max(0, self.done - 1), self.total)

    @contextmanager
    def timer(self, kind: str) -> Iterator[None]:
        """Time the making of a result. Its time counts for its own kind alone, not for that of the whole."""
        began, outside, self._within = time.monotonic(), self._within, 0.0
        try:
            yield
        finally:
            whole = time.monotonic() - began
            self._made[kind] = self._made.get(kind, 0.0) + whole - self._within
            self._within = outside + whole

    def taken(self) -> StepTime:
        """The time of the step so far, to the hundredth of a second."""
        made = {kind: round(seconds, 2) for kind, seconds in self._made.items()}
        return StepTime(round(time.monotonic() - self._began, 2), made)

    def finish(self) -> None:
        """Report that all steps are done."""
        self.progress("done", self.total, self.total)
