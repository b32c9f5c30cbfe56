"""Lines of a log: one at each step, and one each half minute while a step lasts, so that no log falls silent."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

EVERY = 30.0  # seconds without a line after which there is one


@dataclass(frozen=True)
class ProgressLine:
    """A line of progress: as text, and as facts for JSON."""

    text: str
    facts: dict[str, Any]


@dataclass
class ProgressLines:
    """Writes lines to stderr, the latest of them again and again until the next.

    A thread of its own keeps time: what computes for minutes calls nothing here.
    """

    as_json: bool
    least: float | None  # seconds between two steps that are shown; None: none is, but for each half minute
    every: float
    _now: Callable[[], ProgressLine] | None = None
    _told: float = -float("inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[Self]:
        """While a command works."""
        self._told = time.monotonic() if self.least is None else self._told
        keeper = threading.Thread(target=self._keep, name="progress", daemon=True)
        keeper.start()
        try:
            yield self
        finally:
            self._ended.set()
            keeper.join()

    def show(self, now: Callable[[], ProgressLine], *, last: bool = False) -> None:
        """Say where things stand from here on; `now` is called whenever a line is due. The `last` step is said."""
        with self._lock:
            self._now = now
            if self.least is not None and (last or time.monotonic() - self._told >= self.least):
                self._write()

    def _keep(self) -> None:
        while not self._ended.wait(min(1.0, self.every / 4)):
            with self._lock:
                if time.monotonic() - self._told >= self.every:
                    self._write()

    def _write(self) -> None:
        if self._now is None:
            return
        line = self._now()
        self._told = time.monotonic()
        if self.as_json and not line.facts:
            return
        text = json.dumps(line.facts) if self.as_json else f"{time.strftime('%H:%M:%S')} {line.text}"
        try:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):  # the log has gone, or is closed: the work goes on
            self._ended.set()
