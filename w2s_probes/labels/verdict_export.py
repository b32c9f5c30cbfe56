"""The verdict of a filter or a relabelling in memory, written as `w2s filter` and `w2s relabel` write it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import probabilities
from ..errors import InputError, preview
from ..io.files import refuse_input, refuse_no_file
from ..io.tables import refuse_unwritable, table_format
from ..rows.ids import positions
from .label_file import LabelFile, Labels
from .label_set import ids_of
from .verdicts import refuse_own_fields, relabelling_verdict, write_verdicts

ROUNDING = 1e-6  # by which a label may differ from the file's: that of float32


def export_new_labels(
    path: Path | str,
    labels: Labels,
    before: ArrayLike,
    after: ArrayLike,
    *,
    probe: str,
    in_sample: bool = False,
    folds: NDArray[np.intp] | None = None,
    layer: int | None = None,
    store: str | None = None,
) -> None:
    """Write the file that `w2s relabel` writes, which `w2s student`, `w2s export` and `w2s report` read.

    `before` (n,) are the labels that the probe learned from, `after` (n,) what `relabel` made of them, both P(1).
    `labels` are those labels as a path, a DataFrame with a label file's columns, or a LabelSet: every row and field of
    them is written, with `new_label`, `score`, `reason`, `p` and the other fields of a verdict beside. Rows are joined
    by id where `before` is a LabelSet; else they are all rows of `labels`, or all with `split` = train, in that order.
    `probe` names what judged, `folds` (n,) where it was cross-fitted (`fold_numbers`), `layer` and `store`
    (`store.key`) what it read. InputError where rows or labels are others than `before`, or the file cannot be written.
    """
    y, p = probabilities(before, "labels before"), probabilities(after, "labels after")
    if len(y) != len(p):
        raise InputError(f"{len(y)} labels before but {len(p)} after")
    verdict = relabelling_verdict(y, p)
    if folds is not None:
        verdict["fold"] = folds.astype(object)
    by = f"{probe}, in-sample" if in_sample else probe
    export_verdicts(path, labels, ids_of(before), y, verdict, probe=by, layer=layer, store=store)


def export_verdicts(
    path: Path | str,
    labels: Labels,
    ids: NDArray[np.object_] | None,
    y: NDArray[np.float64],
    verdict: Mapping[str, NDArray[Any]],
    *,
    probe: str,
    layer: int | None,
    store: str | None,
) -> None:
    """Write `labels` with the verdict on some of their rows, whose labels y (n,) and, where known, `ids` (n,) are."""
    path = Path(path)
    table_format(path)
    refuse_no_file(path)
    refuse_input(path, Path(labels) if isinstance(labels, str | Path) else None)
    file = LabelFile.read(labels)
    refuse_own_fields(file.frame, file.where)
    rows = _judged_rows(file, ids, len(y))
    if (other := np.abs(file.weak.p[rows] - y) > ROUNDING).any():
        at = int(other.argmax())
        raise InputError(
            f"{file.where}: the label of row {file.weak.ids[rows[at]]!r} is {file.weak.p[rows[at]]:g}, but the filter "
            f"judged {y[at]:g} there: give the labels that it was made from, in their order"
        )
    refuse_unwritable(file.frame, path)
    write_verdicts(path, file.frame, rows, verdict, where=file.where, probe=probe, layer=layer, store=store)


def _judged_rows(file: LabelFile, ids: NDArray[np.object_] | None, n: int) -> NDArray[np.intp]:
    """Which rows of the file (n,) were judged: by id where ids are known, else all rows, or all training rows."""
    training = np.flatnonzero(file.training)
    if ids is None:
        if n not in (len(file.frame), len(training)):
            raise InputError(
                f"{file.where}: {len(file.frame)} rows, {len(training)} of them to train on, but the filter judged "
                f"{n}, whose ids it does not know: filter by a LabelSet, which has ids, or give the labels of just "
                "those rows"
            )
        return np.arange(len(file.frame)) if n == len(file.frame) else training
    rows = positions(file.weak.ids, ids, file.where)
    left = np.setdiff1d(training, rows)
    if len(left):
        names = preview(list(file.weak.ids[left]))
        raise InputError(
            f"{file.where}: {len(left)} of {len(training)} training rows were not judged ({names}): filter them too, "
            "or leave them out of the labels"
        )
    return rows
