"""`w2s extract` and `w2s verify`: making and checking activation stores."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import InputError
from ..store import ActivationStore
from . import terminal


def extract(
    model: Annotated[str, typer.Argument(help="Folder, hub id, or package:NAME/FOLDER of a transformers model.")],
    rows: Annotated[
        list[Path], typer.Option(help="JSONL, CSV or Parquet with `text`, and `id` where present; may be repeated.")
    ],
    out: Annotated[Path, typer.Option(help="The store's folder; an unfinished one of the same kind is gone on with.")],
    layers: Annotated[str, typer.Option(help="`all`, `middle`, an index, a range 0-12, or a list 1,4,-1.")] = "all",
    position: Annotated[
        Literal["last", "first", "mean"],
        typer.Option(help="Token that stands for a row, by the attention mask."),
    ] = "last",
    dtype: Annotated[
        Literal["auto", "float32", "float16", "bfloat16"],
        typer.Option(help="Of computing and storing; `auto` is the checkpoint's."),
    ] = "auto",
    max_length: Annotated[int | None, typer.Option(help="Tokens; longer texts are cut at the end.")] = None,
    batch_tokens: Annotated[int | None, typer.Option(min=1, help="Tokens a batch; chosen by device if absent.")] = None,
    revision: Annotated[str | None, typer.Option(help="Of a hub model: branch, tag or commit.")] = None,
    blocks: Annotated[str | None, typer.Option(help="Path of the list of blocks, where it cannot be found.")] = None,
) -> None:
    """Cache a model's activations: one vector for each row and layer.

    Example: `w2s extract data/miniature/strong --rows rows.jsonl --layers all --out acts`
    """
    models = terminal.from_checkout("extract.models")
    extractor = terminal.from_checkout("extract.extractor")
    table = terminal.from_checkout("extract.rows").read_rows(*rows)
    source = models.ModelSource.find(model, revision=revision, blocks=blocks)
    with terminal.progress() as report:
        store = extractor.extract(
            source,
            table,
            out,
            layers=layers,
            position=position,
            dtype=dtype,
            max_length=max_length,
            batch_tokens=batch_tokens,
            progress=lambda done, total: report("rows", done, total),
        )
    terminal.say(store)
    if cut := store.manifest.notes.get("cut_rows"):
        terminal.say(f"{cut} of {len(store)} texts were cut to {store.manifest.identity['max_length']} tokens")


def verify(store: Annotated[Path, typer.Argument(help="The store's folder.")]) -> None:
    """Read a store again and check every checksum, id, shape and number.

    Example: `w2s verify acts`
    """
    result = ActivationStore.open(store).verify()
    if not result.ok:
        for problem in result.problems:
            terminal.say(problem)
        more = f" (and {len(result.problems) - 1} more, listed above)" if len(result.problems) > 1 else ""
        raise InputError(result.problems[0] + more)
    terminal.say(f"{store}: sound; {result.rows} rows, {result.layers} layers, {result.bytes:,} bytes")
