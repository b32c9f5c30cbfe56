"""`w2s combine`: several raters' label files into one."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ...errors import InputError
from .. import terminal

if TYPE_CHECKING:
    from ...raters import Combined


def combine(
    labels: Annotated[
        list[Path], typer.Argument(help="Label files with `id` and `label` = P(1), one a rater, two or more.")
    ],
    out: Annotated[
        Path, typer.Option(help="A label file: `id`, `label`, `disagreement`, `raters`, and the rows' own fields.")
    ],
    by: Annotated[
        Literal["mean", "log-odds", "dawid-skene", "weights"],
        typer.Option(help="Mean P(1), mean log-odds, Dawid and Skene's model, or a mean by how accurate raters are."),
    ] = "mean",
    trusted: Annotated[
        Path | None,
        typer.Option(
            help="Rows with `truth`, or else `label`, that teach weights and dawid-skene; agreement does if absent."
        ),
    ] = None,
    draws: Annotated[int, typer.Option(min=2, help="Resamples of rows, or groups, for the raters' intervals.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of these resamples.")] = 0,
) -> None:
    """Combine the labels of several raters, joined by `id`, into one label file; raters may lack rows.

    `disagreement` is the standard deviation of P(1) between a row's raters, and `raters` how many have judged it:
    `w2s filter --by raters` reads them. Of each rater it says how accurate it is, where the rule estimates that.

    Example: `w2s combine people.jsonl model.jsonl program.jsonl --by dawid-skene --out labels.jsonl`
    """
    from ...io.files import refuse_input, refuse_no_file
    from ...io.tables import refuse_no_table, table_format

    for path in (*labels, *([] if trusted is None else [trusted])):
        refuse_no_table(path)
    table_format(out)
    refuse_no_file(out)
    refuse_input(out, *labels, trusted)
    if trusted is not None and by in ("mean", "log-odds"):
        raise InputError(f"--trusted is for weights and dawid-skene: --by {by} learns nothing")
    from ...raters import RaterFiles
    from ...raters import combine as combined_labels
    from ...raters.rater_files import read_trusted

    files = RaterFiles.read(labels)
    known = None if trusted is None else read_trusted(trusted, files)
    found = combined_labels(files.ratings, by, trusted=known, draws=draws, seed=seed)
    files.write(found, out)
    remarks = _remarks(found)
    for line in remarks:
        terminal.say(line)
    terminal.say(f"Written: {out}")
    from ..answers_on_raters import CombineAnswer

    terminal.answer_json(CombineAnswer.of(found, labels, trusted, out, remarks))


def _remarks(found: "Combined") -> list[str]:
    """What is said of the raters, a sentence each."""
    import numpy as np

    n, alone = len(found.labels), int((found.judged < 2).sum())
    lines = [f"{n:,} rows of {len(found.raters)} raters combined by {found.combiner.by}"]
    if alone:
        lines[0] += f"; {alone:,} rows were judged by one rater alone"
    if alone < n:
        disagreement = found.disagreement[~np.isnan(found.disagreement)]
        lines.append(
            f"disagreement (standard deviation between raters, at most .5) is {disagreement.mean():.3f} in the mean "
            f"over rows, and above 0 in {(disagreement > 1e-12).mean():.1%} of them"
        )
    for rater in found.raters.to_dict(orient="records"):
        said = f"{rater['rater']}: {rater['rows']:,} rows, weight {_ends(rater, 'weight')}"
        if not np.isnan(rater["sensitivity"]):
            said += f", sensitivity {_ends(rater, 'sensitivity')}, specificity {_ends(rater, 'specificity')}"
        lines.append(said)
    if found.trusted:
        lines.append(f"the truth of {found.trusted:,} trusted rows was read")
    if not np.isnan(found.explained):
        lines.append(f"one truth explains {found.explained:.1%} of the raters' covariance")
    if found.status != "ok":
        lines.append(f"{found.status}: {found.meaning}")
    return lines


def _ends(rater: Mapping[Any, Any], name: str) -> str:
    value, low, high = (rater[f"{name}{end}"] for end in ("", "_low", "_high"))
    return f"{value:.2f}" + (f" [{low:.2f}, {high:.2f}]" if low == low else "")
