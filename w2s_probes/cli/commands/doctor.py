"""`w2s doctor`: are the numbers right on this model and this machine?"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ...checkout import from_checkout
from ...errors import InputError
from ...printable import visible
from .. import terminal
from .extract import (
    AttentionOption,
    BatchOption,
    BlocksOption,
    DeviceOption,
    DtypeOption,
    PickleOption,
    QuantizationOption,
    RemoteCodeOption,
    RevisionOption,
    TemplateOption,
)


def doctor(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|STORE", help="Folder, hub id, or package:NAME/FOLDER of a model; with --model, a store."
        ),
    ],
    model: Annotated[str | None, typer.Option(help="Of a STORE, imported ones too: the model to read it by.")] = None,
    rows: Annotated[
        list[Path], typer.Option(help="Row files to take a few texts from; without, a few that come along.")
    ] = [],  # noqa: B006
    sample: Annotated[int | None, typer.Option(min=2, help="Rows of a STORE that are read; 32 unless said.")] = None,
    store: Annotated[Path | None, typer.Option(help="A store of this model, to compare and to record it in.")] = None,
    layers: Annotated[str, typer.Option(help="As for `w2s extract`; those of the store, if one is given.")] = "all",
    position: Annotated[
        Literal["last", "first", "mean", "all"] | None,
        typer.Option(help="As for `w2s extract`; of a STORE, where it does not say its own."),
    ] = None,
    dtype: DtypeOption = "auto",
    chat_template: TemplateOption = None,
    batch_tokens: BatchOption = None,
    device_map: DeviceOption = None,
    attn: AttentionOption = None,
    quantization: QuantizationOption = None,
    revision: RevisionOption = None,
    blocks: BlocksOption = None,
    float32: Annotated[bool, typer.Option(help="Load the model again in float32, to see what rounding does.")] = True,
    trust_remote_code: RemoteCodeOption = False,
    allow_pickle: PickleOption = False,
) -> None:
    """Compare what extraction gives on a few rows with the same numbers got in other ways; exit code 1 if they differ.

    With --model, compare a sample of any store's rows with every layer and position of that model instead, and say
    which layer, position, row order or number format is off.

    Example: `w2s doctor data/miniature/strong` or `w2s doctor acts --model data/miniature/strong --rows rows.jsonl`
    """
    from ...store.activation_store import ActivationStore
    from ...store.manifest import MANIFEST, Manifest
    from ...store.read_again import read_otherwise, what_is_held
    from ..answers_on_doctoring import DoctorAnswer
    from ..examined_store import examine_store

    with from_checkout():
        from extract.models.checkpoints import Trust, refuse_no_model
        from extract.options import refuse_options
        from extract.row_files import read_rows
    trust = Trust(allow_pickle, trust_remote_code)
    refuse_options(layers, chat_template, quantization)
    if model is not None:
        if not rows or store is not None or quantization:
            raise InputError("--model examines a STORE: give its --rows, and leave out --store and --quantization")
        how = {"dtype": dtype, "chat_template": chat_template, "revision": revision, "blocks": blocks, "trust": trust}
        examine_store(
            Path(subject),
            model,
            rows,
            layers=layers,
            position=position,
            sample=sample,
            how=how,
            placement=(device_map, attn, batch_tokens),
        )
        return
    if (Path(subject) / MANIFEST).is_file():
        raise InputError(f"{subject}: is a store: give the --model and the --rows that it is said to be of")
    if sample is not None:
        raise InputError("--sample is of a STORE: give its --model, or leave it out")
    table = read_rows(*rows, conversations=True) if rows else None
    opened = None
    if store is not None:
        if (
            position is not None
            or layers != "all"
            or dtype != "auto"
            or chat_template
            or quantization
            or revision
            or blocks
        ):
            raise InputError("--store says itself what was extracted: leave out --layers, --position, --dtype and such")
        opened = ActivationStore.open(store)
        if read_otherwise(opened.manifest.identity):
            held = what_is_held(opened.manifest.identity)
            raise InputError(f"{store}: holds {held}: give w2s doctor {store} --model {subject} --rows ROWS")
    with from_checkout():
        if opened is None:
            refuse_no_model(subject, revision, trust)
        # Only what has passed so far is worth the seconds that these take.
        from extract.doctor import diagnose, example_rows, sample_plan
        from extract.extractor import Extraction
        from extract.models.loading import Placement
        from extract.models.source import ModelSource
        from extract.repair import plan_of
    if store is not None and opened is not None:
        plan = plan_of(store, opened.manifest, model=subject, rows=table, trust=trust)
    else:
        plan = Extraction.plan(
            ModelSource.find(subject, revision=revision, blocks=blocks, trust=trust),
            example_rows() if table is None else table,
            layers=layers,
            position=position or "last",
            dtype=dtype,
            chat_template=chat_template,
            quantization=quantization,
        )
    placement = Placement(device_map, attn, batch_tokens)
    diagnosis = diagnose(sample_plan(plan), placement=placement, store=opened, against_float32=float32)
    for line in diagnosis.read:
        terminal.answer(line)
    for remark in diagnosis.remarks:
        terminal.answer(remark)
    for check in diagnosis.checks:
        verdict = "ok" if check.ok else "WRONG"
        terminal.answer(
            f"{check.name:<28} {verdict:<6} differ by at most {check.worst:.1e} of the distance between rows "
            f"(layer {check.layer}; allowed {check.tolerance:g})"
        )
    rate = float(f"{diagnosis.speed.tokens_per_s:.3g}")
    next_step = f"w2s plan {subject} --rows ROWS --tokens-per-s {int(rate) if rate >= 1 else rate}"
    terminal.answer(f"speed: {diagnosis.speed}; for the time of all rows: {next_step}")
    if store is not None:
        manifest = Manifest.read(store)
        notes = manifest.notes | {"doctor": diagnosis.record()}
        manifest.model_copy(update={"notes": notes}).write(store)
    terminal.answer_json(DoctorAnswer.of_model(subject, diagnosis))
    if not diagnosis.ok:
        wrong = ", ".join(check.name for check in diagnosis.checks if not check.ok)
        message = visible(f"w2s doctor: the activations of {subject} cannot be trusted: {wrong}")
        terminal.err.print(message, markup=False, soft_wrap=True)
        raise typer.Exit(1)
    terminal.answer(f"{subject}: {len(diagnosis.checks)} checks passed on {len(diagnosis.read)} rows")
