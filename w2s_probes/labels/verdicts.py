"""The verdict file: every row of a label file, with what a filter or a relabelling says of it beside its own fields.

Its fields, in order, are those of SCHEMA. `w2s filter`, `w2s relabel`, `FilterResult.export`, `export_new_labels` and
`w2s run` write it here; `w2s student`, `w2s export` and `w2s report` read it here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError
from ..io.plain_values import is_missing
from ..io.tables import read_table, write_table
from ..rows.fields import KEEP, kept_rows, typed
from ..ties import above_half
from .label_set import as_probabilities, truth_where_known

# A row's `reason`: why it was dropped or changed, or was not looked at; empty where it was kept as it is.
KEPT, OUTSIDE, DISAGREES = "", "outside component", "disagreement"
OTHER_CLASS = "other class"
NOT_JUDGED = "not a training row"

SCHEMA: dict[str, type] = {
    KEEP: bool,  # whether the filter keeps the row
    "score": float,  # how far the label is from the probe's P(1)
    "probe": str,  # what judged the row
    "layer": int,  # of the activations that the probe read
    "new_label": float,  # the label after the verdict, P(1)
    "reason": str,
    "p": float,  # the probe's P(1)
    "fold": int,  # in which a cross-fitted probe had not seen the row
    "store": str,  # the key of the activations
}
COLUMNS = tuple(SCHEMA)
ALWAYS = frozenset(COLUMNS[:6])  # a file with all of these is a verdict file: every writer writes them
NEEDED = ("id", "label", KEEP, "reason")  # without which a file is none
PROBABILITIES = ("new_label", "p")
SILENT: dict[str, Any] = {KEEP: True, "reason": ""}  # the value of a field that a file does not have; else none


def with_verdicts(
    table: pd.DataFrame,
    rows: NDArray[Any],
    verdict: Mapping[str, NDArray[Any]],
    *,
    where: str,
    probe: str,
    layer: int | None = None,
    store: str | None = None,
    columns: Sequence[str] = COLUMNS,
) -> pd.DataFrame:
    """A label file's table (N rows, typed) with the verdict on some `rows`: a mask (N,) or indices (n,).

    `verdict`: values (n,) by the name of their field, of which those in `columns` are written, in that order. Rows
    without one are kept. A row that an earlier filter dropped stays dropped, for its earlier reason, and a label that
    an earlier relabelling gave stays where this verdict gives none. `layer` and `store` (its key) say what the probe
    read; None: not known. `where` names the file in errors.
    """
    earlier = table["new_label"] if "new_label" in table else table["label"]
    unjudged: dict[str, Any] = {
        KEEP: True,
        "score": np.nan,
        "probe": probe,
        "layer": np.nan if layer is None else layer,
        "new_label": earlier.where(earlier.notna(), table["label"]).astype(object),
        "reason": pd.Series(NOT_JUDGED, index=table.index, dtype=object),
        "p": np.nan,
        "fold": pd.Series(np.nan, index=table.index, dtype=object),  # of objects: whole numbers stay whole on disk
        "store": np.nan if store is None else store,
    }
    judged = table.assign(**{name: unjudged[name] for name in columns})
    at = table.index[rows]
    for name in columns:
        if name in verdict:
            judged.loc[at, name] = verdict[name]
    dropped = ~kept_rows(table, where)
    judged.loc[dropped, KEEP] = False
    if "reason" in table:
        judged.loc[dropped, "reason"] = table.loc[dropped, "reason"]
    return judged


def write_verdicts(
    path: Path, table: pd.DataFrame, rows: NDArray[Any], verdict: Mapping[str, NDArray[Any]], **about: Any
) -> None:
    """Write the table of `with_verdicts`, of the same arguments; InputError where it cannot be written."""
    write_table(with_verdicts(table, rows, verdict, **about), path)


def relabelling_verdict(y: NDArray[np.float64], p: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """The verdict of a relabelling that puts p (n,) in the place of labels y (n,)."""
    moved = above_half(p) != above_half(y)
    return {"score": np.abs(p - y), "new_label": p, "reason": np.where(moved, OTHER_CLASS, KEPT), "p": p}


def read_verdicts(path: Path | str) -> pd.DataFrame:
    """A verdict file's table, its known fields typed and `keep` bool.

    InputError for a file that lacks one of NEEDED, and for a `keep`, label or truth that is none.
    """
    table, where = read_table(path), str(path)
    if missing := sorted(set(NEEDED) - set(table.columns)):
        raise InputError(f"{where}: has no column {missing[0]!r}: it is damaged, or no file of this kind")
    table = typed(table, where)
    labels = [_share(value) for value in table["label"].tolist()]
    if None in labels:
        raise InputError(f"{where}: the label of row {table['id'].iloc[labels.index(None)]!r} is no number in [0, 1]")
    truth_where_known(table, where)  # rows may lack it
    return table


def judged_rows(table: pd.DataFrame) -> NDArray[np.bool_]:
    """The rows (n,) of a verdict file that its filter has judged."""
    return np.asarray(table["reason"] != NOT_JUDGED, dtype=bool)


def own_fields(columns: Iterable[str]) -> list[str]:
    """The user's fields that bear the name of one of a verdict's, and are none.

    A verdict file has ALWAYS. In any other, `keep` and `new_label` are what they are in every command, and so is the
    `reason` beside a `keep`; the rest is the user's.
    """
    there = set(columns)
    if there >= ALWAYS:
        return []
    known = {KEEP, "new_label", *(["reason"] if KEEP in there else [])}
    return [name for name in COLUMNS if name in there - known]


def refuse_own_fields(table: pd.DataFrame, where: str) -> None:
    """InputError where a verdict would be written over a field of the user's (`own_fields`)."""
    if own := own_fields(table.columns):
        raise InputError(
            f"{where}: the verdict's {own[0]!r} would take the place of the file's own field {own[0]!r}: rename that"
        )


