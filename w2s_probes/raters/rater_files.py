"""Label files as raters: read and joined by id with the fields that they share, and the combined label file written."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError
from ..io.plain_values import is_missing
from ..io.tables import write_table
from ..labels.label_set import LabelSet, read_label_table, truth_where_known
from ..rows.groups import GROUP
from .combining import Combined
from .ratings import LEAST_RATERS, Ratings

SHARED = ("text", GROUP, "split", "truth")  # the fields of a row that are no rater's own


@dataclass(frozen=True)
class RaterFiles:
    """Label files joined by id, and what they say of the rows themselves."""

    ratings: Ratings
    fields: pd.DataFrame  # (n,) rows in the order of the ratings, with those of SHARED that some file has

    @classmethod
    def read(cls, paths: Sequence[Path | str]) -> "RaterFiles":
        """Read two files or more, each a rater that is called by its file's name.

        A row that several files describe must be described alike. InputError for a file of ground truth, and as
        `Ratings.of` says.
        """
        if len(paths) < LEAST_RATERS:
            raise InputError(f"{paths[0] if paths else 'no file'}: combining takes two label files or more")
        names = _names([Path(path) for path in paths])
        labels: dict[str, LabelSet] = {}
        known: dict[str, dict[str, tuple[Any, str]]] = {name: {} for name in SHARED}  # by field: value by id, and file
        for name, path in zip(names, paths, strict=True):
            table = read_label_table(path)
            if "label" not in table and "truth" in table:
                raise InputError(f"{path}: has `truth` and no `label`: ground truth is no rater: give it by --trusted")
            labels[name] = LabelSet.from_table(table, where=str(path))
            truth_where_known(table, str(path))  # refuses what is no number
            for field in SHARED:
                if field in table:
                    _add(known[field], table, field, str(path))
        ratings = Ratings.of(labels)
        fields = {
            field: [values[row][0] if row in values else np.nan for row in ratings.ids.tolist()]
            for field, values in known.items()
            if values
        }
        table = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in fields.items()})
        groups = table[GROUP].to_numpy(dtype=object) if GROUP in table else None
        return cls(Ratings(ratings.names, ratings.ids, ratings.p, groups), table)

    def write(self, combined: Combined, path: Path | str) -> None:
        """Write the combined label file: `id`, `label`, `disagreement`, `raters`, and the fields of the rows."""
        write_table(pd.concat([combined.to_frame(), self.fields], axis=1), path)


def read_trusted(path: Path | str, files: RaterFiles | None = None) -> LabelSet:
    """The rows of a label file whose truth is known: by `truth`, or by `label` where it has no such field.

    Rows whose `split` is another than train, here or in the raters' `files`, are left out: what is learned from their
    truth is not to be judged by it.
    """
    table = read_label_table(path)
    learned = _is_train(table)
    if files is not None and "split" in files.fields:
        others = set(files.ratings.ids[~_is_train(files.fields)].tolist())
        learned &= ~table["id"].isin(others).to_numpy(dtype=bool)
    table = table[learned]
    if table.empty:
        raise InputError(f"{path}: every row is of another `split` than train: trusted rows are not test rows")
    if "truth" in table:
        if (truth := truth_where_known(table, str(path))) is None:
            raise InputError(f"{path}: no row has a `truth`: trusted rows are those that have one")
        table = table[~np.isnan(truth)]
    return LabelSet.from_table(table, "truth", str(path))


def _is_train(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows (n,) may be learned from: of `split` train, or of none."""
    if "split" not in table:
        return np.ones(len(table), dtype=bool)
    return np.array([is_missing(split) or str(split) == "train" for split in table["split"]], dtype=bool)


def _add(values: dict[str, tuple[Any, str]], table: pd.DataFrame, field: str, where: str) -> None:
    """Note a field of the rows; InputError where another file has said otherwise of one."""
    for row, value in zip(table["id"].tolist(), table[field].tolist(), strict=True):
        if is_missing(value):
            continue
        if row in values and values[row][0] != value:
            other, file = values[row]
            raise InputError(
                f"{where}: the {field} of row {row!r} is {str(value)[:40]!r}, but {str(other)[:40]!r} in {file}: "
                "raters are joined by `id`, so are these other rows?"
            )
        values.setdefault(row, (value, where))


def _names(paths: list[Path]) -> list[str]:
    """The files' names without their endings, or their paths where two have one name."""
    stems = [path.name.partition(".")[0] or path.name for path in paths]
    counts = Counter(stems)
    names = [stem if counts[stem] == 1 else str(path) for stem, path in zip(stems, paths, strict=True)]
    if len(set(names)) < len(names):
        doubled = next(name for name, times in Counter(names).items() if times > 1)
        raise InputError(f"{doubled}: stands twice: a rater counts once")
    return names
