"""`w2s compare`: models by their scores of the same rows."""

from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from ...errors import InputError, did_you_mean
from .. import terminal


def compare(
    files: Annotated[
        list[str],
        typer.Argument(help="JSONL, CSV or Parquet with `id` and `score`, or else `label`; or FILE:COLUMN."),
    ],
    truth: Annotated[
        Path | None, typer.Option(help="A file with `id` and `truth`, or else `label`, where FILES have no `truth`.")
    ] = None,
    weak: Annotated[str | None, typer.Option(help="The weak supervisor's scores, for PGR.")] = None,
    ceiling: Annotated[str | None, typer.Option(help="The ceiling's scores, for PGR.")] = None,
    all_pairs: Annotated[bool, typer.Option("--all-pairs", help="Differences of all pairs, not to the first.")] = False,
    metrics: Annotated[
        str, typer.Option(help="With commas between, such as auroc,brier,ece; docs/statistics.md has them all.")
    ] = "auroc,accuracy",
    common: Annotated[bool, typer.Option("--common", help="Take the rows that all files have.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also a tidy table: .csv, .jsonl or .parquet.")] = None,
) -> None:
    """Compare models by their scores of the same rows: metrics, paired differences with tests, PGR.

    Rows are joined by `id`. Intervals are by rows, or by `group` where the files have it. Differences in AUROC have
    DeLong's test, and p-values of several are corrected by Holm.

    Example: `w2s compare student-a.jsonl student-b.jsonl --truth test.jsonl --weak weak.jsonl --ceiling ceiling.csv`
    """
    from ...comparing.score_files import names_of, split_name
    from ...io.files import refuse_input, refuse_no_file
    from ...io.tables import refuse_no_table, table_format, write_table

    given = [*files, *(one for one in (weak, ceiling) if one is not None)]
    read = [split_name(one)[0] for one in given]
    names_of(files)
    if truth is not None:
        refuse_no_table(truth)
    if out is not None:
        table_format(out)
        refuse_no_file(out)
        refuse_input(out, *read, truth)
    from ...metrics.metric_names import Metric

    wanted = [name.strip() for name in metrics.split(",") if name.strip()]
    for name in wanted or [""]:
        if name not in get_args(Metric):
            raise InputError(f"--metrics {name!r}: {did_you_mean(name, get_args(Metric))}")
    chosen: list[Any] = list(dict.fromkeys(wanted))
    from ...comparing import compare_files
    from ..answers_on_scores import CompareAnswer

    options = {"common": common, "all_pairs": all_pairs}
    found = compare_files(files, truth=truth, weak=weak, ceiling=ceiling, metrics=chosen, **options)
    if out is not None:
        write_table(found.comparison.to_frame(), out)
    for line in found.lines:
        terminal.answer(line)
    if out is not None:
        terminal.say(f"Written: {out}")
    terminal.answer_json(CompareAnswer.of(found, out))
