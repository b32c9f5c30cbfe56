"""`w2s import`: activations that others have saved, into a store."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from .. import progress, terminal


def import_activations(
    files: Annotated[
        list[Path],
        typer.Argument(help="One .pt, .pth, .npy, .npz or .safetensors file, or several; with --layout, a folder."),
    ],
    rows: Annotated[
        list[Path], typer.Option(help="JSONL, CSV or Parquet whose ids name the file's rows in order; one a file.")
    ],
    out: Annotated[Path, typer.Option(help="The store's folder, gone on with if unfinished.")],
    layers: Annotated[
        str | None,
        typer.Option(
            help="What the file's layers are, ascending: 16, 0-12 or 4,8,16; 0, 1, ... or as named, unless said."
        ),
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=0, help="Blocks of the model; the highest layer of the file unless said.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="The array to take, of a file that holds several by name.")] = None,
    order: Annotated[
        Literal["rows", "layers"] | None,
        typer.Option(help="What comes first in (rows, layers, width); told by the number of rows where it can be."),
    ] = None,
    dtype: Annotated[
        Literal["float32", "float16", "bfloat16"] | None,
        typer.Option(help="bfloat16: what NumPy holds as 16-bit words. float32: float64, rounded."),
    ] = None,
    last_entry: Annotated[
        Literal["pre-norm", "post-norm", "drop"] | None,
        typer.Option(help="What the model's last layer is in the file: before the final norm, after it, or left out."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model that they are of, to be noted.")] = None,
    position: Annotated[
        str, typer.Option(help="The token that they are of, to be noted: last, first or mean.")
    ] = "unknown",
    layout: Annotated[
        Literal["vllm"] | None,
        typer.Option(help="Of a folder of one file a prompt, ID.safetensors: the program that wrote them."),
    ] = None,
) -> None:
    """Put activations that were saved elsewhere into a store, bit for bit; nothing in the files is run.

    Example: `w2s import acts.pt --rows rows.jsonl --out acts`
    """
    from ...errors import InputError
    from ...importing import import_activations as run
    from ...importing import import_prompt_folder

    if layout is not None:
        if len(files) > 1 or len(rows) > 1 or layers is None or position not in ("last", "first"):
            raise InputError("--layout takes one folder, one --rows, --layers, and --position last or first")
        if key is not None or order is not None or dtype is not None:
            raise InputError("--layout says how its files are made: leave out --key, --order and --dtype")
        with progress.steps() as report:
            store = import_prompt_folder(
                files[0],
                rows[0],
                out,
                layers=layers,
                layout=layout,
                position="first" if position == "first" else "last",
                depth=depth,
                model=model,
                report=lambda done, total: report("parts", done, total),
            )
        terminal.say(store)
        terminal.sweep_next(out, rows)
        return
    with progress.steps() as report:
        store = run(
            files,
            rows,
            out,
            layers=layers,
            depth=depth,
            key=key,
            order=order,
            dtype=dtype,
            last_entry=last_entry,
            model=model,
            position=position,
            report=lambda done, total: report("parts", done, total),
        )
    terminal.say(store)
    terminal.sweep_next(out, rows)
