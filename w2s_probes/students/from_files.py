"""A head student from a store and a label file to a folder: chosen rows, training, test, and the files written."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Modules that train are imported where they are used: stores and label files are read, and refused, without them.
from ..errors import InputError
from ..io.files import refuse_input
from ..io.sealed import write_sealed
from ..io.tables import refuse_no_table, write_table
from ..labels.label_set import LabelSet, read_label_table
from ..losses import LossName
from ..rows.groups import groups_of
from ..store.activation_store import ActivationStore
from .finetuning.settings import STUDENT_HEAD as HEAD
from .finetuning.settings import STUDENT_PREDICTIONS as PREDICTIONS
from .finetuning.settings import STUDENT_RECORD as RECORD
from .finetuning.settings import Stop

if TYPE_CHECKING:
    from ..metrics.intervals import Estimate
    from .chosen_rows import ChosenRows
    from .head import HeadStudent
    from .scored_rows import Numbers, ScoredRows, StudentScores


@dataclass(frozen=True)
class WrittenStudent:
    """A trained student that was written to a folder, with its rows and its scores."""

    folder: Path
    head: "HeadStudent"
    layer: int
    rows: "ChosenRows"
    validation: "Estimate | None"  # AUROC on the validation rows against their weak labels; None where of one class
    tested: "ScoredRows | None"
    scores: "StudentScores | None"  # of the test rows

    @property
    def lines(self) -> list[str]:
        """The rows that it learned from and its scores with their intervals, a line each."""
        lines = [f"{self.folder}: {self.head.loss} head of layer {self.layer}, trained on {self.rows.account}"]
        if self.tested is None or self.scores is None:
            return [*lines, *self._untested()]
        tested = self.tested
        if tested.related:
            lines.append(
                f"{tested.file}: {tested.related} rows left out, which share a text or a group with training rows"
            )
        lines.append(f"test{tested.remark}: {self.scores.rows:,} rows of {tested.file} [95 %]")
        lines += [f"  {line}" for line in self.scores.lines]
        if tested.no_weak:
            lines.append(f"The supervisor is not compared: {tested.no_weak}.")
        elif tested.against == "label":
            lines.append(
                "The supervisor is not compared, nor is the truth known: give each row `truth` beside the supervisor's "
                "`label`."
            )
        return [*lines, "Intervals hold the choice of the test rows, not the luck of this one training."]

    def _untested(self) -> list[str]:
        from ..metrics.paired_scores import with_interval

        n = int(self.rows.val.sum())
        if self.validation is None:
            return [
                f"No test: the weak labels of the {n:,} rows that stop training are of one class, and judge nothing."
            ]
        return [
            f"No test: AUROC {with_interval(self.validation)} on the {n:,} rows that stop training, against their weak "
            "labels. That is agreement with the supervisor, on rows by which the epoch was chosen, and not quality by "
            "the truth."
        ]


def train_student(
    store: Path,
    labels: Path,
    layer: int | str,
    out: Path,
    *,
    loss: LossName = "xent",
    test: Path | None = None,
    epochs: int = 200,
    l2: float = 0.0,
    stop: Stop = "auroc",
    seed: int = 0,
) -> WrittenStudent:
    """Train a `HeadStudent` on one layer of a store and a label file, and write it to the folder `out`.

    Rows are chosen by `choose_rows`. `test` is a file of other rows with `truth`, or else scored against `label`;
    with both, the supervisor's `label` is scored beside the student. Writes student.json, which knows the checksums
    of the others, head.safetensors, which `load_probe` reads, and, with a test, predictions.jsonl; predictions of an
    earlier student there are removed. InputError for rows or files that do not fit, before anything is written.
    """
    if (out / "manifest.json").exists():
        raise InputError(f"{out}: is an activation store; give another --out")
    for name in (RECORD, HEAD, PREDICTIONS):
        refuse_input(out / name, labels, test)
        if (out / name).is_dir():
            raise InputError(f"{out / name}: a folder stands where a file is to be written: give another --out")
    opened = ActivationStore.open(store)
    index = opened.resolve(layer)
    table = read_label_table(labels)
    LabelSet.from_table(table, where=str(labels))  # refuses bad labels before any row is chosen
    if test is not None:
        refuse_no_table(test)
    from ..metrics.paired_scores import estimate
    from ..probes.saving import save_probe
    from .chosen_rows import choose_rows
    from .head import HeadStudent
    from .scored_rows import ScoredRows

    tested = None if test is None else ScoredRows.read(test, table, labels)
    rows = choose_rows(table, str(labels), seed)
    weak, val = LabelSet.from_table(rows.table, where=str(labels)), rows.val
    X = opened.layer(index, ids=weak.ids)
    X_test = None if tested is None else opened.layer(index, ids=tested.ids)
    head = HeadStudent(loss, epochs=epochs, l2=l2, stop=stop, seed=seed)
    head.fit(X[~val], weak.p[~val], X[val], weak.p[val])
    p_val = head.predict_proba(X[val])[:, 1]
    validation = estimate("auroc", weak.p[val], p_val, groups_of(rows.table[val]))
    scores = p = None
    if tested is not None and X_test is not None:
        p = head.predict_proba(X_test)[:, 1]
        scores = tested.score(p)
    student = WrittenStudent(out, head, index, rows, validation, tested, scores)
    record = {"store": opened.key, "layer": index, "labels": str(labels), **_record(student)}
    if tested is not None and p is not None:
        write_table(tested.predictions(p), out / PREDICTIONS)
    else:
        (out / PREDICTIONS).unlink(missing_ok=True)
    save_probe(head, out / HEAD, notes=record)
    write_sealed(out / RECORD, record, [HEAD, PREDICTIONS])
    return student


def _record(student: WrittenStudent) -> dict[str, Any]:
    """The content of student.json. Intervals are [value, low, high], with null ends where there are too few rows."""
    from ..metrics.paired_scores import as_listed

    head, rows, tested, scores = student.head, student.rows, student.tested, student.scores
    record: dict[str, Any] = {
        "parameters": _parameters(head),
        "rows": {"train": rows.train, "val": int(rows.val.sum())},
        "row_counts": rows.counts,
        "best_epoch": head.n_epochs_,  # whose weights are written; the last one where validation labels cannot judge
        "validation": {"against": "weak labels", "auroc": as_listed(student.validation)},
    }
    if head.alpha_ is not None:
        record["alpha_at_best_epoch"] = head.alpha_
    if tested is None or scores is None:
        return record
    record["test"] = {"file": tested.file, "against": tested.against, "rows": scores.rows, "of_rows": len(tested.ids)}
    record["test"] |= {metric: value.value for metric, value in scores.student.items() if value is not None}
    record["test"]["intervals"] = _listed(scores.student)
    if scores.supervisor is not None and scores.difference is not None:
        record["test"]["supervisor"] = {"rows": scores.supervised, **_listed(scores.supervisor)}
        record["test"]["student_minus_supervisor"] = _listed(scores.difference)
    if tested.related:
        record["test"]["left_out"] = tested.related
    return record


def _listed(numbers: "Numbers") -> dict[str, list[float | None] | None]:
    from ..metrics.paired_scores import as_listed

    return {str(metric): as_listed(value) for metric, value in numbers.items()}


def _parameters(head: "HeadStudent") -> dict[str, Any]:
    """The head's settings without those that its loss does not read."""
    from ..losses import Objective

    weighted = Objective(head.loss).has_own_opinion
    return {name: value for name, value in head.get_params().items() if weighted or name not in ("alpha", "warm_up")}
