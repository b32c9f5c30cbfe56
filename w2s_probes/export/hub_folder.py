"""A folder as the Hugging Face hub and `datasets.load_dataset` read it: Parquet by split, and a dataset card."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..ties import above_half
from .card import card
from .label_rows import LabelRows

SPLIT_NAMES = {"train": "train", "val": "validation", "test": "test"}  # ours, and the hub's


def by_split(table: pa.Table) -> dict[str, pa.Table]:
    """The rows of each of our splits, in the order of SPLIT_NAMES; all are `train` where the file has no `split`."""
    if "split" not in table.column_names:
        return {"train": table}
    names = np.array(table["split"].to_pylist(), dtype=object)  # checked when the rows were chosen
    return {name: table.filter(pa.array(names == name)) for name in SPLIT_NAMES if (names == name).any()}


def classification(rows: LabelRows) -> pa.Table:
    """`text` (where there is one), `label` 0 or 1 as integer-label losses want it, `soft_label` = P(1), provenance.

    A model with num_labels=2 takes float labels for several labels a row, so P(1) is not called `label` here.
    """
    columns: dict[str, Any] = {"id": rows.table["id"]}
    if "text" in rows.table.column_names:
        columns["text"] = rows.table["text"]
    columns["label"] = pa.array(above_half(rows.p).astype(np.int64))
    columns["soft_label"] = rows.table["label"]
    return rows.beside(columns)


def write_hub(table: pa.Table, folder: Path, record: dict[str, Any]) -> dict[str, int]:
    """Write Parquet files and the card; rows by split. The schema is the same in every split."""
    counts, files = {}, {}
    for name, part in by_split(table).items():
        split = SPLIT_NAMES[name]
        files[split] = f"data/{split}-00000-of-00001.parquet"
        (folder / "data").mkdir(exist_ok=True)
        pq.write_table(part.combine_chunks(), folder / files[split])
        counts[split] = part.num_rows
    text = card(table, record | {"splits": counts}, files)
    (folder / "README.md").write_text(text, encoding="utf-8")
    return counts
