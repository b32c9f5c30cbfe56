"""`w2s predict`: new rows scored by a saved student or probe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...checkout import from_checkout, from_models
from ...errors import InputError
from .. import progress, terminal
from ..options import Kind, ShowProgress

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from ...store.activation_store import ActivationStore
    from ...students.artefacts import SavedStudent


def predict(
    student: Annotated[
        Path, typer.Argument(help="What `w2s student` wrote, a saved probe's file, or a fine-tuned model's folder.")
    ],
    rows: Annotated[Path, typer.Option(help="JSONL, CSV or Parquet with `text`, and `id` where present.")],
    out: Annotated[Path, typer.Option(help="A label file: every row with `id`, `label` = P(1), and what ROWS have.")],
    store: Annotated[
        Path | None, typer.Option(help="Of a head or probe: the rows' activations; extracted unless given.")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Of a probe that does not say which layer of STORE it reads.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Where the model of a head, or of adapters, is now, if it has moved.")
    ] = None,
    batch_tokens: Annotated[int | None, typer.Option(min=1, help="Tokens at once; as in training unless said.")] = None,
    show: ShowProgress = "auto",
) -> None:
    """Score new rows with a student or probe that was saved: a label file of its P(label = 1).

    A head or probe reads the layer, position and model that it was fitted to; a store of other activations is refused.
    What stands under `label` in ROWS becomes `given_label`.

    Example: `w2s predict student --rows new.jsonl --out scored.jsonl`
    """
    from ...io.files import refuse_input, refuse_no_file
    from ...io.tables import table_format, write_table
    from ...probes.fitted_to import check_fitted_to
    from ...rows.conversations import MESSAGES
    from ...store.activation_store import ActivationStore
    from ...students.artefacts import SavedStudent
    from ...students.predicting import predict as predict_rows
    from ...students.predicting import read_new_rows, scored_rows, texts_of
    from ..answers_on_labels import PredictAnswer

    table_format(out)
    refuse_no_file(out)
    refuse_input(out, rows, student)
    saved = SavedStudent.find(student)
    table = read_new_rows(rows)
    opened = None if store is None else ActivationStore.open(store)
    if saved.kind == "head":
        if opened is not None and model is not None:
            raise InputError(f"--model is for texts, and {saved.path} reads {store}: leave one of them out")
        if opened is not None:
            saved.layer_in(opened, layer)
        else:
            saved.extraction  # noqa: B018  # refuses a head whose model is not recorded
            if MESSAGES not in table:
                texts_of(table, str(rows))
    elif saved.speaks and model is not None:
        raise InputError(f"{saved.path}: is a whole model that says its labels: leave --model out")
    elif opened is not None or layer is not None:
        raise InputError(f"{saved.path}: is a whole model, which reads texts: leave --store and --layer out")
    else:
        texts_of(table, str(rows))
    if saved.kind == "head" and opened is None:
        opened = _extracted(saved, table, model, show)
    base = None if model is None or saved.kind == "head" else _folder(model)
    with from_models(), progress.steps(show) as step:
        step(f"{saved.path} on {rows}", 0, 1)
        if saved.speaks:
            p = _said(saved, table, batch_tokens)
        else:
            p = predict_rows(
                saved, table, store=opened, layer=layer, model=base, batch_tokens=batch_tokens, where=str(rows)
            )
        write_table(scored_rows(table, p), out)
        step(f"{out} written", 1, 1)
    ones = int((p > 0.5).sum())
    terminal.say(f"Written: {out}, {len(p):,} rows scored by {saved.path}, {ones:,} of them above 1/2")
    if opened is not None and (unrecorded := check_fitted_to(saved.path, opened, saved.layer_in(opened, layer))):
        terminal.say(unrecorded)
    place = None if opened is None else opened.path
    terminal.answer_json(
        PredictAnswer(student=saved.path, kind=saved.kind, rows=len(p), above_half=ones, store=place, out=out)
    )


def _said(saved: "SavedStudent", table: "pd.DataFrame", batch_tokens: int | None) -> "NDArray[np.float64]":
    """P(label = 1) (n,) by a model that says its labels."""
    with from_checkout():
        from extract.asking import said_labels
        from extract.models.loading import Placement
    return said_labels(saved.path, table, placement=Placement(batch_tokens=batch_tokens)).p


def _extracted(saved: "SavedStudent", table: "pd.DataFrame", moved: str | None, show: Kind) -> "ActivationStore":
    """The store of the rows by the model that a head was fitted to."""
    from ...store.activation_store import ActivationStore
    from ..extracted import extracted, refuse_unknown_model

    recorded, options = saved.extraction
    model = moved or recorded
    refuse_unknown_model(model)
    assert saved.reads is not None
    identity = saved.reads["identity"]
    with progress.rows(show) as report:
        place = extracted(model, table, options, report, key_of=identity, asked_by=str(saved.path))
    return ActivationStore.open(place)


def _folder(model: str) -> Path:
    from ..extracted import model_folder

    return model_folder(model)
