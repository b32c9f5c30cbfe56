"""A head student from a store and a label file to a folder: chosen rows, training, test, and the files written."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..devices import PROCESSOR, device_key, refuse_no_device

# Modules that train are imported where they are used: stores and label files are read, and refused, without them.
from ..labels.label_set import LabelSet
from ..losses import LossName
from ..places.sole_writer import sole_writer
from ..rows.groups import groups_of
from ..rows.ids import positions
from ..store.activation_store import ActivationStore
from .finetuning.settings import STUDENT_HEAD as HEAD
from .finetuning.settings import STUDENT_RECORD as RECORD
from .finetuning.settings import Stop
from .written_student import WrittenStudent, read_labels_to_learn, refuse_places

if TYPE_CHECKING:
    from .head import HeadStudent


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
    device: str = PROCESSOR,
) -> WrittenStudent:
    """Train a `HeadStudent` on one layer of a store and a label file, and write it to the folder `out`.

    Rows are chosen by `choose_rows`. `test` is a file of other rows with `truth`, or else scored against `label`;
    with both, the supervisor's `label` is scored beside the student. Writes student.json, which knows the checksums
    of the others, head.safetensors, which `load_probe` reads, and, with a test, predictions.jsonl; predictions of an
    earlier student there are removed. InputError for rows or files that do not fit, before anything is written,
    for a `device` that is not there, before anything is read, and where another process trains a student in `out`.
    """
    refuse_places(out, "head", [labels, test])
    refuse_no_device(device)
    opened = ActivationStore.open(store)
    index = opened.resolve(layer)
    table = read_labels_to_learn(labels, test)
    from ..metrics.paired_scores import estimate
    from ..probes.saving import save_probe
    from .chosen_rows import choose_rows
    from .head import HeadStudent
    from .scored_rows import ScoredRows

    tested = None if test is None else ScoredRows.read(test, table, labels)
    rows = choose_rows(table, str(labels), seed)
    weak, val = LabelSet.from_table(rows.table, where=str(labels)), rows.val
    positions(opened.ids, weak.ids, str(store), of=str(labels))
    if tested is not None:
        positions(opened.ids, tested.ids, str(store), of=str(test))
    with sole_writer(out, out / RECORD):
        X = opened.layer(index, ids=weak.ids)
        X_test = None if tested is None else opened.layer(index, ids=tested.ids)
        head = HeadStudent(loss, epochs=epochs, l2=l2, stop=stop, seed=seed, device=device)
        head.fit(X[~val], weak.p[~val], X[val], weak.p[val])
        p_val = head.predict_proba(X[val])[:, 1]
        validation = estimate("auroc", weak.p[val], p_val, groups_of(rows.table[val]))
        scores = p = None
        if tested is not None and X_test is not None:
            p = head.predict_proba(X_test)[:, 1]
            scores = tested.score(p)
        reads = f"layer {index}"
        student = WrittenStudent(out, "head", loss, reads, rows, validation, tested, scores, head=head, layer=index)
        record = {"kind": "head", "store": opened.key, "layer": index, "labels": str(labels), **_of_head(head)}
        record |= device_key(device) | student.record()
        save_probe(head, out / HEAD, notes=record, fitted_to=(opened, index))
        student.write(record, p)
    return student


def _of_head(head: "HeadStudent") -> dict[str, Any]:
    # Whose weights are written; the last epoch where validation labels cannot judge.
    record: dict[str, Any] = {"parameters": _parameters(head), "best_epoch": head.n_epochs_}
    return record if head.alpha_ is None else record | {"alpha_at_best_epoch": head.alpha_}


def _parameters(head: "HeadStudent") -> dict[str, Any]:
    """The head's settings without those that its loss does not read, and its device, which the record has apart."""
    from ..losses import Objective

    unread = ("device",) if Objective(head.loss).has_own_opinion else ("alpha", "warm_up", "device")
    return {name: value for name, value in head.get_params().items() if name not in unread}
