"""Progress of a command: a bar on a terminal, elsewhere a line each half minute, or lines of JSON for programs."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from ..printable import visible
from ..progress import Progress, RowProgress, RowsRead, silent
from . import terminal
from .options import Kind
from .progress_lines import EVERY, ProgressLine, ProgressLines
from .progress_speed import Speed, clock

STEP = 1.0  # seconds between two steps that `plain` and `json` show
ROWS = 5.0  # and between two reports of rows


def wanted() -> bool:
    """Whether a bar can be drawn and is wanted; colours may be forced on a file, where a bar would be rubbish."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not terminal.quiet()


@contextmanager
def steps(kind: Kind = "auto") -> Iterator[Progress]:
    """A function to call at each step; what it shows on stderr `kind` says.

    `auto`: a bar with the time left where stderr is a terminal, else a line each half minute (none with --quiet).
    `plain` and `json`: a line at each step, and each half minute during a long one.
    """
    if _bar(kind):
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Bar(*columns, console=terminal.err, transient=True) as bar:
            task = bar.add_task("", total=None)
            yield lambda doing, done, total: bar.update(task, description=visible(doing), completed=done, total=total)
        return
    if _silent(kind):
        yield silent
        return
    speed = Speed()
    with ProgressLines(kind == "json", STEP if kind != "auto" else None, EVERY).running() as lines:

        def step(doing: str, done: int, total: int, /) -> None:
            speed.at(done, total)
            lines.show(lambda: _step_line(doing, done, total, speed), last=total > 0 and done >= total)

        yield step


def _step_line(doing: str, done: int, total: int, speed: Speed) -> ProgressLine:
    seconds, left = speed.elapsed(), speed.left()
    text = f"{visible(doing)}: {done} of {total} done, {clock(seconds)} so far"
    text += "" if left is None else f", about {clock(left)} left"
    facts = {"doing": doing, "done": done, "total": total, "elapsed_s": round(seconds, 1)}
    return ProgressLine(text, facts | {"eta_s": None if left is None else round(left, 1)})


@contextmanager
def rows(kind: Kind = "auto", what: str = "rows") -> Iterator[RowProgress]:
    """A function to call with an extraction's `RowsRead`; shows rows/s, tokens/s and the time left as `steps` does.

    `what` the rows are called on a terminal and in lines of text.
    """
    speed, tokens = Speed(), Speed()

    def measure(read: RowsRead) -> ProgressLine:
        left = tokens.left() if read.of_tokens is not None and tokens.rate() else speed.left()
        facts = {
            "rows": read.rows,
            "of_rows": read.of_rows,
            "tokens": read.tokens,
            "of_tokens": read.of_tokens,
            "rows_per_s": round(speed.rate(), 1),
            "tokens_per_s": round(tokens.rate(), 1),
            "eta_s": None if left is None else round(left, 1),
        }
        remaining = "" if left is None else f", about {clock(left)} left"
        text = f"{speed.rate():,.0f} {what}/s, {tokens.rate():,.0f} tokens/s{remaining}"
        return ProgressLine(text, facts)

    def count(read: RowsRead) -> None:
        speed.at(read.rows, read.of_rows)
        tokens.at(read.tokens, read.of_tokens)

    if _bar(kind):
        columns = (
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
        )
        with Bar(*columns, console=terminal.err, transient=True) as bar:
            task = bar.add_task("", total=None, speed="loading the model")

            def update(read: RowsRead) -> None:
                count(read)
                bar.update(task, completed=read.rows, total=read.of_rows, speed=measure(read).text)

            yield update
        return
    if _silent(kind):
        yield silent
        return
    with ProgressLines(kind == "json", ROWS if kind != "auto" else None, EVERY).running() as lines:
        if kind != "json":
            lines.show(lambda: ProgressLine(f"loading the model, {clock(speed.elapsed())} so far", {}))

        def line(read: RowsRead) -> None:
            count(read)

            def now() -> ProgressLine:
                measured = measure(read)
                return ProgressLine(f"{what}: {read.rows} of {read.of_rows} done, {measured.text}", measured.facts)

            lines.show(now, last=read.rows == read.of_rows)

        yield line


def _bar(kind: Kind) -> bool:
    return kind == "auto" and wanted()


def _silent(kind: Kind) -> bool:
    """Whether nothing is shown; of torchrun's processes one speaks."""
    return kind == "none" or (kind == "auto" and terminal.quiet()) or os.environ.get("RANK", "0") != "0"
