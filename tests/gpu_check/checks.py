"""A check, what it is run with, and what it finds: values, each with its bar, or an error; one never hides another."""

import gc
import json
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, Literal

Status = Literal["pass", "miss", "measured", "failed", "left out"]


@dataclass(frozen=True)
class Finding:
    """One value of a check, beside a reference; or its error."""

    check: str
    what: str
    ours: float | None = None
    unit: str = ""
    reference: float | None = None
    beside: str = ""  # what the reference is
    ratio: float | None = None  # what the bar is for
    bar: float | None = None
    at_least: bool = True
    status: Status = "measured"
    said: str = ""  # an error, or why it was left out

    def judged(self) -> "Finding":
        """With its status."""
        if self.bar is None or self.ratio is None:
            return self
        reached = self.ratio >= self.bar if self.at_least else self.ratio <= self.bar
        return replace(self, status="pass" if reached else "miss")


@dataclass(frozen=True)
class Setting:
    """What checks are run with."""

    device: str  # cuda, or cpu where there is none and the checks themselves are tried
    size: Literal["full", "small"]
    folder: Path  # for models and stores

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.startswith("cuda")

    def of(self, full: Any, small: Any) -> Any:
        """A size."""
        return full if self.size == "full" else small


@dataclass(frozen=True)
class Check:
    """A check: its name, the seconds that it may take, and what it does."""

    name: str
    seconds: float
    run: Callable[[Setting], Iterator[Finding]]


class TimeIsUp(BaseException):
    """A check took longer than it may. No error that a library would catch and make another of."""


def run_check(check: Check, setting: Setting) -> Iterator[Finding]:
    """The findings of a check; an error, whatever it is, is one of them. What it held is let go."""
    found = 0
    try:
        with alarm(check.seconds):
            for finding in check.run(setting):
                found += 1
                yield replace(finding, check=check.name).judged()
    except TimeIsUp:
        said = f"took longer than the {check.seconds:.0f} s that it may"
        yield Finding(check.name, "ended in time", status="failed", said=said)
    except Exception as error:  # noqa: BLE001  # the other checks are to be run whatever this one does
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        yield Finding(check.name, "ran to its end", status="failed", said=said)
    else:
        if not found:
            yield Finding(check.name, "found something", status="failed", said="it found nothing")
    let_go()


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise TimeIsUp inside the block after so many seconds."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def let_go() -> None:
    """Free what a check held on the GPU, and every limit that it set there."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def in_turn(checks: Iterable[Check], setting: Setting, until: float, seen: Callable[[dict[str, Any]], None]) -> None:
    """Run checks, and tell `seen` of each beginning and finding; those for which time is too short are named.

    `until` is when all has to be over, by the monotonic clock.
    """
    for check in checks:
        left = until - time.monotonic()
        if left < check.seconds:
            said = f"may take {check.seconds:.0f} s, and {max(left, 0):.0f} s were left"
            seen(asdict(Finding(check.name, "all of it", status="left out", said=said)))
            seen({"ended": check.name, "seconds": 0.0})
            continue
        seen({"began": check.name})
        began = time.monotonic()
        for finding in run_check(check, setting):
            seen(asdict(finding))
        seen({"ended": check.name, "seconds": time.monotonic() - began})


def clock(work: Callable[[], object], device: str) -> float:
    """Seconds of some work, the device's part of it included."""
    import torch

    synchronize: Callable[[], None] = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    synchronize()
    began = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - began


def turns(ours: Callable[[], object], theirs: Callable[[], object], device: str, times: int) -> tuple[float, float]:
    """The least seconds of both, run in turns after a run of each that is not counted."""
    ours(), theirs()
    pairs = [(clock(ours, device), clock(theirs, device)) for _ in range(times)]
    return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)


def written(line: dict[str, Any]) -> str:
    """A line of the file by which a process that runs checks tells what it has found."""
    return json.dumps(line) + "\n"
