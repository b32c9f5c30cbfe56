"""What `w2s filter`, `relabel` and `student` answer in JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from .json_answers import JsonAnswer, JsonEstimate

if TYPE_CHECKING:
    from ..filtering.disagreement import FilterResult
    from ..labels.quality import LabelChange
    from ..students.written_student import WrittenStudent
    from .labelled_layer import LabelledLayer

Truth = NDArray[np.float64] | None


class JudgedLabels(JsonAnswer):
    """What filter and relabel read and wrote."""

    store: str = Field(description="the activation store")
    labels: str = Field(description="the label file")
    layer: int = Field(description="the layer that the probe read")
    probe: str = Field(description="the probe, and in-sample where it was")
    out: str = Field(description="the file written")
    rows: int = Field(description="rows of the file")
    judged: int = Field(description="rows that were judged, of split train")
    in_sample: bool = Field(description="whether rows were scored with themselves")
    remarks: list[str] = Field(description="what is said without --json, a line each")


class ClassOfLabels(JsonAnswer):
    """The rows of one weak class."""

    before: int = Field(description="rows")
    dropped: int = Field(description="rows that this filter drops")
    after: int = Field(description="rows that remain")


class RemovedByTruth(JsonAnswer):
    """How many labels are wrong, on rows whose truth is known: an oracle's figures."""

    known: int = Field(description="judged rows whose truth is known")
    wrong: int = Field(description="of these, rows whose label is wrong")
    removed: int = Field(description="of these, rows removed")
    wrong_removed: int = Field(description="removed rows whose label is wrong")


class FilterAnswer(JudgedLabels):
    """What `w2s filter --json` prints."""

    kept: int = Field(description="judged rows kept")
    removed: int = Field(description="judged rows removed")
    overshoot: int = Field(description="rows removed beyond those asked for")
    label_0: ClassOfLabels = Field(description="rows whose weak label is at most one half")
    label_1: ClassOfLabels = Field(description="rows whose weak label is above one half")
    by_truth: RemovedByTruth | None = Field(description="null where no judged row has `truth`")

    @classmethod
    def of(
        cls, rows: "LabelledLayer", result: "FilterResult", truth: Truth, by: str, out: Path, remarks: list[str]
    ) -> "FilterAnswer":
        from ..ties import above_half

        counts = None
        known = np.zeros(len(result.mask), dtype=bool) if truth is None else ~np.isnan(truth)
        if truth is not None and known.any():
            wrong = known & (above_half(np.where(known, truth, 0.0)) != above_half(result.labels))
            removed = known & ~result.mask
            counts = RemovedByTruth(
                known=known.sum(), wrong=wrong.sum(), removed=removed.sum(), wrong_removed=(wrong & removed).sum()
            )
        mix = {f"label_{i}": vars(side) for i, side in enumerate((result.mix.zero, result.mix.one))}
        return cls(
            **_judged(rows, by, out, remarks),
            in_sample=result.in_sample,
            kept=result.mask.sum(),
            removed=len(result.removed),
            overshoot=result.overshoot,
            label_0=ClassOfLabels(**mix["label_0"]),
            label_1=ClassOfLabels(**mix["label_1"]),
            by_truth=counts,
        )


class MetricMoved(JsonAnswer):
    """A metric of the labels before and after, by the truth."""

    before: JsonEstimate | None = Field(description="of the labels before")
    after: JsonEstimate | None = Field(description="of the new labels")
    difference: JsonEstimate | None = Field(description="after - before, paired")


class BetterByTruth(JsonAnswer):
    """Whether new labels are better, on rows whose truth is known: an oracle's figures."""

    known: int = Field(description="judged rows whose truth is known")
    auroc: MetricMoved = Field(description="null numbers where the known rows are of one class")
    accuracy: MetricMoved = Field(description="share of labels on the side of the truth")


class RelabelAnswer(JudgedLabels):
    """What `w2s relabel --json` prints."""

    to_one: int = Field(description="rows that moved from class 0 to class 1")
    to_zero: int = Field(description="rows that moved from class 1 to class 0")
    by_truth: BetterByTruth | None = Field(description="null where no judged row has `truth`")

    @classmethod
    def of(
        cls, rows: "LabelledLayer", change: "LabelChange", by: str, out: Path, in_sample: bool, remarks: list[str]
    ) -> "RelabelAnswer":
        better = None
        if change.auroc is not None and change.accuracy is not None:
            moved = {
                metric: MetricMoved(**{name: JsonEstimate.of(value) for name, value in vars(part).items()})
                for metric, part in (("auroc", change.auroc), ("accuracy", change.accuracy))
            }
            better = BetterByTruth(known=change.known, auroc=moved["auroc"], accuracy=moved["accuracy"])
        moves = {"to_one": change.to_one, "to_zero": change.to_zero}
        return cls(**_judged(rows, by, out, remarks), in_sample=in_sample, **moves, by_truth=better)


