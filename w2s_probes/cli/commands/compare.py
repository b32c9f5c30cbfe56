"""`w2s compare`: models by their scores of the same rows."""

from pathlib import Path
from typing import Annotated

import typer

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
    common: Annotated[bool, typer.Option("--common", help="Take the rows that all files have.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also a tidy table: .csv, .jsonl or .parquet.")] = None,
) -> None:
    """Compare models by their scores of the same rows: AUROC, accuracy, paired differences with tests, PGR.

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
    from ...comparing import compare_files
    from ..answers_on_scores import CompareAnswer

    found = compare_files(files, truth=truth, common=common, all_pairs=all_pairs, weak=weak, ceiling=ceiling)
    if out is not None:
        write_table(found.comparison.to_frame(), out)
    for line in found.lines:
        terminal.answer(line)
    if out is not None:
        terminal.say(f"Written: {out}")
    terminal.answer_json(CompareAnswer.of(found, out))
