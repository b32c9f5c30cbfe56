"""An audit: the truth of some rows, as arrays, from the label file itself or from a file of its own."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..checks import truth_sides
from ..errors import InputError, preview
from ..io.plain_values import is_missing
from ..labels.label_set import read_label_table, truth_where_known
from ..metrics.audit_design import AuditDesign
from ..rows.fields import number

EXAMPLE = "`id` and `truth`, P(label = 1)"
# How an audited row was drawn, as `w2s audit fold` writes it; rows without were drawn at random within each weak class.
INCLUSION, AUDIT_STRATUM = "inclusion_probability", "audit_stratum"
LEAST_AUDITED = 10  # audited rows or groups of each weak class, from which intervals were found to cover


def read_audit(path: Path | str) -> pd.Series:
    """The truth by row id of an audit file, P(label = 1); InputError where it has no ids or no truth."""
    return _truth_by_id(read_label_table(path), path)


def _truth_by_id(table: pd.DataFrame, path: Path | str) -> pd.Series:
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
    ids: NDArray[np.object_],
    truth: NDArray[np.float64] | None,
    audit: Path | str,
    of_file: NDArray[np.object_],
    where: str = "the label file",
) -> NDArray[np.float64]:
    """The truth (n,) of the rows `ids` (n,) by a label file (`truth`) and an audit file together; NaN in neither.

    `of_file` holds the ids of all rows of the label file, which `where` names; the audit may name rows of it that are
    not judged. InputError for rows of the audit that the label file does not have, for an audit of which no row is
    judged, and where the two disagree.
    """
    audited = read_audit(audit)
    unknown = audited.index.difference(pd.Index(of_file.astype(str)))
    if len(unknown):
        raise InputError(
            f"{audit}: {len(unknown)} of its {len(audited)} rows are not in {where}: {preview(list(unknown))}: an "
            "audit is of its rows, and ids are compared as text (1.0 is not 1)"
        )
    names = ids.astype(str)
    of_rows = audited.reindex(names).to_numpy(dtype=np.float64)
    if np.isnan(of_rows).all():
        raise InputError(
            f"{audit}: none of its {len(audited)} rows is a training row: nothing that is judged is audited"
        )
    if truth is None:
        return of_rows
    both = ~np.isnan(of_rows) & ~np.isnan(truth)
    differ = both & (of_rows != truth)
    if differ.any():
        at = int(differ.argmax())
        raise InputError(
            f"{audit}: the truth of row {str(names[at])!r} is {of_rows[at]:g}, but the label file says {truth[at]:g}: "
            "leave one of them out"
        )
    return np.where(np.isnan(of_rows), truth, of_rows)


def design_of(
    table: pd.DataFrame, known: NDArray[np.bool_], where: str, audit: Path | str | None = None
) -> AuditDesign | None:
    """How the rows of a label table (n, with `id`) whose truth is `known` (n,) were drawn, in their order.

    By the probabilities in the audit's file, or else in the table; None where neither says any, or every row's truth
    is known. InputError for a probability that is none, and where some of these rows have one and others do not.
    """
    names = [INCLUSION, AUDIT_STRATUM]
    drawn = table.reindex(columns=["id", *names]).assign(id=table["id"].map(str)).set_index("id")
    if audit is not None:
        of_audit = read_label_table(audit).reindex(columns=["id", *names])
        drawn = of_audit.assign(id=of_audit["id"].map(str)).set_index("id").reindex(drawn.index).combine_first(drawn)
        drawn = drawn.reindex(table["id"].map(str))
    given = [number(value) for value in drawn[INCLUSION][known].tolist()]
    there = np.array([not is_missing(value) for value in given], dtype=bool)
    if known.all() or not there.any():
        return None
    ids = table["id"][known].tolist()
    source = where if audit is None else str(audit)
    if not there.all():
        raise InputError(
            f"{source}: row {ids[int((~there).argmax())]!r} has a truth but no {INCLUSION}, and {int(there.sum())} "
            "rows have both: one audit is either drawn with known probabilities or not: leave the other rows' truth out"
        )
    for name, value in zip(ids, given, strict=True):
        if isinstance(value, str) or not 0 < value <= 1:
            raise InputError(f"{source}: the {INCLUSION} of row {name!r} is {str(value)[:40]!r}: it is in (0, 1]")
    strata = [str(value) for value in drawn[AUDIT_STRATUM][known].tolist()]
    return AuditDesign.of(given, strata)


def checked_audit(
    audited: tuple[ArrayLike, ArrayLike], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The audited rows as a mask (n,), and the side of ½ of their truth (n,), false elsewhere.

    `audited` is a pair of rows (indices or a mask) and their truth, `positive` (n,) the sides of the weak labels.
    InputError for rows out of range or named twice, and for fewer than two of a weak class.
    """
    n = len(positive)
    try:
        rows, truth = np.asarray(audited[0]), audited[1]
    except (TypeError, IndexError):
        raise InputError("audited must be a pair: the rows (indices or a mask), and their truth") from None
    if rows.dtype == bool:
        if rows.shape != (n,):
            raise InputError(f"the mask of audited rows has shape {rows.shape} but there are {n} rows")
        rows = np.flatnonzero(rows)
    elif rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise InputError("audited rows must be a vector of row numbers, or a mask")
    outside = rows[(rows < 0) | (rows >= n)]
    if len(outside):
        raise InputError(f"audited rows {preview(outside.tolist())} are out of range: there are {n} rows, from 0")
    named, times = np.unique(rows.astype(np.intp), return_counts=True)
    if len(named) < len(rows):
        raise InputError(f"audited rows {preview(named[times > 1].tolist())} are named more than once")
    seen, side = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    seen[named] = True
    if len(rows):
        side[rows] = truth_sides(truth, len(rows))
    if min(positive[seen].sum(), (~positive[seen]).sum()) < 2:
        raise InputError(
            f"the audit holds {int((~positive[seen]).sum())} rows of weak class 0 and {int(positive[seen].sum())} of "
            f"weak class 1: it needs at least 2 of each ({LEAST_AUDITED} for intervals to rely on)"
        )
    return seen, side


def in_row_order(design: AuditDesign, rows: ArrayLike, audited: int) -> AuditDesign:
    """The design in the order of the rows, from that of `rows` (indices or a mask); InputError for another number."""
    if len(design.inclusion) != audited:
        raise InputError(
            f"the design is of {len(design.inclusion)} rows but {audited} are audited: one probability each"
        )
    given = np.asarray(rows)
    return design if given.dtype == bool else design.ordered(np.argsort(given, kind="stable"))
