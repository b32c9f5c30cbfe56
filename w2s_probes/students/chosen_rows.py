"""The rows of a label file that teach a student, and those that stop its training."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError
from ..labels.label_set import in_split
from ..randomness import stream
from ..rows.fields import kept_rows
from ..rows.held_out import set_aside

VALIDATION_SHARE = 0.1  # of the rows, for early stopping, where the file names no validation rows


@dataclass(frozen=True)
class ChosenRows:
    """The rows that a student reads, and the counts of the file's other rows: all counts add up to `of_rows`."""

    table: pd.DataFrame  # the rows used; `label` is what the student learns, and what validation rows are held to
    val: NDArray[np.bool_]  # (n,) those that stop training
    of_rows: int  # in the file
    dropped: int  # by a filter (`keep` false), validation rows not among them
    dropped_val: int  # validation rows that the filter dropped, too, and that stop training all the same
    test: int  # of `split` test
    named: bool  # whether the file's `split` names the validation rows

    @property
    def train(self) -> int:
        """Rows that teach."""
        return int((~self.val).sum())

    @property
    def counts(self) -> dict[str, int]:
        """For a record: rows in the file, and those that were left out."""
        return {"file": self.of_rows, "dropped": self.dropped, "test_split": self.test}

    @property
    def account(self) -> str:
        """The use of all rows: "1,213 of 1,500 rows: 150 dropped by the filter, 137 held out to stop training"."""
        also = f" ({self.dropped_val:,} of these dropped by the filter, too)" if self.dropped_val else ""
        stop = f"{self.val.sum():,} {'of `split` val stop' if self.named else 'held out to stop'} training{also}"
        parts = [f"{self.dropped:,} dropped by the filter"] if self.dropped else []
        parts += [f"{self.test:,} of `split` test left out"] if self.test else []
        return f"{self.train:,} of {self.of_rows:,} rows: {', '.join([*parts, stop])}"


def choose_rows(table: pd.DataFrame, where: str, seed: int) -> ChosenRows:
    """Rows of a label file's table to train on and to stop by; `where` names it in errors.

    Rows that a filter dropped do not teach, and `new_label` stands for `label`. Validation rows are those of `split`
    val, or else a tenth, drawn with `seed`. They keep their weak labels and stay, whatever `keep` says: what stops
    training must not depend on the method. InputError where no row is left for either.
    """
    val, named = _validation(table, where, seed)
    if "new_label" in table:
        table = table.assign(label=table["label"].where(val, table["new_label"]))
    kept = kept_rows(table, where)
    test = in_split(table, "test", where) if "split" in table else np.zeros(len(table), dtype=bool)
    used = (val | kept) & ~test
    if not used[~val].any():
        raise InputError(f"{where}: no row is left to train on (`keep` true, `split` train)")
    return ChosenRows(
        table[used].reset_index(drop=True),
        val[used],
        len(table),
        int((~kept & ~val & ~test).sum()),
        int((~kept & val & ~test).sum()),
        int(test.sum()),
        named,
    )


def _validation(table: pd.DataFrame, where: str, seed: int) -> tuple[NDArray[np.bool_], bool]:
    """The rows (n,) for early stopping, and whether the file names them.

    Whole groups and equal texts are drawn together, a row without a group by itself; rows of `split` test are not.
    """
    if "split" in table and (val := in_split(table, "val", where)).any():
        return val, True
    known = np.ones(len(table), dtype=bool) if "split" not in table else ~in_split(table, "test", where)
    val = np.zeros(len(table), dtype=bool)
    val[known] = set_aside(table[known], VALIDATION_SHARE, stream(seed, "validation rows"))
    if val[known].all():
        rows = int(known.sum())
        raise InputError(f"{where}: all {rows} rows hang together, so none can be held out to stop training by")
    return val, False
