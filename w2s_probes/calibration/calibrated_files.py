"""Scores in a file, calibrated to the labels of another, or by a curve that was learned before; before and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..comparing import ScoreComparison, compare_scores
from ..comparing.score_files import ScoreFile, merged, read_truth, split_name
from ..errors import InputError
from ..io.tables import write_table
from ..labels.label_set import read_label_table
from ..metrics.intervals import Estimate
from ..metrics.metric_names import Metric
from ..metrics.paired_scores import with_interval
from ..metrics.registry import METRICS
from ..rows.groups import GROUP, groups_of
from .curves import CalibrationRule, Calibrator
from .fitting import calibrate, cross_calibrated
from .reliability_table import reliability_bins

MEASURED: tuple[Metric, ...] = ("ece", "brier", "log_loss", "accuracy", "auroc")
BEFORE, AFTER = "before", "after"
# What the written file says itself; `new_label` would stand above the calibrated label.
ANEW = ("id", "label", "new_label", "uncalibrated")
BINS = 10


@dataclass(frozen=True, repr=False)
class FileCalibration:
    """What `calibrate_file` and `apply_to_file` found."""

    predictions: ScoreFile
    curve: Calibrator
    calibrated: NDArray[np.float64]  # (n,) of the rows of the file
    labels: str | None  # where the labels stand; None where there are none to measure by
    labelled: NDArray[np.bool_]  # (n,) the rows that have one
    truth: NDArray[np.float64]  # (n_labelled,) P(label = 1)
    unscored: int  # rows with a label that have no score
    comparison: ScoreComparison | None  # before and after, on the labelled rows; None where labels are of one class
    groups: NDArray[np.object_] | None = None  # (n_labelled,)
    cross_fitted: bool = False  # whether the labelled rows have taught the curve, and are calibrated by other ones

    @property
    def plain(self) -> NDArray[np.float64]:
        """The scores (n,) as they were."""
        return self.predictions.table["score"].to_numpy(dtype=np.float64)

    def bins(self, bins: int = BINS) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The reliability of the labelled rows before and after; empty tables without labels."""
        sides = (self.plain, self.calibrated) if len(self.truth) else ()
        found = [reliability_bins(self.truth, p[self.labelled], bins=bins, groups=self.groups) for p in sides]
        return (found[0], found[1]) if found else (pd.DataFrame(), pd.DataFrame())

    def measured(self, metric: Metric) -> tuple[Estimate, Estimate, Estimate]:
        """A metric before, after, and after less before, paired; InputError where labels are of one class or none."""
        if self.comparison is None:
            raise InputError("labels of both classes are needed to measure by: give some")
        before, after = (
            next(one.estimate for one in self.comparison.scores if (one.name, one.metric) == (name, metric))
            for name in (BEFORE, AFTER)
        )
        return before, after, next(one.estimate for one in self.comparison.differences if one.metric == metric)

    def write(self, path: Path | str) -> None:
        """Write a label file: `id`, `label` = calibrated P(1), `uncalibrated`, and the other fields of the rows.

        `split`, `group`, `truth`, and the `keep` of an earlier filter stay what they were.
        """
        table = read_label_table(self.predictions.path)
        own = table[[name for name in table if name not in ANEW and name != self.predictions.column]]
        scores = {"id": self.predictions.ids, "label": self.calibrated, "uncalibrated": self.plain}
        write_table(pd.concat([pd.DataFrame(scores), own], axis=1), Path(path))

    @property
    def lines(self) -> list[str]:
        """Every number in words, a line each."""
        n, labelled = len(self.plain), int(self.labelled.sum())
        lines = [f"`{self.predictions.column}` of {self.predictions.path}: {n:,} rows"]
        if self.labels is not None:
            lines[0] += f", {labelled:,} of them with a label: {self.labels}"
            lines += [f"left out: the labels of {self.unscored:,} rows without a score"] if self.unscored else []
        lines.append(in_words(self.curve))
        if self.comparison is not None:
            apart = ", each row by a curve that has not learned it" if self.cross_fitted else ""
            lines.append(f"before and after{apart} [95 %]")
            for metric in MEASURED:
                before, after, change = map(with_interval, self.measured(metric))
                lines.append(f"{METRICS[metric].title}: {before} before, {after} after, {change} between them")
        elif self.labels is not None:
            lines.append("labels of one class: nothing is measured by them")
        return lines


def in_words(curve: Calibrator) -> str:
    """A curve in a sentence."""
    how = {
        "temperature": f"temperature {1 / curve.slope:.3g}",
        "platt": f"platt: {curve.slope:.3g} times the log-odds {curve.shift:+.3g}",
        "isotonic": f"isotonic: a curve of {len(curve.scores)} points",
    }[curve.by]
    flat = "; it is flat: the labels do not rise with the scores" if curve.flat else ""
    return f"{how}, calibrated to {curve.to} ({curve.rows:,} rows){flat}"


