"""`w2s results`: one tidy table over many runs."""

from pathlib import Path
from typing import Annotated

import typer

from ...checkout import from_checkout
from .. import terminal


def results(
    folders: Annotated[list[Path], typer.Argument(help="What `w2s run` wrote to, or folders that hold such.")],
    out: Annotated[
        Path | None,
        typer.Option(help="The table: .csv, .jsonl, .parquet, or for people .md, .tex; printed unless given."),
    ] = None,
    metric: Annotated[str, typer.Option(help="Only these, such as auroc,pgr_auroc.")] = "",
    method: Annotated[str, typer.Option(help="Only these, such as student-xent,filter-knn.")] = "",
    over_seeds: Annotated[
        bool, typer.Option("--over-seeds", help="Only lines over all seeds, or of the only seed.")
    ] = False,
    digits: Annotated[int, typer.Option(min=1, max=6, help="After the point, in tables for people.")] = 2,
) -> None:
    """Gather the results of many runs in one tidy table: a line for each run, task, seed, method and metric.

    In Markdown and LaTeX a value stands with its interval, 0.75 [0.69, 0.81].

    Example: `w2s results runs/* --metric auroc,pgr_auroc --over-seeds --out table.tex`
    """
    from ...io.files import refuse_no_file

    with from_checkout():
        from analyses.tables import collect_results, write_results
        from analyses.tables.write import readable, refuse_table_format
    if out is not None:
        refuse_table_format(out)
        refuse_no_file(out)
    found = collect_results(folders, metrics=_listed(metric), methods=_listed(method), over_seeds=over_seeds)
    from ..answers_on_runs import ResultsAnswer

    if out is None:
        terminal.show(readable(found.table, digits), by="run", asked=True)
    else:
        write_results(found.table, out, digits=digits)
    for name in found.unfinished:
        terminal.say(f"{name}: not finished, and not in the table")
    if out is not None:
        terminal.say(f"Written: {out}, {len(found.table):,} lines of {len(found.runs)} runs")
    terminal.answer_json(ResultsAnswer.of(found.table, found.runs, found.unfinished, out))


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]
