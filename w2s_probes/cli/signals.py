"""SIGTERM and SIGHUP end a command as Ctrl-C does, so that what it has begun elsewhere is ended, too."""

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT  # as shells have it
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
AGAIN = 2.0  # seconds within which signals are one: `timeout`, say, sends its own to the process and to its group


class Ended(KeyboardInterrupt):
    """A signal has asked this process to end."""


class Ending:
    """The signal that has ended a command, if any: what is raised may not get through the libraries on the way.

    As the `last` thing that a process does, a signal that comes after the command, while libraries clear up, ends the
    process with the signal's code, too; in the moments in which Python itself is taken apart, it does nothing.
    """

    def __init__(self, *, last: bool = False) -> None:
        self.code = INTERRUPTED  # to exit with
        self._since: float | None = None
        self._last = last
        if self._last:
            atexit.register(_ignore)  # the first to be registered is the last to be called

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
                signal.signal(number, _leave if self._last else signal.SIG_DFL)

    def _end(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._since is not None and now - self._since < AGAIN:
            return
        self.code, self._since = 128 + number, now
        raise Ended


def _leave(number: int, frame: FrameType | None) -> None:
    """End at once. What the command has made is whole by now."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, RuntimeError):  # gone, closed, or interrupted in this very call
            stream.flush()
    os._exit(128 + number)


def _ignore() -> None:
    """From here on Python would put the default back in place of any function, and the process would end by it."""
    for number in SIGNALS:
        if signal.getsignal(number) is _leave:
            signal.signal(number, signal.SIG_IGN)
