"""How far a command is: a bar on a terminal, nothing elsewhere, or lines of JSON for batch systems."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..printable import visible
from . import terminal

Kind = Literal["auto", "json", "none"]
Report = Callable[[str, int, int], None]  # what is being done, steps done, steps in all
EVERY = 5.0  # seconds between lines of JSON


def wanted() -> bool:
    """Whether a bar can be drawn and is wanted; colours may be forced on a file, where a bar would be rubbish."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not terminal.quiet()


@contextmanager
def steps() -> Iterator[Report]:
    """A bar on stderr with the time left, where stderr is a terminal."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=terminal.err, transient=True, disable=not wanted()) as bar:
        task = bar.add_task("", total=None)
        yield lambda doing, done, total: bar.update(task, description=visible(doing), completed=done, total=total)


@contextmanager
def rows(kind: Kind) -> Iterator[Callable[[Any], None]]:
    """A function that takes an extraction's `Done` and shows rows/s, tokens/s and the time left, on stderr."""
    meter = _Meter()
    if kind == "json":
        said = -EVERY

        def line(done: Any) -> None:
            nonlocal said
            now = time.monotonic()
            if now - said >= EVERY or done.rows == done.of_rows:
                said = now
                sys.stderr.write(json.dumps(meter.read(done)) + "\n")
                sys.stderr.flush()

        yield line
        return
    columns = (
        TextColumn("rows"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    shown = kind == "auto" and wanted()
    with Progress(*columns, console=terminal.err, transient=True, disable=not shown) as bar:
        task = bar.add_task("", total=None, speed="", left="loading the model")

        def update(done: Any) -> None:
            now = meter.read(done)
            speed = f"{now['rows_per_s']:,.0f} rows/s  {now['tokens_per_s']:,.0f} tokens/s"
            left = "" if now["eta_s"] is None else f"{clock(now['eta_s'])} left"
            bar.update(task, completed=done.rows, total=done.of_rows, speed=speed, left=left)

        yield update


class _Meter:
    """Speed since the first report, which comes with the first batch; the time left by tokens once they are counted."""

    def __init__(self) -> None:
        self._first: tuple[float, int, int] | None = None

    def read(self, done: Any) -> dict[str, Any]:
        now = time.monotonic()
        if self._first is None:
            self._first = now, done.rows, done.tokens
        began, rows, tokens = self._first
        seconds = now - began
        rate = (done.rows - rows) / seconds if seconds else 0.0
        token_rate = (done.tokens - tokens) / seconds if seconds else 0.0
        left = None
        if done.of_tokens is not None and token_rate:
            left = (done.of_tokens - done.tokens) / token_rate
        elif rate:
            left = (done.of_rows - done.rows) / rate
        return {
            "rows": done.rows,
            "of_rows": done.of_rows,
            "tokens": done.tokens,
            "of_tokens": done.of_tokens,
            "rows_per_s": round(rate, 1),
            "tokens_per_s": round(token_rate, 1),
            "eta_s": None if left is None else round(max(left, 0.0), 1),
        }


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
