"""Folders for the published code of weak-to-strong experiments, as `datasets.Dataset.save_to_disk` saves them.

openai/weak-to-strong (`train_simple.py --weak_labels_path`) loads OUT/weak_labels, reads the columns `txt` and
`soft_label` = [P(0), P(1)] and, beside it, `model_size` of OUT/config.json. EleutherAI/w2s (`run.py`, and `train` of
`w2s/sft.py`) reads one dataset a split with `txt`, `labels` or `soft_pred` = P(1), and `gt_labels` to evaluate with.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import InputError
from ..io.files import sha256
from ..ties import above_half
from .hub_folder import by_split
from .label_rows import TRUTH, LabelRows

WEAK_LABELS = "weak_labels"  # the name that train_simple.py looks for
ARROW = "data-00000-of-00001.arrow"
ROWS_A_BATCH = 1000  # as the library has it: rows are looked up by the batch that they are in
SCALARS = {pa.string(): "string", pa.float64(): "float64", pa.int64(): "int64", pa.bool_(): "bool"}


def write_oai(rows: LabelRows, folder: Path) -> dict[str, int]:
    """OUT/weak_labels and OUT/config.json; the row's provenance stands in further columns, which the reader ignores."""
    p = rows.p
    columns: dict[str, Any] = {"id": rows.table["id"], "txt": pa.array(rows.texts(), pa.string())}
    columns["hard_label"] = pa.array(above_half(p).astype(np.int64))
    columns["soft_label"] = _both(p)
    evaluation: dict[str, Any] = {}
    if TRUTH in rows.table.column_names:
        truth = rows.table[TRUTH].to_numpy() > 0.5
        evaluation = {"gt_label": pa.array(truth.astype(np.int64)), "acc": pa.array(above_half(p) == truth)}
    fingerprint = _save(_beside(rows, columns, evaluation, ("gt_label", "acc")), folder / WEAK_LABELS)
    # The reader names its results by this, and takes up results of the same name: so it must differ between labels.
    config = {"model_size": f"w2s-{fingerprint}", "source": rows.source}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return {"train": len(rows)}


def refuse_oai_place(out: Path) -> None:
    """InputError for a path that train_simple.py would misread: it replaces `weak_labels` wherever it stands."""
    if WEAK_LABELS in str(out):
        raise InputError(f"{out}: give a path without {WEAK_LABELS!r} in it, in which that folder is made")


def write_eai(rows: LabelRows, folder: Path) -> dict[str, int]:
    """OUT/train, OUT/val, OUT/test, each a saved dataset, and together a saved DatasetDict.

    `labels` and `soft_pred` are both the exported P(1); ground truth, where asked for, is `gt_labels`, `hard_label`
    and `soft_label`, the names of theirs that hold it.
    """
    columns: dict[str, Any] = {"id": rows.table["id"], "txt": pa.array(rows.texts(), pa.string())}
    columns |= {"labels": rows.table["label"], "soft_pred": rows.table["label"]}
    evaluation: dict[str, Any] = {}
    if TRUTH in rows.table.column_names:
        truth = np.asarray(rows.table[TRUTH].to_numpy() > 0.5)
        hard = pa.array(truth.astype(np.int64))
        evaluation = {"gt_labels": hard, "hard_label": hard, "soft_label": _both(truth.astype(np.float64))}
    parts = by_split(_beside(rows, columns, evaluation, ("gt_labels", "hard_label", "soft_label")))
    for name, part in parts.items():
        _save(part, folder / name)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(parts)}) + "\n", encoding="utf-8")
    return {name: part.num_rows for name, part in parts.items()}


def _beside(
    rows: LabelRows, columns: dict[str, Any], evaluation: dict[str, Any], reserved: tuple[str, ...]
) -> pa.Table:
    """Columns to train on, of the provenance, and to evaluate with, under names that no field may have."""
    for name in reserved:
        if name in rows.table.column_names and name not in columns:
            raise InputError(f"{rows.where}: readers take {name!r} for ground truth: leave --field {name} away")
    table = rows.beside(columns, without=(TRUTH,))
    for name, column in evaluation.items():
        table = table.append_column(name, column)
    return table


def _both(p: np.ndarray[Any, np.dtype[np.float64]]) -> pa.Array:
    """[P(0), P(1)] of each row."""
    return pa.array(np.column_stack([1 - p, p]).tolist(), pa.list_(pa.float64()))


def _save(table: pa.Table, folder: Path) -> str:
    """Write a table as `Dataset.save_to_disk` lays it out; its fingerprint, a hash of its content.

    Written here and not by the library: what `datasets` 4 and later save with a list column, 2.x cannot load, and
    train_simple.py asks for `datasets~=2.14`. Lists by their older name are read by both.
    """
    folder.mkdir(parents=True)
    table = table.combine_chunks()
    with pa.OSFile(str(folder / ARROW), "wb") as stream, pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table, max_chunksize=ROWS_A_BATCH)
    fingerprint = sha256(folder / ARROW)[:16]
    state: dict[str, Any] = {"_data_files": [{"filename": ARROW}], "_fingerprint": fingerprint, "_format_kwargs": {}}
    state |= dict.fromkeys(("_format_columns", "_format_type", "_split")) | {"_output_all_columns": False}
    info: dict[str, Any] = dict.fromkeys(("citation", "description", "homepage", "license"), "")
    info["features"] = {column.name: _feature(column.type) for column in table.schema}
    for name, content in (("state.json", state), ("dataset_info.json", info)):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return fingerprint


def _feature(kind: pa.DataType) -> dict[str, Any]:
    """A column's type in the words of `datasets`; InputError for one that it has none for here."""
    if kind in SCALARS:
        return {"dtype": SCALARS[kind], "_type": "Value"}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "Sequence"}
    raise InputError(f"a field of type {kind} does not fit this format: leave it away, or export it to parquet or hf")
