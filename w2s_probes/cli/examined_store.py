"""`w2s doctor STORE --model MODEL`: a store of any origin beside the model that it is said to be of."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import typer

from ..checkout import from_checkout
from ..errors import InputError
from ..printable import visible
from ..store.activation_store import ActivationStore
from . import terminal


def examine_store(
    store: Path,
    model: str,
    rows: Sequence[Path],
    *,
    layers: str,
    position: Literal["last", "first", "mean", "all"] | None,
    sample: int | None,
    how: dict[str, Any],
    placement: tuple[str | None, str | None, int | None],
) -> None:
    """Print what each layer holds, by the rows of some files; exit code 1 where something is off.

    `how` are options of `Subject.of`.
    """
    opened = ActivationStore.open(store)
    chosen = opened.select(layers)
    said = opened.manifest.identity.get("position", "unknown")
    if position is not None and said != "unknown":
        raise InputError(f"{store}: says that its position is {said}: leave --position away")
    if position == "all":
        raise InputError(f"{store}: holds one vector a row: --position is last, first or mean")
    with from_checkout():
        from extract.models.checkpoints import refuse_no_model
        from extract.positions import fields_of
        from extract.row_files import read_rows, texts_of
    # Of a store of ours; an import's position may be a word of another tool's.
    fields = fields_of([said]) if "weights" in opened.manifest.identity else []
    table = read_rows(*rows, fields=fields, conversations=True)
    texts_of(opened.ids.tolist(), table, str(store))
    refuse_no_model(model, how["revision"], how["trust"])
    with from_checkout():  # worth the seconds that these take only now
        from extract.examining import Subject, examine
        from extract.examining.layer_finding import all_in_words, in_one_line
        from extract.models.loading import Placement
    subject = Subject.of(opened, model, table, position=position, **how)
    found = examine(
        subject, layers=chosen, placement=Placement(*placement), **({} if sample is None else {"sample": sample})
    )
    for remark in found.remarks:
        terminal.answer(remark)
    for layer in found.layers:
        verdict = "ok" if layer.ok else "WRONG"
        differs = f"differs by {layer.difference:.1e} of the distance between rows (allowed {layer.allowed:g})"
        told = "" if layer.ok else f": {in_one_line(layer.faults)}"
        terminal.answer(f"layer {layer.layer:<4} {verdict:<6} {differs}{told}")
    if found.rows:
        terminal.answer(_finds(found.least_found, len(opened), found.rows))
    from .answers_on_doctoring import DoctorAnswer

    terminal.answer_json(DoctorAnswer.of_store(str(store), model, found))
    if not found.ok:
        faults = [*found.faults, *filter(None, [all_in_words(found.layers)])]
        message = visible(f"w2s doctor: {store} does not hold what it says: {'; '.join(faults)}")
        terminal.err.print(message, markup=False, soft_wrap=True)
        raise typer.Exit(1)
    layers = "1 layer is that" if len(found.layers) == 1 else f"{len(found.layers)} layers are those"
    terminal.answer(f"{store}: {layers} of {model} on {found.rows} rows")


def _finds(least: int, rows: int, read: int) -> str:
    """What a sample of so many rows can have missed."""
    if least == 1:
        return f"all {rows:,} rows were read"
    return (
        f"{read:,} of {rows:,} rows were read: a fault of at least {least:,} rows ({100 * least / rows:.2g} %), "
        "wherever they stand, is found with 95 % probability or more; one of fewer may be missed: --sample reads more"
    )
