"""The rows of a label file as an Arrow table of one schema, each with its provenance: the start of every export."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ..errors import InputError, did_you_mean, preview
from ..io.plain_values import as_json, is_missing, plain
from ..io.tables import read_table
from ..labels.class_mix import ClassMix, class_mix
from ..labels.label_file import LabelFile
from ..labels.label_set import LabelSet
from ..labels.verdicts import users_fields
from ..rows.groups import GROUP
from ..rows.ids import with_ids
from ..ties import above_half
from .provenance import PROVENANCE, provenance

Choice = Literal["new", "weak"]
Kept = Literal["kept", "all"]

TRUTH = "truth"
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class RowChoice:
    """The choice of rows, and of their labels."""

    take: Kept = "kept"  # which rows
    label: Choice | None = None  # None: the new one where there is one
    hard: bool = False  # 0 or 1 in place of P(label = 1)
    splits: tuple[str, ...] = ()  # none: all
    truth: bool = False
    fields: tuple[str, ...] = ()  # of the file, beside `group` and `split`

    def __post_init__(self) -> None:
        if self.take not in get_args(Kept):
            raise InputError(f"take {self.take!r}: {did_you_mean(str(self.take), get_args(Kept))}")
        if self.label is not None and self.label not in get_args(Choice):
            raise InputError(f"label {self.label!r}: {did_you_mean(str(self.label), get_args(Choice))}")
        for split in self.splits:
            if split not in SPLITS:
                raise InputError(f"split {split!r}: {did_you_mean(split, SPLITS)}")


@dataclass(frozen=True)
class LabelRows:
    """Chosen rows: `id`, `text` where there are texts, `label` = P(1), PROVENANCE, `group` and `split`, then fields."""

    table: pa.Table
    where: str  # the file's name, for errors
    source: dict[str, Any]  # its name and hash, for records
    of_rows: int  # rows of the file
    left_out: dict[str, int] = field(default_factory=dict)  # why, and how many
    mix: ClassMix | None = None  # of the training rows before and after the filter, where one dropped any

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def p(self) -> NDArray[np.float64]:
        """The chosen labels (n,), P(label = 1)."""
        return np.asarray(self.table["label"].to_numpy())

    @property
    def ids(self) -> list[str]:
        """Row ids (n,)."""
        return list(self.table["id"].to_pylist())

    def texts(self, name: str = "text") -> list[str]:
        """A column of texts (n,); InputError where there is none, or where one is empty."""
        if name not in self.table.column_names:
            remedy = "give --texts ROWS to join them by id" if name == "text" else "name another"
            raise InputError(
                f"{self.where}: no field {name!r}, which this format needs: {remedy}, or export to jsonl, csv or "
                "parquet"
            )
        values = list(self.table[name].to_pylist())
        for row_id, value in zip(self.ids, values, strict=True):
            if not isinstance(value, str) or not value.strip():
                raise InputError(
                    f"{self.where}: the {name} of row {row_id!r} is {str(value)[:40]!r}: no text to export"
                )
        return values

    def without(self, keep: NDArray[np.bool_], why: str) -> "LabelRows":
        """The rows where `keep` (n,), the others counted as left out."""
        gone = int((~keep).sum())
        left_out = self.left_out | ({why: self.left_out.get(why, 0) + gone} if gone else {})
        return replace(self, table=self.table.filter(pa.array(keep)), left_out=left_out)

    def beside(self, columns: Mapping[str, Any], without: Collection[str] = ()) -> pa.Table:
        """A format's own columns and then every other one but the text, the chosen label, and those to be `without`.

        InputError for a field of the user's that bears the name of one of the format's own.
        """
        passed = {"id", "text", "label", *without}
        others = {name: self.table[name] for name in self.table.column_names if name not in passed}
        if taken := [name for name in others if name in columns]:
            raise InputError(
                f"{self.where}: this format has a column {taken[0]!r} of its own: leave --field {taken[0]} away, or "
                "rename that field"
            )
        return pa.table({**columns, **others})


def chosen_rows(file: LabelFile, choice: RowChoice, texts: Path | str | None = None) -> LabelRows:
    """The chosen rows of a label file; InputError where none is left. `texts` is a row file joined by id."""
    where, frame = file.where, file.frame
    chosen, weak = _labels(frame, choice, where)
    if texts is not None:
        frame = _with_texts(frame, texts, where)
    columns: dict[str, Any] = {"id": pa.array(frame["id"].tolist(), pa.string())}
    if "text" in frame:
        columns["text"] = _loose(frame["text"])
    columns["label"] = pa.array(above_half(chosen).astype(float) if choice.hard else chosen)
    columns["weak_label"] = pa.array(weak)
    columns |= {name: provenance(frame, name, where) for name in PROVENANCE if name != "weak_label"}
    for name in (GROUP, "split"):
        if name in frame:
            names = [None if is_missing(value) or value == "" else str(value) for value in frame[name]]
            columns[name] = pa.array(names, pa.string())
    if choice.truth:
        columns[TRUTH] = pa.array(LabelSet.from_table(frame, "truth", where).p) if TRUTH in frame else None
        if columns[TRUTH] is None:
            raise InputError(f"{where}: no field {TRUTH!r} to export: leave --truth away")
    for name in choice.fields:
        columns |= {name: _loose(_field(frame, name, columns, where))}
    rows = LabelRows(pa.table(columns), where, file.source, len(frame))
    rows = _chosen(rows, choice)
    _refuse_other_splits(rows)
    return rows


def _labels(frame: pd.DataFrame, choice: RowChoice, where: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The labels to export (n,) and the weak labels (n,), which an exported file has under `weak_label`."""
    given = LabelSet.from_table(frame, where=where).p
    if "weak_label" in frame:
        weak = LabelSet.from_table(frame[["id"]].assign(label=frame["weak_label"]), where=where).p
        return (weak if choice.label == "weak" else given), weak
    if choice.label == "new" and "new_label" not in frame:
        raise InputError(f"{where}: no field 'new_label': make it with `w2s relabel`, or export --label weak")
    if choice.label == "weak" or "new_label" not in frame:
        return given, given
    return LabelSet.from_table(frame[["id"]].assign(label=frame["new_label"]), where=where).p, given


