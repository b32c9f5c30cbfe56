"""A frame of label issues with cleanlab's columns, from a probe in place of a cross-validated classifier."""

from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import InputError
from ..labels.verdicts import OTHER_CLASS
from ..ties import above_half
from .label_rows import LabelRows


def label_issues(rows: LabelRows) -> tuple[pa.Table, LabelRows]:
    """The columns of `CleanLearning.get_label_issues`, then id and provenance; and the rows that are in it.

    `is_label_issue`: the filter drops the row, or the relabelling changes its class. `label_quality` is the probe's
    probability of the given label (cleanlab's self-confidence), `given_label` the weak label's class,
    `predicted_label` the probe's. Rows that no probe judged are left out. InputError where that is all of them.
    """
    judged = rows.without(np.array([p is not None for p in rows.table["p"].to_pylist()], dtype=bool), "not judged")
    if not len(judged):
        raise InputError(
            f"{rows.where}: no row has the probe's `p`, which cleanlab's columns are made of: filter or relabel first"
        )
    table = judged.table
    p, given = np.asarray(table["p"].to_numpy()), above_half(table["weak_label"].to_numpy())
    changed = np.array([reason == OTHER_CLASS for reason in table["reason"].to_pylist()])
    columns: dict[str, Any] = {
        "is_label_issue": pa.array(~np.array(table["keep"].to_pylist(), dtype=bool) | changed),
        "label_quality": pa.array(np.where(given, p, 1 - p)),
        "given_label": pa.array(given.astype(np.int64)),
        "predicted_label": pa.array(above_half(p).astype(np.int64)),
    }
    if "text" in table.column_names:
        columns["text"] = table["text"]
    columns["id"] = table["id"]
    return judged.beside(columns), judged
