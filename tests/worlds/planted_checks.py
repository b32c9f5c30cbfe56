"""Checks that pass, miss, fail, hang, spoil their process and kill it. Processes import this: nothing heavy here."""

import os
import signal
import time
from collections.abc import Iterator

from tests.gpu_check.checks import Check, Finding, Setting


def passes(setting: Setting) -> Iterator[Finding]:
    """Two values, of which one is judged."""
    yield Finding("", "a value", 2.0, "s", 6.0, "another", 3.0, 2.5)
    yield Finding("", "a fact", 7.0, "GB")


def misses(setting: Setting) -> Iterator[Finding]:
    """A value beyond its bar, after which all else goes on."""
    yield Finding("", "an error", 0.2, "absolute", 0.0, "none", 0.2, 0.1, at_least=False)
    yield Finding("", "a value | of two lines\nin one", 1.0)


def fails(setting: Setting) -> Iterator[Finding]:
    """An error after the first value."""
    yield Finding("", "before it", 1.0)
    raise ValueError("of shapes\nthat differ")


def spoils(setting: Setting) -> Iterator[Finding]:
    """What a GPU says of a process that can do nothing more there."""
    if setting.device:
        raise RuntimeError("CUDA error: device-side assert triggered")
    yield Finding("", "the end", 1.0)


def says_its_process(setting: Setting) -> Iterator[Finding]:
    """Who did it."""
    yield Finding("", "process", float(os.getpid()))


def is_killed(setting: Setting) -> Iterator[Finding]:
    """As by a lack of memory."""
    yield Finding("", "before it", 1.0)
    os.kill(os.getpid(), signal.SIGKILL)


def takes_too_long(setting: Setting) -> Iterator[Finding]:
    """Longer than it may; it catches every error that a library would."""
    for _ in range(600):
        try:
            time.sleep(0.1)
        except Exception:  # noqa: BLE001  # as libraries do
            continue
    yield Finding("", "the end", 1.0)


CHECKS = [
    Check("passes", 5, passes),
    Check("misses", 5, misses),
    Check("fails", 5, fails),
    Check("process 1", 5, says_its_process),
    Check("spoils", 5, spoils),
    Check("process 2", 5, says_its_process),
    Check("is killed", 5, is_killed),
    Check("process 3", 5, says_its_process),
    Check("takes too long", 0.3, takes_too_long),
    Check("would take an hour", 3600, passes),
    Check("finds nothing", 5, lambda setting: iter(())),
    Check("process 4", 5, says_its_process),
]
