"""Activations that a command extracts for itself: into the cache of stores, where the next command finds them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checkout import from_checkout
from ..rows.conversations import MESSAGES
from . import terminal

if TYPE_CHECKING:
    import pandas as pd

    from ..progress import RowProgress


def refuse_unknown_model(model: str) -> None:
    """InputError where no such model can be found; of a folder it is said without transformers."""
    with from_checkout():
        from extract.models.checkpoints import refuse_no_model
    refuse_no_model(model)


def model_folder(model: str) -> Path:
    """The folder of a model's files, downloaded where its name is one of the hub."""
    local = Path(model).expanduser()
    if local.is_dir():
        return local
    refuse_unknown_model(model)
    with from_checkout():
        from extract.models.checkpoints import Trust, find_folder
    return find_folder(model, None, Trust())[0]


def extracted(
    model: str,
    rows: "pd.DataFrame",
    options: dict[str, Any],
    report: "RowProgress",
    *,
    key_of: dict[str, Any] | None = None,
    asked_by: str = "",
) -> Path:
    """The store of rows by a model with these `options` of `Extraction.plan`, made if it is not there.

    The rows have `id`, `text` or `messages`, and what marks their position.
    With `key_of`, an identity that `asked_by` was fitted to, InputError where the model or an option has changed.
    """
    with from_checkout():
        from extract.extractor import Extraction
        from extract.positions import fields_of
    read = ("id", "text", MESSAGES, *fields_of([options.get("position") or "last"]))
    plan = Extraction.plan(model, rows[[name for name in read if name in rows]], **options)
    for name, value in (key_of or {}).items():
        if name in plan.identity and plan.identity[name] != value:
            from ..errors import InputError

            raise InputError(
                f"model {model}: not as it was when {asked_by} was fitted to it ({name} has changed): give the model "
                "of its training, or the rows' activations by --store"
            )
    place = terminal.cache_folder() / plan.key[:16]
    plan.run(place, progress=report)
    return place
