"""`w2s doctor STORE --model MODEL`: a store of any origin beside the model that it is said to be of."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from ..checkout import from_checkout
from ..errors import InputError
from ..printable import visible
from ..store.activation_store import ActivationStore
from . import terminal

if TYPE_CHECKING:
    import pandas as pd


def examine_store(
    store: Path,
    model: str,
    rows: "pd.DataFrame",
    *,
    layers: str,
    position: Literal["last", "first", "mean", "all"] | None,
    sample: int | None,
    how: dict[str, Any],
    placement: tuple[str | None, str | None, int | None],
) -> None:
    """Print what each layer holds; exit code 1 where something is off. `how` are options of `Subject.of`."""
    opened = ActivationStore.open(store)
    chosen = opened.select(layers)
    said = opened.manifest.identity.get("position", "unknown")
    if position is not None and said != "unknown":
        raise InputError(f"{store}: says that its position is {said}: leave --position away")
    if position == "all":
        raise InputError(f"{store}: holds one vector a row: --position is last, first or mean")
    with from_checkout():
        from extract.models.checkpoints import refuse_no_model
        from extract.row_files import texts_of
    texts_of(opened.ids.tolist(), rows, str(store))
    refuse_no_model(model, how["revision"], how["trust"])
    with from_checkout():  # worth the seconds that these take only now
        from extract.examining import Subject, examine
        from extract.examining.layer_finding import in_one_line
        from extract.models.loading import Placement
    subject = Subject.of(opened, model, rows, position=position, **how)
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
    from .answers_on_doctoring import DoctorAnswer

    terminal.answer_json(DoctorAnswer.of_store(str(store), model, found))
    if not found.ok:
        wrong = [str(layer.layer) for layer in found.layers if not layer.ok]
        first = next((layer for layer in found.layers if not layer.ok), None)
        faults = [*found.faults, *([f"layer {first.layer} {in_one_line(first.faults)}"] if first else [])]
        more = f" (and layers {', '.join(wrong[1:])})" if len(wrong) > 1 else ""
        message = visible(f"w2s doctor: {store} does not hold what it says: {'; '.join(faults)}{more}")
        terminal.err.print(message, markup=False, soft_wrap=True)
        raise typer.Exit(1)
    terminal.answer(f"{store}: {len(found.layers)} layers are those of {model} on {found.rows} rows")