def calibrate_file(
    predictions: str | Path, labels: str | Path | None = None, *, by: CalibrationRule = "platt", seed: int = 0
) -> FileCalibration:
    """The curve from scores in a file to labels, and these rows by curves of other folds (`cross_calibrated`).

    `predictions` is FILE or FILE:COLUMN with `id` and P(label = 1) (`ScoreFile.read`), `labels` one with `truth`, or
    else `label`, or the column named; without it, `predictions` have `truth`. Rows without a label are calibrated by
    the curve and not counted; `group` may stand in either file. InputError as `calibrate` and `cross_calibrated`.
    """
    file, place, known, unscored, groups = _joined(predictions, labels)
    if place is None:
        raise InputError(f"{file.given}: no `truth`: put it there, or give a file of labels")
    labelled = known.notna().to_numpy()
    truth, p = known[labelled].to_numpy(dtype=np.float64), file.table["score"].to_numpy(dtype=np.float64)
    try:
        curve = calibrate(p[labelled], truth, by=by, to=place)
        apart = cross_calibrated(p[labelled], truth, by=by, groups=groups, seed=seed)
    except InputError as error:
        raise InputError(f"{file.given}: {error}") from error
    calibrated = curve(p)
    calibrated[labelled] = apart
    return _measured(file, curve, calibrated, place, known, unscored, groups, cross_fitted=True)


def apply_to_file(predictions: str | Path, curve: Calibrator, labels: str | Path | None = None) -> FileCalibration:
    """Scores in a file by a curve that others have taught; before and after where some rows have labels.

    Files as of `calibrate_file`. Rows that the curve has learned make it look better than it is.
    """
    file, place, known, unscored, groups = _joined(predictions, labels)
    return _measured(file, curve, curve(file.table["score"]), place, known, unscored, groups)


def _joined(
    predictions: str | Path, labels: str | Path | None
) -> tuple[ScoreFile, str | None, "pd.Series[float]", int, NDArray[np.object_] | None]:
    """The scores, where labels stand, those of the rows, NaN where unknown, labels that fit no row, and groups."""
    file = ScoreFile.read(predictions)
    outside = file.table[~file.table["score"].between(0, 1)]
    if len(outside):
        row = outside.iloc[0]
        raise InputError(
            f"{file.given}: the {file.column} of row {row['id']!r} is {row['score']:g}: calibration maps P(label = 1), "
            "in [0, 1]; of logits give their sigmoid"
        )
    if labels is None:
        truth = file.table["truth"] if "truth" in file.table else pd.Series(np.nan, index=file.table.index)
        known = pd.Series(truth.to_numpy(dtype=np.float64), index=file.ids)
        files: Sequence[ScoreFile] = [file]
        place, unscored = f"`truth` of {file.path}" if known.notna().any() else None, 0
    else:
        other = _labels(labels)
        files, place = [file, other], other.given
        known = other.table.set_index("id")["score"].reindex(file.ids)
        unscored = int((~other.ids.isin(file.ids)).sum())
        if not known.notna().any():
            raise InputError(f"{other.given}: none of its rows is among those of {file.given}: are the ids alike?")
    groups = merged(files, GROUP, file.ids[known.notna()])
    return file, place, known, unscored, None if groups is None else groups_of(pd.DataFrame({GROUP: groups}))


def _labels(given: str | Path) -> ScoreFile:
    path, column = split_name(given)
    file = ScoreFile.read(given) if column else read_truth(path)
    if len(outside := file.table[~file.table["score"].between(0, 1)]):
        row = outside.iloc[0]
        raise InputError(f"{given}: the label of row {row['id']!r} is {row['score']:g}: labels are in [0, 1]")
    return file


def _measured(
    file: ScoreFile,
    curve: Calibrator,
    calibrated: NDArray[np.float64],
    place: str | None,
    known: "pd.Series[float]",
    unscored: int,
    groups: NDArray[np.object_] | None,
    *,
    cross_fitted: bool = False,
) -> FileCalibration:
    labelled = known.notna().to_numpy()
    truth = np.asarray(known[labelled], dtype=np.float64)
    plain = file.table["score"].to_numpy(dtype=np.float64)
    comparison = None
    if (truth > 0.5).any() and not (truth > 0.5).all():
        sides = {BEFORE: plain[labelled], AFTER: calibrated[labelled]}
        comparison = compare_scores(truth, sides, groups=groups, metrics=MEASURED)
    return FileCalibration(file, curve, calibrated, place, labelled, truth, unscored, comparison, groups, cross_fitted)