def _judged(rows: "LabelledLayer", by: str, out: Path, remarks: list[str]) -> dict[str, Any]:
    return {
        "store": rows.store.path,
        "labels": rows.where,
        "layer": rows.layer,
        "probe": by,
        "out": out,
        "rows": len(rows.table),
        "judged": len(rows.y),
        "remarks": remarks,
    }


class ModelMetrics(JsonAnswer):
    """AUROC and accuracy on test rows; null where they are not defined."""

    auroc: JsonEstimate | None = Field(description="AUROC")
    accuracy: JsonEstimate | None = Field(description="accuracy")

    @classmethod
    def of(cls, numbers: Any) -> "ModelMetrics | None":
        if numbers is None:
            return None
        return cls(**{name: JsonEstimate.of(numbers.get(name)) for name in ("auroc", "accuracy")})


class StudentTest(JsonAnswer):
    """A student's scores of test rows."""

    file: str = Field(description="the test file")
    against: str = Field(description="truth, or label where the file has no truth")
    rows: int = Field(description="rows that count")
    left_out: int = Field(description="rows that share a text or a group with training rows")
    student: ModelMetrics = Field(description="the student's")
    supervised: int = Field(description="rows that have the supervisor's label, too")
    supervisor: ModelMetrics | None = Field(description="the supervisor's on those rows; null where it is not known")
    difference: ModelMetrics | None = Field(description="student - supervisor, paired, on those rows")


class StudentAnswer(JsonAnswer):
    """What `w2s student --json` prints."""

    out: str = Field(description="the student's folder")
    files: list[str] = Field(description="the files written there")
    kind: str = Field(description="head, lora, full or lm")
    store: str | None = Field(description="the activation store given; null where the model read texts")
    model: str | None = Field(description="the model given; null where a head read a given store")
    labels: str = Field(description="the label file")
    layer: int | None = Field(description="the layer that a head reads; null of a fine-tuned model")
    loss: str = Field(description="what it minimised")
    train: int = Field(description="rows that taught")
    val: int = Field(description="rows that stopped training, by their weak labels")
    best_epoch: int | None = Field(description="the epoch whose weights were written; null of a fine-tuned model")
    best_step: int | None = Field(description="the update whose weights were written; null of a head")
    validation: JsonEstimate | None = Field(description="AUROC on the validation rows against their weak labels")
    test: StudentTest | None = Field(description="null without --test")
    remarks: list[str] = Field(description="what is said without --json, a line each")

    @classmethod
    def of(cls, student: "WrittenStudent", store: Path | None, model: str | None, labels: Path) -> "StudentAnswer":
        test = None
        if student.tested is not None and student.scores is not None:
            scores = student.scores
            test = StudentTest(
                file=student.tested.file,
                against=student.tested.against,
                rows=scores.rows,
                left_out=student.tested.related,
                student=ModelMetrics.of(scores.student),
                supervised=scores.supervised,
                supervisor=ModelMetrics.of(scores.supervisor),
                difference=ModelMetrics.of(scores.difference),
            )
        return cls(
            out=student.folder,
            files=student.files,
            kind=student.kind,
            store=store,
            model=model,
            labels=labels,
            layer=student.layer,
            loss=student.loss,
            train=student.rows.train,
            val=student.rows.val.sum(),
            best_epoch=None if student.head is None else student.head.n_epochs_,
            best_step=None if student.tuned is None else student.tuned.best_step,
            validation=JsonEstimate.of(student.validation),
            test=test,
            remarks=student.lines,
        )


class PredictAnswer(JsonAnswer):
    """What `w2s predict --json` prints."""

    student: str = Field(description="the head's file, or the model's folder")
    kind: str = Field(description="head, which a probe is too, or model")
    store: str | None = Field(description="the activations that a head read; null of a model, which reads texts")
    rows: int = Field(description="rows scored")
    above_half: int = Field(description="rows whose P(1) is above one half")
    out: str = Field(description="the label file written")
