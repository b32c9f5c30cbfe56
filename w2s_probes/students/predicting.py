"""New rows scored by a saved student or probe."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, preview
from ..io.plain_values import is_missing
from ..labels.label_set import read_label_table
from ..rows.conversations import MESSAGES
from ..rows.groups import GROUP
from ..rows.ids import positions
from ..store.activation_store import ActivationStore
from ..store.paired_store import as_a_probe_reads
from .artefacts import SavedStudent

KEPT = ("text", "truth", GROUP, "split")  # fields of the rows that stand beside their scores
GIVEN = "given_label"  # what stands under `label` in the rows: there it is the score


def read_new_rows(path: Path) -> pd.DataFrame:
    """Rows to score: their `id`, or else `text`, whose hash it then is, and what else label files have."""
    table = read_label_table(path)
    if "id" not in table:
        raise InputError(f"{path}: no field 'id' and no field 'text'; it has {preview(list(table.columns), 8)}")
    return table


def predict(
    student: SavedStudent,
    rows: pd.DataFrame,
    *,
    store: ActivationStore | None = None,
    layer: int | str | None = None,
    model: Path | None = None,
    batch_tokens: int | None = None,
    where: str = "the rows",
) -> NDArray[np.float64]:
    """P(label = 1) (n,) of rows (`id`, and for a fine-tuned model `text`) by a student or probe.

    A head or probe reads the rows from a `store` of the activations that it was fitted to (`SavedStudent.layer_in`).
    `model` is where the model of adapters is now, if it has moved. InputError where they do not fit.
    """
    if student.kind == "model":
        texts = texts_of(rows, where)
        if store is not None or layer is not None:
            raise InputError(f"{student.path}: is a whole model, which reads texts: leave --store and --layer out")
        from .finetuning.saved_model import SavedModel

        return SavedModel.open(student.path, model).predict(texts, batch_tokens=batch_tokens)
    if store is None:
        raise InputError(f"{student.path}: is a head, which reads activations: give a store of the rows")
    index = student.layer_in(store, layer)
    from ..probes.saving import load_probe

    probe, ids = load_probe(student.path), rows["id"].to_numpy(dtype=object)
    store = as_a_probe_reads(store, probe)
    positions(store.ids, ids, str(store.path), of=where)
    p = probe.predict_proba(store.layer(index, ids=ids))
    return np.asarray(p[:, 1], dtype=np.float64)


def scored_rows(rows: pd.DataFrame, p: NDArray[np.float64]) -> pd.DataFrame:
    """A label file's table: `id`, `label` = p (n,), and of the rows what else label files have.

    Their own `label` stands under `given_label`.
    """
    table = pd.DataFrame({"id": rows["id"].to_numpy(dtype=object), "label": p})
    for name in KEPT:
        if name in rows:
            table[name] = rows[name].to_numpy(dtype=object)
    return table.assign(**{GIVEN: rows["label"].to_numpy(dtype=object)}) if "label" in rows else table


def texts_of(rows: pd.DataFrame, where: str) -> list[str]:
    """The texts of rows (n,); InputError, by id, for one that is missing or empty."""
    if "text" not in rows:
        talks = ": its rows are conversations" if MESSAGES in rows else ""
        raise InputError(f"{where}: no field 'text', which a fine-tuned model reads{talks}; give it")
    for name, text in zip(rows["id"].tolist(), rows["text"].tolist(), strict=True):
        if is_missing(text) or not isinstance(text, str) or not text.strip():
            raise InputError(f"{where}: row {name!r} has no text, which a fine-tuned model reads: give it")
    return [str(text) for text in rows["text"]]
