"""`w2s export`: a label set in the form that another trainer reads."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .. import terminal
from ..options import LabelsPath


def _formats(incomplete: str) -> list[str]:
    from ...export.formats import EXPORTERS

    return [name for name in EXPORTERS if name.startswith(incomplete)]


def export(
    labels: LabelsPath,
    format: Annotated[
        str,
        typer.Option(
            help="One of {exporters}: hf is a dataset folder with a card, oai is of openai/weak-to-strong, eai of "
            "EleutherAI/w2s.",
            autocompletion=_formats,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The file, or for hf, trl, oai and eai the folder, to write.")],
    take: Annotated[
        Literal["kept", "all"] | None,
        typer.Option(help="Those that the filter kept, or all; kept unless said, but all for cleanlab."),
    ] = None,
    label: Annotated[
        Literal["new", "weak"] | None, typer.Option(help="After relabelling, or as it was; new where there is one.")
    ] = None,
    hard: Annotated[bool, typer.Option("--hard", help="Labels 0 or 1 in place of P(1).")] = False,
    split: Annotated[
        list[str],
        typer.Option(help="train, val or test: its rows alone; may be repeated. All unless said, but train for oai."),
    ] = [],  # noqa: B006
    truth: Annotated[
        bool, typer.Option("--truth", help="Export the ground truth too. A trainer must not read it.")
    ] = False,
    field: Annotated[list[str], typer.Option(help="Carry a field of the file along; may be repeated.")] = [],  # noqa: B006
    texts: Annotated[Path | None, typer.Option(help="A row file whose `text` is joined by id.")] = None,
    task: Annotated[
        Literal["classification", "preference"], typer.Option(help="Of trl: texts with a class, or pairs of texts.")
    ] = "classification",
    prompt: Annotated[
        str | None, typer.Option(help="Preference: the field of what both texts reply to; none if they are whole.")
    ] = None,
    first: Annotated[
        str | None, typer.Option(help="Preference: the field of the text that is better with probability `label`.")
    ] = None,
    second: Annotated[str | None, typer.Option(help="Preference: the field of the other text.")] = None,
    pairs_by: Annotated[
        str | None, typer.Option(help="Preference: where each text is a row, the field that the two of a pair share.")
    ] = None,
) -> None:
    """Write a label set for another trainer, each row with where it comes from; the same bytes each time.

    Example: `w2s export kept.jsonl --format hf --out kept-hf`
    """
    from ...errors import InputError
    from ...export import Pairs
    from ...export import export as write
    from ...io.files import refuse_input

    refuse_input(out, labels, texts)
    pairs = None
    if task == "preference":
        pairs = Pairs(prompt, first, second, pairs_by)
    elif any(given is not None for given in (prompt, first, second, pairs_by)):
        raise InputError("--prompt, --first, --second and --pairs-by are about pairs: give --task preference too")
    named: Any = format  # refused by its name, with the nearest
    done = write(
        labels,
        out,
        named,
        take=take,
        label=label,
        hard=hard,
        splits=split,
        truth=truth,
        fields=field,
        texts=texts,
        pairs=pairs,
    )
    terminal.say(done)
    if done.remark:
        terminal.say(done.remark)