def verdict_values(table: pd.DataFrame, name: str, where: str) -> list[Any]:
    """A field of SCHEMA (n values) of its type, whatever the file's format; None where the file does not say it.

    Where there is no such field, or one of the user's, every row is kept, for no reason. InputError, by row id, for a
    value that is none of the field's type.
    """
    if name not in table or name in users_fields(table):
        return [SILENT.get(name)] * len(table)
    convert = CONVERT[SCHEMA[name]]
    values: list[Any] = []
    for row, value in enumerate(table[name].tolist()):
        if is_missing(value) or (isinstance(value, str) and not value):
            values.append("" if name == "reason" else None)  # CSV has one way to write none and an empty text
            continue
        try:
            values.append(convert(value))
        except (ValueError, TypeError, OverflowError) as error:
            raise InputError(
                f"{where}: the {name} of row {table['id'].iloc[row]!r} is {str(value)[:40]!r}, where `w2s filter` "
                f"writes {WRITTEN[SCHEMA[name]]}"
            ) from error
    if name in PROBABILITIES:
        said = [(row, value) for row, value in zip(table["id"], values, strict=True) if value is not None]
        as_probabilities([value for _, value in said], where, [row for row, _ in said], name)
    return values


def users_fields(table: pd.DataFrame) -> set[str]:
    """`own_fields` but for `p`, which is a probe's P(1) whatever has written it."""
    return set(own_fields(table.columns)) - {"p"}


def _share(value: Any) -> float | None:
    """A number in [0, 1]; None for anything else."""
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None


def _whole(value: Any) -> int:
    number = float(value)
    if number != int(number) or abs(number) >= 2**63:
        raise ValueError(value)
    return int(number)


CONVERT: dict[type, Callable[[Any], Any]] = {bool: bool, int: _whole, float: float, str: str}
WRITTEN = {bool: "bool", int: "int64", float: "double", str: "string"}  # in errors
