"""A thread that keeps claims alive: it touches their open files as long as this process lives."""

import os
import threading
from contextlib import suppress

RENEWALS = 6  # in each lease


class Renewal:
    """A thread that touches open files several times in a lease; started with the first of them."""

    def __init__(self, lease: float) -> None:
        self._pause, self._open = lease / RENEWALS, set[int]()
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, descriptor: int) -> None:
        with self._lock:
            self._open.add(descriptor)
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew, daemon=True)
                self._thread.start()

    def remove(self, descriptor: int) -> None:
        with self._lock:
            self._open.discard(descriptor)

    def end(self) -> None:
        self._ended.set()

    def __enter__(self) -> "Renewal":
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._open.clear()
        self.end()

    def _renew(self) -> None:
        while not self._ended.wait(self._pause):
            with self._lock:  # a file is not closed, and its number given to another, while it is touched
                for descriptor in self._open:
                    with suppress(OSError):  # deleted on a network disk: the claim is lost, the work goes on
                        os.utime(descriptor)
