"""What `w2s calibrate` answers in JSON."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from .json_answers import JsonAnswer, JsonEstimate

if TYPE_CHECKING:
    from ..calibration import FileCalibration


class CalibratedMetric(JsonAnswer):
    """A metric of the scores before and after."""

    metric: str = Field(description="ece, brier, log_loss, accuracy or auroc")
    before: JsonEstimate = Field(description="of the scores as they were")
    after: JsonEstimate = Field(description="of the calibrated ones")
    difference: JsonEstimate = Field(description="after less before, paired")


class ReliabilityBin(JsonAnswer):
    """Rows of like scores."""

    rows: int = Field(description="rows with a label")
    mean_score: float = Field(description="mean P(label = 1)")
    share: float = Field(description="share of label 1")
    low: float = Field(description="lower end of its 95 % interval")
    high: float = Field(description="upper end of it")


class CalibrateAnswer(JsonAnswer):
    """What `w2s calibrate --json` prints."""

    predictions: str = Field(description="the file of scores")
    column: str = Field(description="the column that was read")
    labels: str | None = Field(description="where the labels stand; null where nothing was measured")
    out: str = Field(description="the curve, or the label file, written")
    rows: int = Field(description="rows with a score")
    labelled: int = Field(description="of these with a label")
    cross_fitted: bool = Field(
        description="whether labelled rows taught the curve, and `after` is by other folds' curves"
    )
    unscored: int = Field(description="labels of rows without a score, which were left out")
    by: str = Field(description="temperature, platt or isotonic")
    slope: float = Field(description="of the log-odds; 1 / temperature; 1 of isotonic")
    shift: float = Field(description="of the log-odds; 0 but of platt")
    flat: bool = Field(description="whether the labels did not rise with the scores")
    to: str = Field(description="the labels that the curve has learned")
    learned: int = Field(description="rows that the curve has learned from")
    metrics: list[CalibratedMetric] = Field(description="before and after; empty without labels of both classes")
    bins_before: list[ReliabilityBin] = Field(description="reliability of the labelled rows, by score")
    bins_after: list[ReliabilityBin] = Field(description="the same of the calibrated scores")
    remarks: list[str] = Field(description="what is said without --json, a line each")

    @classmethod
    def of(cls, found: "FileCalibration", out: Path) -> "CalibrateAnswer":
        from ..calibration.calibrated_files import MEASURED

        names = ("before", "after", "difference")
        metrics = [
            CalibratedMetric(metric=name, **dict(zip(names, map(JsonEstimate.of, found.measured(name)), strict=True)))
            for name in (MEASURED if found.comparison is not None else ())
        ]
        before, after = (
            [
                ReliabilityBin(**{str(name): value for name, value in one.items()})
                for one in table.to_dict(orient="records")
            ]
            for table in found.bins()
        )
        curve = found.curve
        return cls(
            predictions=found.predictions.path,
            column=found.predictions.column,
            labels=found.labels,
            out=out,
            rows=len(found.plain),
            labelled=found.labelled.sum(),
            cross_fitted=found.cross_fitted,
            unscored=found.unscored,
            by=curve.by,
            slope=curve.slope,
            shift=curve.shift,
            flat=curve.flat,
            to=curve.to,
            learned=curve.rows,
            metrics=metrics,
            bins_before=before,
            bins_after=after,
            remarks=found.lines,
        )
