"""`w2s import`: activations that others have saved, into a store."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .. import progress, terminal
from ..own_tokens import tokens_by
from .extract import TemplateOption


def import_activations(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="One .pt, .pth, .npy, .npz, .safetensors or .h5 file, or several; or a folder by its --layout."
        ),
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
    model: Annotated[
        str | None,
        typer.Option(help="The model that they are of, to be noted; of files that tell their tokens, to check these."),
    ] = None,
    position: Annotated[
        str,
        typer.Option(
            help="The token that they are of, to be noted: last, first or mean; of a layout or offsets to be taken, "
            "or `all`: a store of every token."
        ),
    ] = "unknown",
    layout: Annotated[
        Literal["vllm", "lmprobe", "probelab"] | None,
        typer.Option(help="The program that wrote them: of vllm and lmprobe a folder of a file a prompt."),
    ] = None,
    mapping: Annotated[
        list[str],
        typer.Option(
            help="Of HDF5: states=DATASET, or 16=DATASET; offsets=, ids=, token_ids=, layers=; or a TOML file."
        ),
    ] = [],  # noqa: B006
    check: Annotated[
        bool, typer.Option(help="Compare the tokens that the files tell with those of the --model's tokenizer.")
    ] = True,
    chat_template: TemplateOption = None,
) -> None:
    """Put activations that were saved elsewhere into a store, bit for bit; nothing in the files is run.

    Example: `w2s import acts.pt --rows rows.jsonl --out acts`
    """
    from ...errors import InputError
    from ...importing import import_activations as run
    from ...importing import import_hdf5, import_prompt_folder

    hdf5 = layout == "probelab" or bool(mapping) or files[0].suffix in (".h5", ".hdf5")
    if chat_template is not None and not (check and model and (layout or hdf5)):
        raise InputError("--chat-template is for comparing tokens: give --model, and files that tell their tokens")
    if layout is not None or hdf5:
        if len(files) > 1 or len(rows) > 1 or key is not None or (layout is not None and mapping):
            raise InputError(
                "--layout and --mapping take one file or folder and one --rows, no --key, and not each other"
            )
        if layout is not None and order is not None:
            raise InputError("--layout says how its files are made: leave out --order")
        if position not in ("last", "first", "mean", "all", "unknown"):
            raise InputError(f"--position {position}: say last, first, mean or all")
        tokenize = None if model is None or not check else tokens_by(model, chat_template)
        place: Any = position
        given: dict[str, Any] = {"layers": layers, "depth": depth, "dtype": dtype, "last_entry": last_entry}
        given |= {"model": model, "tokenize": tokenize, "position": place}
        with progress.steps() as report:
            given["report"] = lambda done, total: report("parts", done, total)
            if hdf5:
                store = import_hdf5(files[0], rows[0], out, mapping=mapping, layout=layout, order=order, **given)
            else:
                assert layout is not None
                if position == "unknown":
                    raise InputError(f"--layout {layout} holds tokens: say --position last, first, mean or all")
                store = import_prompt_folder(files[0], rows[0], out, layout=layout, **given)
        terminal.say(store)
        terminal.propose_reading(store, rows, out.parent)
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
    terminal.propose_reading(store, rows, out.parent)
