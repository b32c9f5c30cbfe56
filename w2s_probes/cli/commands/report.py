"""`w2s report`: what a folder of results shows, as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from ...checkout import from_checkout
from .. import progress, terminal
from ..options import ShowProgress


def report(
    folder: Annotated[
        Path, typer.Argument(help="What `w2s run`, `sweep`, `filter` or `student` wrote to; ladders and mixtures too.")
    ],
    out: Annotated[Path | None, typer.Option(help="The HTML file; report.html in the folder unless given.")] = None,
    show: ShowProgress = "auto",
) -> None:
    """Write what a folder of results shows into one HTML file that needs no network and no server.

    Did anything beat the plain student, and how sure is that; PGR by task and method; layer and k/λ curves; what
    filters removed; what it cost; how to do it again. A sweep, a filtered label file, and students of
    `w2s student`, beside their supervisors and each other, are shown, too.

    Example: `w2s report runs/demo`
    """
    with from_checkout():
        from analyses.report.place import report_place
    report_place(folder, out)
    with from_checkout():
        from analyses.report import write_report
    from ..answers_on_runs import ReportAnswer

    with progress.steps(show) as step:
        step(f"report of {folder}", 0, 1)
        warnings: list[str] = []
        written = write_report(folder, out, warn=warnings.append)
        step(f"{written} written", 1, 1)
    for line in warnings:
        terminal.answer(line)
    terminal.say(f"Written: {written}, {written.stat().st_size / 1e3:,.0f} kB")
    size = written.stat().st_size
    terminal.answer_json(ReportAnswer(folder=folder, report=written, bytes=size, warnings=warnings))