def _with_texts(frame: pd.DataFrame, texts: Path | str, where: str) -> pd.DataFrame:
    table = with_ids(read_table(texts), str(texts))
    for name in ("id", "text"):
        if name not in table:
            raise InputError(f"{texts}: no field {name!r}; it has {preview(list(table.columns), 8)}")
    found = frame["id"].map(table.set_index("id")["text"])
    if found.isna().any():
        missing = frame["id"][found.isna()].tolist()
        raise InputError(f"{texts} has no text for {len(missing)} of {len(frame)} rows of {where}: {preview(missing)}")
    return frame.assign(text=found)


def _field(frame: pd.DataFrame, name: str, taken: dict[str, Any], where: str) -> "pd.Series[Any]":
    if name == TRUTH:
        raise InputError("the field 'truth' is exported with --truth: a trainer must not read it unawares")
    if name not in frame:
        raise InputError(f"{where}: no field {name!r} to carry: {did_you_mean(name, map(str, frame.columns))}")
    if name in users_fields(frame):
        raise InputError(f"{where}: every export has a column {name!r} for what a filter says: rename the file's field")
    if name in taken:
        raise InputError(f"{where}: the field {name!r} is exported already: leave --field {name} away")
    return frame[name]


def _loose(values: Iterable[Any]) -> pa.Array:
    """A column of a user's values; as JSON text where Arrow has no single type for all of them."""
    cells = [None if is_missing(value) else plain(value) for value in values]
    try:
        array = pa.array(cells)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array(
            [None if v is None else v if isinstance(v, str) else json.dumps(v, default=as_json) for v in cells]
        )
    return array.cast(pa.string()) if pa.types.is_null(array.type) else array


def _refuse_other_splits(rows: LabelRows) -> None:
    """InputError for a split other than SPLITS: a trainer would mistake such rows."""
    if "split" in rows.table.column_names:
        for row_id, name in zip(rows.ids, rows.table["split"].to_pylist(), strict=True):
            if name not in SPLITS:
                raise InputError(
                    f"{rows.where}: the split of row {row_id!r} is {(name or '')[:40]!r}; use {', '.join(SPLITS)}"
                )


def _chosen(rows: LabelRows, choice: RowChoice) -> LabelRows:
    if choice.splits:
        if "split" not in rows.table.column_names:
            raise InputError(f"{rows.where}: no field 'split' to choose {' and '.join(choice.splits)} by")
        rows = rows.without(np.isin(rows.table["split"].to_pylist(), choice.splits), "of other splits")
        if not len(rows):
            raise InputError(f"{rows.where}: no row has split = {' or '.join(choice.splits)}")
    if choice.take == "kept":
        keep = np.array(rows.table["keep"].to_pylist(), dtype=bool)
        rows = replace(rows.without(keep, "dropped by the filter"), mix=_mix(rows, keep))
    if not len(rows):
        raise InputError(
            f"{rows.where}: no row is kept (`keep` is false everywhere): export --take all, or filter less"
        )
    return rows


def _mix(rows: LabelRows, keep: NDArray[np.bool_]) -> ClassMix | None:
    """The mix of weak classes before and after the filter, of the rows that it judged."""
    if keep.all():
        return None
    names = rows.table.column_names
    judged = np.ones(len(rows), dtype=bool)
    if "split" in names:
        judged = np.array([split in (None, "train") for split in rows.table["split"].to_pylist()], dtype=bool)
    weak = np.asarray(rows.table["weak_label"].to_numpy(), dtype=np.float64)
    return class_mix(weak[judged], keep[judged], rows.p[judged])
