"""An audit: the truth of some rows, from the label file itself or from a file of its own."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError
from ..labels.label_set import read_label_table, truth_where_known

EXAMPLE = "`id` and `truth`, P(label = 1)"


def read_audit(path: Path | str) -> pd.Series:
    """The truth by row id of an audit file, P(label = 1); InputError where it has no ids or no truth."""
    table = read_label_table(path)
    if "id" not in table:
        raise InputError(f"{path}: has no `id`: an audit's rows need {EXAMPLE}")
    truth = truth_where_known(table, str(path))
    if truth is None:
        raise InputError(f"{path}: no row has a `truth`: an audit's rows need {EXAMPLE}")
    ids = table["id"].astype(str)
    if ids.duplicated().any():
        raise InputError(f"{path}: two rows are called {ids[ids.duplicated()].iloc[0]!r}: an audit names a row once")
    known = ~np.isnan(truth)
    return pd.Series(truth[known], index=ids[known])


def with_audit(
    ids: NDArray[np.object_], truth: NDArray[np.float64] | None, audit: Path | str, of_file: NDArray[np.object_]
) -> NDArray[np.float64]:
    """The truth (n,) of rows `ids` (n,): what a label file says of them, and an audit file of others.

    `of_file` are the ids of all rows of the label file; those that are not judged may be in the audit, and are left
    out. InputError for rows of the audit that the label file does not have, for an audit of which no row is judged,
    and where the two disagree.
    """
    told = read_audit(audit)
    unknown = told.index.difference(pd.Index(of_file.astype(str)))
    if len(unknown):
        raise InputError(
            f"{audit}: row {unknown[0]!r} is not in the label file: an audit is of its rows, and ids are compared as "
            "text (1.0 is not 1)"
        )
    names = ids.astype(str)
    found = told.reindex(names).to_numpy(dtype=np.float64)
    if np.isnan(found).all():
        raise InputError(f"{audit}: none of its {len(told)} rows is a training row: nothing that is judged is audited")
    if truth is None:
        return found
    both = ~np.isnan(found) & ~np.isnan(truth)
    differ = both & (found != truth)
    if differ.any():
        at = int(differ.argmax())
        raise InputError(
            f"{audit}: the truth of row {str(names[at])!r} is {found[at]:g}, but the label file says {truth[at]:g}: "
            "leave one of them out"
        )
    return np.where(np.isnan(found), truth, found)
