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


def processes() -> int:
    """The number of processes that torchrun has started, or 1."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@dataclass(frozen=True)
class StepTime:
    """The time of one step, in seconds."""

    seconds: float  # in all, reading what was kept included
    made: dict[str, float]  # seconds by kind of what had to be made, each without what it needed made; none: all kept


@dataclass
class _Record:
    """The times of one step, in seconds."""

    own: float = 0.0  # spent in its own code, and in what that made
    charged: float = 0.0  # its share of what was made together
    made: dict[str, float] = field(default_factory=dict)
    kind: str = ""  # of its own result, where that was made


@dataclass
class Clock:
    """Counts steps as they end, and times what is made in them. Several steps may be under way; one has the floor.

    >>> clock = Clock(total=1)
    >>> with clock.step("boolq, seed 0: ceiling"), clock.timer("opinions"):
    ...     pass
    >>> clock.charge("boolq, seed 0: ceiling", "trained", 1.5)
    >>> clock.taken("boolq, seed 0: ceiling")
    StepTime(seconds=1.5, made={'opinions': 0.0, 'trained': 1.5})
    """

    progress: Progress = silent
    total: int = 0
    done: int = 0
    doing: str = ""
    _records: dict[str, _Record] = field(default_factory=dict)
    _within: float = 0.0  # seconds that the innermost thing being made has spent on others

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Give a step the floor, and report it."""
        before, began = self.doing, time.monotonic()
        self.report(name)
        try:
            yield
        finally:
            self._record(name).own += time.monotonic() - began
            self.doing = before

    def report(self, doing: str) -> None:
        """Report what is being done."""
        self.doing = doing
        self.progress(doing, self.done, self.total)

    def within(self, doing: str) -> None:
        """Report a part of it."""
        self.progress(f"{self.doing} ({doing})", self.done, self.total)

    def finished(self, name: str) -> None:
        """Count a step that has ended."""
        self.done += 1
        self.progress(name, self.done, self.total)

    @contextmanager
    def timer(self, kind: str) -> Iterator[None]:
        """Time the making of a result. Its time counts for its own kind alone, not for that of the whole."""
        began, outside, self._within = time.monotonic(), self._within, 0.0
        try:
            yield
        finally:
            whole = time.monotonic() - began
            made = self._record(self.doing).made
            made[kind] = made.get(kind, 0.0) + whole - self._within
            self._within = outside + whole

    def makes(self, kind: str) -> None:
        """The step that has the floor makes a result of this kind: what else it does is part of that."""
        self._record(self.doing).kind = kind

    def charge(self, name: str, kind: str, seconds: float) -> None:
        """Add a step's share of something that was made for several."""
        record = self._record(name)
        record.charged += seconds
        record.made[kind] = record.made.get(kind, 0.0) + seconds

    def taken(self, name: str) -> StepTime:
        """The time of a step so far, to the hundredth of a second."""
        record = self._record(name)
        made = dict(record.made)
        if record.kind:
            made[record.kind] = max(0.0, record.own + record.charged - sum(made.values()))
        made = {kind: round(seconds, 2) for kind, seconds in made.items()}
        return StepTime(round(record.own + record.charged, 2), made)

    def finish(self) -> None:
        """Report that all steps are done."""
        self.progress("done", self.total, self.total)

    def _record(self, name: str) -> _Record:
        return self._records.setdefault(name, _Record())
