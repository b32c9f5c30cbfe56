"""The verdict of a filter or a relabelling on each row, as Arrow columns of one type each."""

import pandas as pd
import pyarrow as pa

from ..labels.verdicts import verdict_values

# What `w2s filter` and `w2s relabel` say of a row, in the order and of the type in which it is exported.
PROVENANCE: dict[str, pa.DataType] = {
    "weak_label": pa.float64(),
    "p": pa.float64(),
    "fold": pa.int64(),
    "keep": pa.bool_(),
    "new_label": pa.float64(),
    "score": pa.float64(),
    "reason": pa.string(),
    "probe": pa.string(),
    "layer": pa.int64(),
    "store": pa.string(),
}


def provenance(frame: pd.DataFrame, name: str, where: str) -> pa.Array:
    """A verdict's field (n,) of its type; nulls where the file does not say it. InputError as of `verdict_values`."""
    return pa.array(verdict_values(frame, name, where), PROVENANCE[name])
