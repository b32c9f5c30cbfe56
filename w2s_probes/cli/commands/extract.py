"""`w2s extract`: a model's activations into a store."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ...checkout import from_checkout
from ...errors import InputError, preview
from ...share import Share
from .. import progress, terminal
from ..offload_options import MaxMemoryOption, OffloadOption, ScratchOption, offload_as_typed
from ..options import ShowProgress

# Shared with the other commands that load models.
RemoteCodeOption = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run model classes that come with the checkpoint.")
]
PickleOption = Annotated[bool, typer.Option("--allow-pickle", help="Read pickled weights, which can run code.")]
DeviceOption = Annotated[
    str | None, typer.Option(help="A device such as cuda:1, or auto, balanced, sequential to spread over several.")
]
AttentionOption = Annotated[
    str | None, typer.Option(help="eager, sdpa, flash_attention_2, ...; transformers' choice if absent.")
]
BatchOption = Annotated[int | None, typer.Option(min=1, help="Tokens per batch; chosen by device if absent.")]
RevisionOption = Annotated[str | None, typer.Option(help="Of a hub model: branch, tag or commit.")]
BlocksOption = Annotated[str | None, typer.Option(help="Path of the list of blocks, where it cannot be found.")]
DtypeOption = Annotated[
    Literal["auto", "float32", "float16", "bfloat16"],
    typer.Option(help="Of computing and storing; `auto` is the checkpoint's."),
]
QuantizationOption = Annotated[
    str | None, typer.Option(help="8bit, 4bit (bitsandbytes), or JSON for transformers with a quant_method.")
]
MaxLengthOption = Annotated[
    int | None, typer.Option(min=1, help="At most so many tokens per text; the model's window if absent.")
]
TruncationOption = Annotated[
    Literal["right", "left", "off"], typer.Option(help="Which end of longer texts is cut; off: they are refused.")
]
TemplateOption = Annotated[
    str | None, typer.Option(help="Make each text a user's message by the tokenizer's `own` template, or a Jinja file.")
]
WHOLE_POSITIONS = ("last", "first", "mean", "all", "span", "answer")  # those that need nothing after a colon


def extract(
    model: Annotated[str, typer.Argument(help="Folder, hub id, or package:NAME/FOLDER of a transformers model.")],
    rows: Annotated[
        list[Path], typer.Option(help="JSONL, CSV or Parquet with `text`, and `id` where present; may be repeated.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The store's folder, gone on with if unfinished; without it, its place in the cache."),
    ] = None,
    layers: Annotated[str, typer.Option(help="`all`, `middle`, an index, a range 0-12, or a list 1,4,-1.")] = "all",
    site: Annotated[
        str,
        typer.Option(
            help="What is read of each layer: `residual`, the stream; `attention` or `mlp`, what these add to it; or "
            "`logits:yes,no`, those of some tokens."
        ),
    ] = "residual",
    position: Annotated[
        list[str],
        typer.Option(
            help="Token that stands for a row: last, first, mean, all (every token), span, regex:PATTERN, role:ROLE or "
            "answer; NAME=POSITION, repeated, for several at once.",
            autocompletion=lambda incomplete: [name for name in WHOLE_POSITIONS if name.startswith(incomplete)],
        ),
    ] = ["last"],  # noqa: B006
    missing: Annotated[
        Literal["refuse", "skip"], typer.Option(help="What is done with rows that a marked position is nowhere in.")
    ] = "refuse",
    dtype: DtypeOption = "auto",
    max_length: MaxLengthOption = None,
    truncation: TruncationOption = "right",
    chat_template: TemplateOption = None,
    batch_tokens: BatchOption = None,
    device_map: DeviceOption = None,
    attn: AttentionOption = None,
    quantization: QuantizationOption = None,
    revision: RevisionOption = None,
    blocks: BlocksOption = None,
    offload: OffloadOption = False,
    max_memory: MaxMemoryOption = None,
    scratch: ScratchOption = None,
    add: Annotated[bool, typer.Option("--add", help="Add rows and layers that the finished store lacks.")] = False,
    shard: Annotated[
        str | None, typer.Option(help="i/n: this process's share, i from 0; auto: as torchrun or Slurm number it.")
    ] = None,
    remote: Annotated[
        bool, typer.Option("--remote", help="Run a hub model on NDIF; the API key is NDIF_API_KEY.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Read a few rows again alone; refuse a model that lets rows mix.")
    ] = True,
    trust_remote_code: RemoteCodeOption = False,
    allow_pickle: PickleOption = False,
    show: ShowProgress = "auto",
) -> None:
    """Cache a model's activations: one vector for each row and layer.

    Example: `w2s extract data/miniature/strong --rows rows.jsonl --layers all --out acts`
    """
    with from_checkout():
        from extract.models.checkpoints import Trust, refuse_no_model
        from extract.options import refuse_options
        from extract.positions import fields_of, named_positions, refuse_marked
        from extract.row_files import read_rows
    share = Share.parse(shard)
    if add and out is None:
        raise InputError("--add adds to a store: say by --out to which")
    trust = Trust(allow_pickle, trust_remote_code)
    refuse_options(layers, chat_template, quantization, site)
    positions = named_positions(position)
    if remote:
        refuse_marked(list(positions.values()), "--remote")
    named = "" not in positions
    if add and named:
        raise InputError("--add adds to a store: to that of a name as --position last --out acts/NAME")
    if named and out is None:
        raise InputError("positions with names are stores in one folder: say by --out in which")
    if remote and site != "residual":
        raise InputError(f"--remote reads the residual stream alone, not --site {site[:60]}: leave one of them out")
    offloading = offload_as_typed(
        asked=offload,
        max_memory=max_memory,
        scratch=scratch,
        device_map=device_map,
        remote=remote,
        quantization=quantization,
    )
    table = read_rows(*rows, fields=fields_of(positions.values()), conversations=True)
    with from_checkout():
        if not remote:
            refuse_no_model(model, revision, trust)
        # Only what has passed so far is worth the seconds that these take.
        from extract.adding import add as add_to
        from extract.extractor import Extraction
        from extract.models.loading import Placement
        from extract.models.pooling import position_remarks
        from extract.models.source import ModelSource
        from extract.named_positions import extract_positions, plan_positions
    source = ModelSource.find(model, revision=revision, blocks=blocks, trust=trust, remote=remote)
    options: dict[str, Any] = {"layers": layers, "site": site, "dtype": dtype, "max_length": max_length}
    options |= {"truncation": truncation, "chat_template": chat_template, "quantization": quantization}
    plans = plan_positions(source, table, positions, missing=missing, **options)
    plan = next(iter(plans.values()))
    remarks = [] if remote else list(source.remarks)
    for one in plans.values():
        remarks += position_remarks(source, one.position, plan.encoding)
    for remark in remarks:
        terminal.say(remark)
    if plan.site.tokens:
        terminal.say("logits of " + ", ".join(f"{name!r} (#{token})" for name, token in plan.token_names.items()))
    if plan.left_out:
        some = preview(plan.left_out, 6)
        terminal.say(f"left out, as a position is nowhere in them: {len(plan.left_out)} rows, {some}")
    placement = Placement(device_map, attn, batch_tokens, offloading)
    place = out if out is not None else terminal.cache_folder() / plan.key[:16]
    with progress.rows(show) as report:
        # Names that are no UTF-8 cannot stand in a manifest as they are.
        files = [str(path.resolve()).encode(errors="backslashreplace").decode() for path in rows]
        notes = {"rows_from": files, **({"remarks": remarks} if remarks else {})}
        how: dict[str, Any] = {"placement": placement, "share": share, "notes": notes, "progress": report}
        if named:
            stores = extract_positions(plans, place, **how, check=check)
        else:
            run = add_to if add else Extraction.run
            stores = {"": run(plan, place, **how, check=check)}
    written = [store for store in stores.values() if store is not None]
    if len(written) < len(stores):
        terminal.say(f"{place}: share {share.index}/{share.count} is done; it is whole when the other shares are")
        return
    for store in written:
        if out is None and terminal.quiet():
            terminal.answer(place)  # nothing else says where in the cache it is
        terminal.say(store)
        if cut := store.manifest.notes.get("cut_rows"):
            limit, side = store.manifest.identity["max_length"], store.manifest.identity["truncation"]
            terminal.say(f"{cut} of {len(store)} texts were cut to {limit} tokens, on the {side}")
    # Beside the stores: a folder that holds anything else is no longer pushed as what it is.
    terminal.propose_reading(written[0], rows, Path() if out is None else out.parent)
