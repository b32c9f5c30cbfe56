"""A model's scores in a file, JSONL, CSV or Parquet, and the rows that several such files have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, preview
from ..io.plain_values import is_missing
from ..io.readers import readable
from ..io.tables import refuse_no_table
from ..labels.label_set import LabelSet, read_label_table, truth_where_known
from ..labels.verdicts import NEEDED
from ..rows.fields import number
from ..rows.groups import GROUP

SCORES = ("score", "label")  # columns that are read where none is named, the first that is there


@dataclass(frozen=True)
class ScoreFile:
    """A column of scores by id, with the truth and the groups that stand beside it."""

    given: str  # FILE or FILE:COLUMN, as it was named
    path: Path
    column: str
    table: pd.DataFrame  # `id`, `score`, and where present `truth`, NaN where unknown, and `group`

    @classmethod
    def read(cls, given: str | Path) -> Self:
        """Read FILE or FILE:COLUMN. InputError, by row, for a score that is missing or no finite number.

        Without a column `score` is read, or else `label`; of what `w2s filter` and `w2s relabel` wrote, whose `score`
        is the filter's, `p`, the probe's P(1).
        """
        path, named = split_name(given)
        where = str(path)
        table = read_label_table(path)
        if "id" not in table:
            raise InputError(f"{where}: no field 'id' (nor 'text'), by which rows are joined; it has {_columns(table)}")
        column = named or _column(table, where)
        if column not in table or column == "id":
            raise InputError(f"{where}: no column {column!r}; it has {_columns(table)}")
        kept = pd.DataFrame({"id": table["id"], "score": _numbers(table, column, where)})
        truth = truth_where_known(table, where) if column != "truth" else None
        if truth is not None:
            kept["truth"] = truth
        if GROUP in table:
            kept[GROUP] = table[GROUP]
        return cls(str(given), path, column, kept)

    @property
    def ids(self) -> pd.Index:
        """The ids (n,) of its rows."""
        ids: pd.Index = pd.Index(self.table["id"].to_numpy(dtype=object))
        return ids


def split_name(given: str | Path) -> tuple[Path, str]:
    """The file and the column, empty where none is named; InputError where there is no such file.

    FILE:COLUMN is one where FILE is a file and the whole is none.
    """
    whole = Path(given)
    file, colon, column = str(given).rpartition(":")
    if colon and column and not whole.is_file() and Path(file).name.endswith(readable()):
        refuse_no_table(file)
        return Path(file), column
    refuse_no_table(whole)
    return whole, ""


def names_of(given: Sequence[str]) -> list[str]:
    """A short name for each file: its own without folder and ending, or its column; in full where those are the same.

    InputError for one that is given twice.
    """
    for position, one in enumerate(given):
        if one in given[:position]:
            raise InputError(f"{one}: given twice: give each file once")
    short = []
    for one in given:
        path, column = split_name(one)
        ending = next(ending for ending in readable() if path.name.endswith(ending))
        short.append(column or path.name.removesuffix(ending))
    return short if len(set(short)) == len(short) else list(given)


def read_truth(path: Path) -> ScoreFile:
    """A file with `id` and `truth`, or else `label`, which are then its scores; rows without one are left out."""
    table = read_label_table(path)
    truth = truth_where_known(table, str(path)) if "truth" in table else None
    if truth is None:
        labels = LabelSet.from_table(table.drop(columns="truth", errors="ignore"), where=str(path))
        kept = pd.DataFrame({"id": labels.ids, "truth": labels.p})
    else:
        kept = pd.DataFrame({"id": table["id"], "truth": truth}).dropna(subset=["truth"])
    if GROUP in table:
        kept = kept.merge(table[["id", GROUP]], on="id", how="left")
    return ScoreFile(str(path), path, "truth", kept.assign(score=kept["truth"]))


def joined_ids(files: Sequence[ScoreFile], *, common: bool) -> pd.Index:
    """The ids of the rows that all files have, in the first one's order; InputError where others are in some of them.

    With `common` rows that a file lacks are left out.
    """
    ids = files[0].ids
    for other in files[1:]:
        shared = ids[ids.isin(other.ids)]
        if len(shared) < max(len(ids), len(other.ids)) and not common:
            missing = ids.difference(other.ids, sort=False)
            lacks, name = (other, missing[0]) if len(missing) else (files[0], other.ids.difference(ids, sort=False)[0])
            raise InputError(
                f"{other.given}: {len(shared):,} of its {len(other.ids):,} rows are among the {len(ids):,} of "
                f"{files[0].given}; {lacks.given} has no row {name!r}: give scores of the same rows, or --common to "
                "take those that all have"
            )
        ids = shared
        if not len(ids):
            raise InputError(f"{other.given}: none of its rows is among those of {files[0].given}: are the ids alike?")
    return ids


def merged(files: Sequence[ScoreFile], column: str, ids: pd.Index) -> NDArray[np.object_] | None:
    """A column (n,) that may stand in several files, None where a row has none; None where no file has it.

    InputError, by row, where two files say different things.
    """
    values: NDArray[np.object_] | None = None
    source: dict[int, str] = {}
    for file in files:
        if column not in file.table:
            continue
        here = file.table.set_index("id")[column].reindex(ids).to_numpy(dtype=object)
        if values is None:
            values = np.full(len(ids), None, dtype=object)
        for row, value in enumerate(here):
            if is_missing(value):
                continue
            if values[row] is not None and values[row] != value:
                raise InputError(
                    f"{file.given}: the {column} of row {ids[row]!r} is {value}, and {values[row]} in {source[row]}: "
                    "they are not of the same rows"
                )
            if values[row] is None:
                values[row], source[row] = value, file.given
    return values


def _column(table: pd.DataFrame, where: str) -> str:
    if set(NEEDED) <= set(table.columns) and "p" in table:
        return "p"
    for name in SCORES:
        if name in table:
            return name
    raise InputError(f"{where}: no `score` and no `label`; name its column, {where}:COLUMN; it has {_columns(table)}")


def _columns(table: pd.DataFrame) -> str:
    return preview(list(table.columns), 8)


def _numbers(table: pd.DataFrame, column: str, where: str) -> NDArray[np.float64]:
    given: list[Any] = [number(value) for value in table[column].tolist()]
    ids = table["id"].tolist()
    if absent := [row for row, value in zip(ids, given, strict=True) if is_missing(value)]:
        raise InputError(
            f"{where}: {len(absent)} of {len(given)} rows have no {column}, first {absent[0]!r}: give it, or leave the "
            "row out"
        )
    for row, value in zip(ids, given, strict=True):
        if not isinstance(value, int | float) or not np.isfinite(value):
            raise InputError(f"{where}: the {column} of row {row!r} is {str(value)[:40]!r}: it must be a finite number")
    return np.array(given, dtype=np.float64)
