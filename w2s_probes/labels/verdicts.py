"""The verdict file: every row of a label file, with what a filter or a relabelling says of it beside its own fields."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, some
from ..io.files import refuse_input, refuse_no_file
from ..io.tables import refuse_unwritable, table_format, write_table
from ..rows.fields import KEEP, kept_rows, refuse_own_fields
from ..rows.ids import positions
from .label_set import LabelSet, in_split

if TYPE_CHECKING:
    from ..export.label_rows import Labels
    from ..filtering.disagreement import FilterResult

NOT_TRAINING = "not a training row"
ROUNDING = 1e-6  # by which a label may differ from the file's: that of float32


def with_verdict(
    table: pd.DataFrame,
    rows: NDArray[Any],
    verdict: Mapping[str, NDArray[Any]],
    *,
    where: str,
    probe: str,
    layer: int | None,
    store: str | None,
) -> pd.DataFrame:
    """A label file's table (N rows, typed), and beside it the verdict on some `rows`: a mask (N,) or indices (n,).

    `verdict`: columns (n,) by name, of `fields.ADDED`. Rows without one are kept. A row that an earlier filter dropped
    stays dropped, for its earlier reason, and a label that an earlier relabelling gave stays where this verdict gives
    none. `layer` and `store` (its key) say what the probe read; None: not known. `where` names the file in errors.
    """
    earlier = table["new_label"] if "new_label" in table else table["label"]
    judged = table.assign(
        keep=True,
        score=np.nan,
        probe=probe,
        layer=np.nan if layer is None else layer,
        new_label=earlier.where(earlier.notna(), table["label"]),
        reason=NOT_TRAINING,
        p=np.nan,
        fold=np.nan,
        store=np.nan if store is None else store,
    ).astype({"reason": object, "new_label": object, "fold": object})
    at = table.index[rows]
    for name, values in verdict.items():
        judged.loc[at, name] = values
    dropped = ~kept_rows(table, where)
    judged.loc[dropped, KEEP] = False
    if "reason" in table:
        judged.loc[dropped, "reason"] = table.loc[dropped, "reason"]
    return judged


def export_verdict(
    result: "FilterResult", path: Path | str, labels: "Labels", *, layer: int | None = None, store: str | None = None
) -> None:
    """Write what `FilterResult.export` says."""
    from ..export.label_rows import LabelFile

    path = Path(path)
    table_format(path)
    refuse_no_file(path)
    refuse_input(path, Path(labels) if isinstance(labels, str | Path) else None)
    file = LabelFile.read(labels)
    table, where = file.frame, file.where
    refuse_own_fields(table, where)
    weak = LabelSet.from_table(table, where=where)
    rows = _judged_rows(result, table, weak, where)
    if (other := np.abs(weak.p[rows] - result.labels) > ROUNDING).any():
        at = int(other.argmax())
        raise InputError(
            f"{where}: the label of row {weak.ids[rows[at]]!r} is {weak.p[rows[at]]:g}, but the filter judged "
            f"{result.labels[at]:g} there: give the labels that it was made from, in their order"
        )
    refuse_unwritable(table, path)
    verdict = {"keep": result.mask, "score": result.scores, "reason": result.reasons}
    if result.p is not None:
        verdict["p"] = result.p
    if result.folds is not None:
        verdict["fold"] = result.folds.astype(object)  # so that whole numbers stay whole on disk
    by = f"{result.probe}, in-sample" if result.in_sample else result.probe
    write_table(with_verdict(table, rows, verdict, where=where, probe=by, layer=layer, store=store), path)


def _judged_rows(result: "FilterResult", table: pd.DataFrame, weak: LabelSet, where: str) -> NDArray[np.intp]:
    """Which rows of the file (n,) the filter's are: by id where it knows ids, else all rows, or all training rows."""
    training = np.flatnonzero(in_split(table, "train", where)) if "split" in table else np.arange(len(table))
    n = len(result.mask)
    if result.ids is None:
        if n not in (len(table), len(training)):
            raise InputError(
                f"{where}: {len(table)} rows, {len(training)} of them to train on, but the filter judged {n}, whose "
                "ids it does not know: filter by a LabelSet, which has ids, or give the labels of just those rows"
            )
        return np.arange(len(table)) if n == len(table) else training
    rows = positions(weak.ids, result.ids, where)
    left = np.setdiff1d(training, rows)
    if len(left):
        names = some(list(weak.ids[left]))
        raise InputError(
            f"{where}: {len(left)} of {len(training)} training rows were not judged ({names}): filter them too, or "
            "leave them out of the labels"
        )
    return rows
