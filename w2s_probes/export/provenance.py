"""What a filter or a relabelling says of a row, as columns of one type each."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ..errors import InputError
from ..io.plain_values import is_missing
from ..labels.label_set import as_probabilities
from ..rows.fields import own_fields

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
SHARES = ("weak_label", "p", "new_label")  # of the above, those that are probabilities


def missing(value: Any) -> bool:
    """Whether a cell says nothing: it is missing, or a text of no letters."""
    return is_missing(value) or (isinstance(value, str) and not value)


def users_fields(frame: pd.DataFrame) -> set[str]:
    """Fields of the user's by the name of one that a filter writes; `p` is a probe's whoever has written it."""
    return set(own_fields(frame.columns)) - {"p"}


def provenance(frame: pd.DataFrame, name: str, where: str) -> pa.Array:
    """A column of what a filter or relabelling says, of its type; nulls where the file does not say it."""
    kind = PROVENANCE[name]
    if name not in frame or name in users_fields(frame):
        return pa.array([{"keep": True, "reason": ""}.get(name)] * len(frame), kind)
    values = [None if missing(value) and name != "reason" else value for value in frame[name]]
    if name == "reason":  # CSV has no other way to write an empty text than none at all
        return pa.array(["" if missing(value) else str(value) for value in values], kind)
    convert = CONVERT[str(kind)]
    try:
        array = pa.array([None if value is None else convert(value) for value in values], kind)
    except (ValueError, TypeError, OverflowError) as error:
        bad = next((i for i, v in enumerate(values) if v is not None and not _converts(convert, v, kind)), 0)
        raise InputError(
            f"{where}: the {name} of row {frame['id'].iloc[bad]!r} is {str(values[bad])[:40]!r}, where `w2s filter` "
            f"writes {kind}"
        ) from error
    if name in SHARES:
        there = np.flatnonzero(array.is_valid().to_numpy(zero_copy_only=False))
        as_probabilities(array.drop_null().to_numpy(), where, frame["id"].to_numpy()[there], name)
    return array


def _converts(convert: Callable[[Any], Any], value: Any, kind: pa.DataType) -> bool:
    try:
        pa.scalar(convert(value), kind)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def _whole(value: Any) -> int:
    number = float(value)
    if number != int(number):
        raise ValueError(value)
    return int(number)


CONVERT: dict[str, Callable[[Any], Any]] = {"bool": bool, "int64": _whole, "double": float, "string": str}
