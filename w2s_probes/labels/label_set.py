"""Label sets: for each row id a soft label P(label = 1), with its role and where it came from."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, preview
from ..io.plain_values import as_text, is_missing
from ..io.tables import read_table
from ..rows.fields import number, typed
from ..rows.ids import positions, text_ids, with_ids
from ..tensors import as_numpy

DISAGREEMENT = "disagreement"  # the field: the standard deviation of P(1) between a row's raters
SHOWN = 5  # rows in a notebook
Role = Literal["weak", "truth"]


@dataclass(frozen=True)
class LabelSet:
    """Soft labels joined to rows by id.

    `role` limits their use: code that selects or tunes anything reads `weak` labels only, and a number for which
    `truth` chose anything is marked as an oracle's.

    >>> labels = LabelSet(np.array(["a", "b"], dtype=object), np.array([0.9, 0.2]))
    >>> labels
    LabelSet(2 weak labels, soft, 50.0% above ½, mean 0.550)
    >>> labels.values(["b"])
    array([0.2])
    """

    ids: NDArray[np.object_]  # (n,) text, unique
    p: NDArray[np.float64]  # (n,) P(label = 1) in [0, 1]
    role: Role = "weak"
    provenance: dict[str, Any] = field(default_factory=dict)  # model, file, seed: whatever made the labels

    def __post_init__(self) -> None:
        ids = np.asarray(self.ids, dtype=object)
        where = str(self.provenance.get("file", "labels"))
        if ids.ndim != 1 or len(ids) != len(np.atleast_1d(as_numpy(self.p))):
            raise InputError(f"{where}: {len(ids)} ids but {np.size(self.p)} labels")
        ids = np.array(text_ids(ids, where), dtype=object)
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "p", as_probabilities(self.p, where, ids))

    def __len__(self) -> int:
        return len(self.ids)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """P(label = 1) (n,), float64, in the order of `ids`: a label set goes wherever an array of labels goes."""
        if copy is False:
            return np.asarray(self.p, dtype=dtype, copy=False)
        return np.array(self.p, dtype=dtype, copy=copy)

    @classmethod
    def read(cls, path: Path | str, role: Role = "weak") -> "LabelSet":
        """Labels from a JSONL, CSV or Parquet file with the fields `id` (or `text`, whose hash it then is) and `label`.

        With `role="truth"` the field `truth` is read, or `label` where the file has no such field.
        """
        return cls.from_table(read_label_table(path), role, str(path))

    @classmethod
    def from_table(cls, table: pd.DataFrame, role: Role = "weak", where: str = "labels") -> "LabelSet":
        """Labels from a DataFrame with the columns of a label file; `where` names it in errors."""
        table = with_ids(table, where)
        column = "truth" if role == "truth" and "truth" in table else "label"
        for name in ("id", column):
            if name not in table:
                raise InputError(f"{where}: no field {name!r}; it has {preview(list(table.columns), 8)}")
        ids = table["id"].to_numpy(dtype=object)
        given = [number(value) for value in table[column].tolist()]
        numbers = np.array([_number(value) for value in given])
        if np.isnan(numbers).any():
            row = int(np.isnan(numbers).argmax())
            if is_missing(given[row]):
                absent = sum(map(is_missing, given))
                raise InputError(f"{where}: {absent} of {len(ids)} rows have no {column}, first {ids[row]!r}: give it")
            value = str(table[column].iloc[row])[:40]
            raise InputError(f"{where}: the {column} of row {ids[row]!r} is {value!r}; labels are numbers in [0, 1]")
        as_probabilities(numbers, where, ids, column)
        return cls(ids, numbers, role, {"file": where, "column": column})

    def to_frame(self) -> pd.DataFrame:
        """A DataFrame of n rows with the columns of a label file, in this order: `id`, and `label` = P(1).

        Ground truth stands under `truth` in place of `label`, so that `weak.to_frame().merge(truth.to_frame())` is a
        whole label file; `from_table(frame, role)` gives the same labels back.
        """
        return pd.DataFrame({"id": self.ids, "label" if self.role == "weak" else "truth": self.p})

    def __repr__(self) -> str:
        return f"LabelSet({self._summary()})"

    def _repr_html_(self) -> str:
        """A table for notebooks: the first few labels, and how many there are."""
        few = self.to_frame().head(SHOWN).to_html(index=False, border=0)  # pandas escapes the ids
        more = f"<p>… and {len(self) - SHOWN:,} more</p>" if len(self) > SHOWN else ""
        return f"<p><b>LabelSet</b> {html.escape(self._summary())}</p>{few}{more}"

    def _summary(self) -> str:
        where = f"{str(self.provenance['file'])!r}: " if "file" in self.provenance else ""
        counted = f"{where}{len(self):,} {self.role} labels"
        if not len(self):
            return counted
        kind = "hard" if np.isin(self.p, (0, 1)).all() else "soft"
        return f"{counted}, {kind}, {np.mean(self.p > 0.5):.1%} above ½, mean {self.p.mean():.3f}"

    def values(self, ids: Sequence[str] | NDArray[np.object_]) -> NDArray[np.float64]:
        """P(label = 1) of these rows, in this order; InputError for an id that has no label."""
        return self.p[positions(self.ids, ids, str(self.provenance.get("file", "the label set")))]


def ids_of(values: object) -> NDArray[np.object_] | None:
    """The ids (n,) of a label set; None of an array, which has none."""
    return values.ids if isinstance(values, LabelSet) else None


def refuse_other_ids(ids: Mapping[str, NDArray[np.object_] | None]) -> None:
    """InputError unless all rows that have `ids` (`ids_of`), by what they are called, are the same in the same order.

    Numbers that meet row by row are joined by order: arrays have no ids to join by, label sets have and must agree.
    """
    known = [(name, rows) for name, rows in ids.items() if rows is not None]
    for name, rows in known[1:]:
        first, reference = known[0]
        if len(rows) != len(reference):
            raise InputError(
                f"{first}: {len(reference)} rows, {name}: {len(rows)}: give both of the same rows, "
                "as label_set.values(ids) takes them from a label set by id"
            )
        if (other := rows != reference).any():
            at = int(other.argmax())
            raise InputError(
                f"{first} and {name} are of other rows, or in another order: row {at} is {reference[at]!r} in the one "
                f"and {rows[at]!r} in the other: label_set.values(ids) takes them from a label set by id"
            )


def read_label_table(path: Path | str) -> pd.DataFrame:
    """A label file's table with its known fields typed; rows without ids get a hash of the text, as in extraction."""
    return typed(read_table(path), str(path))


