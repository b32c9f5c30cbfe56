"""SIGTERM and SIGHUP end a command as Ctrl-C does, so that what it has begun elsewhere is ended, too."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT  # as shells have it
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
AGAIN = 2.0  # seconds within which signals are one: `timeout`, say, sends its own to the process and to its group


class Ended(KeyboardInterrupt):
    """Somebody has asked this process to end."""


class Ending:
    """Which signal has ended a command, if any has: what is raised may not get through the libraries on the way."""

    def __init__(self) -> None:
        self.code = INTERRUPTED  # to exit with
        self._since: float | None = None

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Raise `Ended` where a signal comes that would have ended the process without a word.

        Not in one of several processes that wait for each other: inside such a wait nothing would be raised.
        """
        alone = os.environ.get("WORLD_SIZE", "1") == "1"
        here = alone and threading.current_thread() is threading.main_thread()
        # One that is ignored stays so: `nohup`.
        mine = [number for number in SIGNALS if here and signal.getsignal(number) is signal.SIG_DFL]
        for number in mine:
            signal.signal(number, self._end)
        try:
            yield
        finally:
            for number in mine:
                signal.signal(number, signal.SIG_DFL)

    def _end(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._since is not None and now - self._since < AGAIN:
            return
        self.code, self._since = 128 + number, now
        raise Ended