def in_split(table: pd.DataFrame, name: str, where: str) -> NDArray[np.bool_]:
    """The rows (n,) of this `split`; InputError for a split that is not train, val or test."""
    splits = table["split"].map(lambda value: as_text(value, f"{where}: a split"))
    unknown = ~splits.isin(["train", "val", "test"])
    if unknown.any():
        row = int(unknown.argmax())
        raise InputError(
            f"{where}: the split of row {table['id'].iloc[row]!r} is {splits.iloc[row][:40]!r}; use train, val or test"
        )
    return (splits == name).to_numpy()


def truth_where_known(table: pd.DataFrame, where: str) -> NDArray[np.float64] | None:
    """The `truth` (n,) of a label file's rows, NaN where a row has none; None where no row has one.

    InputError for a truth that is there and is no number in [0, 1].
    """
    if "truth" not in table:
        return None
    known = np.array([not is_missing(number(value)) for value in table["truth"].tolist()], dtype=bool)
    if not known.any():
        return None
    truth = np.full(len(table), np.nan)
    truth[known] = LabelSet.from_table(table[known], "truth", where).p
    return truth


def raters_disagreement(table: pd.DataFrame, where: str) -> NDArray[np.float64]:
    """The `disagreement` (n,) that `w2s combine` has written, NaN where one rater alone has judged a row.

    InputError where there is no such field, and by row for what is no number in [0, ½].
    """
    if DISAGREEMENT not in table:
        raise InputError(f"{where}: no field {DISAGREEMENT!r}, which `w2s combine` writes: combine label files first")
    values = [number(value) for value in table[DISAGREEMENT].tolist()]
    numbers = np.array([_number(value) for value in values])
    for row, value, known in zip(table["id"].tolist(), values, numbers.tolist(), strict=True):
        if not is_missing(value) and not 0 <= known <= 0.5:
            raise InputError(
                f"{where}: the {DISAGREEMENT} of row {row!r} is {str(value)[:40]!r}: a standard deviation of P(1) "
                "between raters is a number in [0, 0.5]"
            )
    return numbers


def _number(value: Any) -> float:
    """The value as a number, NaN where it is none."""
    if isinstance(value, str | bytes):  # a word; float() would take "inf" or "1_0" for numbers
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def as_probabilities(
    values: ArrayLike, where: str, ids: Sequence[Any] | NDArray[Any], name: str = "label"
) -> NDArray[np.float64]:
    """Labels as float64, refused by row id where one is not a number in [0, 1]."""
    p = np.asarray(as_numpy(values), dtype=np.float64)
    bad = ~((p >= 0) & (p <= 1))  # also true for NaN
    if bad.any():
        row = int(bad.argmax())
        raise InputError(
            f"{where}: the {name} of row {ids[row]!r} is {p[row]:g}; labels are P(label = 1) in [0, 1]"
            + (f" ({int(bad.sum())} rows are outside)" if bad.sum() > 1 else "")
        )
    return p
