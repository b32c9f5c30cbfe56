"""`w2s student`: a head on cached activations, trained on weak labels."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, cast

import typer

from ..errors import InputError
from ..files import replacing
from ..losses import LossName
from ..students.settings import Stop
from . import terminal
from .options import LabelsPath, Layer, StorePath

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

RECORD, HEAD, PREDICTIONS = "student.json", "head.safetensors", "predictions.jsonl"
HELD_OUT = 0.1  # of the rows, for early stopping, where the file names no validation rows


def student(
    store: StorePath,
    labels: LabelsPath,
    layer: Layer,
    out: Annotated[Path, typer.Option(help="Folder for student.json, head.safetensors and predictions.jsonl.")],
    loss: Annotated[
        LossName, typer.Option(help="What the student minimises; docs/experiments.md says what each is.")
    ] = "xent",
    test: Annotated[
        Path | None, typer.Option(help="Other rows to score, with `id` and `truth`, or else against their `label`.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the rows at most.")] = 200,
    l2: Annotated[
        float, typer.Option(min=0, help="Penalty l2 times the squared weights, on standardised activations.")
    ] = 0.0,
    stop: Annotated[Stop, typer.Option(help="What validation rows are read for, against their weak labels.")] = "auroc",
    seed: Annotated[int, typer.Option(min=0, help="Of the training, and of the rows that stop it.")] = 0,
) -> None:
    """Train a linear head on a layer's activations and weak labels.

    Rows with `keep` false are left out and `new_label` stands for `label`, so the files of `w2s filter` and
    `w2s relabel` are used as they are. Rows with `split` = val, or else a tenth, stop training early: all of them, with
    their weak labels, whatever `keep` says, so that what stops training is the same for every filter. Test rows that
    share a text or a group with those rows are left out of the score.

    Example: `w2s student acts kept.jsonl --layer 2 --loss logconf --test test.jsonl --out student`
    """
    import pandas as pd

    from ..labels import LabelSet, read_label_table
    from ..metrics import accuracy, auroc
    from ..store import ActivationStore
    from ..tables import write_table

    students = terminal.from_checkout("w2s_probes.students")
    if (out / "manifest.json").exists():
        raise InputError(f"{out}: is an activation store; give another --out")
    for name in (RECORD, HEAD, PREDICTIONS):
        if (out / name).is_dir():
            raise InputError(f"{out / name}: a folder stands where a file is to be written: give another --out")
    opened = ActivationStore.open(store)
    index = opened.resolve(layer)
    table = read_label_table(labels)
    LabelSet.from_table(table, where=str(labels))  # refuses bad labels before any row is chosen
    tested = None if test is None else _Tested.read(test, table, labels)
    table, val = _usable(table, labels, seed)
    weak = LabelSet.from_table(table, where=str(labels))
    X = opened.layer(index, ids=weak.ids)
    X_test = None if tested is None else opened.layer(index, ids=tested.ids)
    head = students.HeadStudent(loss, epochs=epochs, l2=l2, stop=stop, seed=seed)
    head.fit(X[~val], weak.p[~val], X[val], weak.p[val])
    record: dict[str, Any] = {
        "store": opened.key,
        "layer": index,
        "labels": str(labels),
        "parameters": _parameters(head),
        "rows": {"train": int((~val).sum()), "val": int(val.sum())},
        "best_epoch": head.n_epochs_,  # whose weights are written; the last one where validation labels cannot judge
    }
    if head.alpha_ is not None:
        record["alpha_at_best_epoch"] = head.alpha_
    if tested is not None and X_test is not None:
        p = head.predict_proba(X_test)[:, 1]
        known, given = tested.known, tested.values[tested.known]
        record["test"] = {"against": tested.against, "rows": len(given), "of_rows": len(p)}
        record["test"] |= {"auroc": auroc(given, p[known]), "accuracy": accuracy(given, p[known])}
        if tested.related:
            record["test"]["left_out"] = tested.related
            terminal.say(f"{test}: {tested.related} rows left out, which share a text or a group with training rows")
        column = "truth" if tested.against == "truth" else "given_label"  # `label` is what the student says
        write_table(pd.DataFrame({"id": tested.ids, "label": p, column: tested.values}), out / PREDICTIONS)
        terminal.say(
            f"test{tested.remark}: AUROC {record['test']['auroc']:.3f}, accuracy {record['test']['accuracy']:.3f}"
        )
    _save(head, record, out)
    terminal.say(f"{out}: {loss} head of layer {index} from {record['rows']['train']} rows")


@dataclass(frozen=True)
class _Tested:
    """Rows to score, and what they are scored against."""

    ids: "NDArray[np.object_]"  # (n,)
    values: "NDArray[np.float64]"  # (n,) P(1); NaN where the file does not say it
    against: Literal["truth", "label"]
    related: int  # rows of the file that are left out: they share a text or a group with training or validation rows

    @classmethod
    def read(cls, path: Path, labels: "pd.DataFrame", where: Path) -> Self:
        """From a file; InputError where it says nothing, or has rows that train or stop training on `labels`.

        Rows related to those by text or group are left out, as a sweep leaves them out: their labels were learned.
        """
        import numpy as np

        from ..held_out import related_rows
        from ..labels import LabelSet, in_split, read_label_table, truth_where_known

        table = read_label_table(path)
        truth = truth_where_known(table, str(path)) if "id" in table else None
        if truth is None:
            given = LabelSet.from_table(table, where=str(path))
            ids, values, against = given.ids, given.p, "label"
        else:
            ids, values, against = table["id"].to_numpy(dtype=object), truth, "truth"
        if "split" in labels:
            labels = labels[~in_split(labels, "test", str(where))]
        both = np.intersect1d(ids.astype(str), labels["id"].astype(str))
        if len(both):
            raise InputError(
                f"{path}: row {both[0]!r} is a training or validation row of {where}: test rows must be others"
            )
        related = related_rows(table, labels)
        if related[~np.isnan(values)].all():
            row = "row" if against == "label" or not np.isnan(values).any() else "row that has `truth`"
            raise InputError(
                f"{path}: every {row} shares a text or a group with a training row of {where}: give others"
            )
        return cls(ids[~related], values[~related], cast(Literal["truth", "label"], against), int(related.sum()))

    @property
    def known(self) -> "NDArray[np.bool_]":
        """The rows (n,) that count."""
        import numpy as np

        return ~np.isnan(self.values)

    @property
    def remark(self) -> str:
        """What is to be said beside the numbers."""
        if self.against == "label":
            return ", against `label` (no `truth` there)"
        some = not self.known.all()
        return f", on the {self.known.sum()} of {len(self.ids)} rows that have `truth`" if some else ""


def _parameters(head: Any) -> dict[str, Any]:
    """A head's settings but those that its loss does not read."""
    from ..losses import Objective

    own = Objective(head.loss).has_own_opinion
    return {name: value for name, value in head.get_params().items() if own or name not in ("alpha", "warm_up")}


def _usable(table: "pd.DataFrame", path: Path, seed: int) -> "tuple[pd.DataFrame, NDArray[np.bool_]]":
    """The rows to use and which of them are for early stopping.

    Training rows that a filter dropped are left out, and take the label that a relabelling gave them;
    validation rows keep their weak labels, since what stops training must not depend on the method.
    """
    import numpy as np

    from ..fields import kept_rows
    from ..labels import in_split

    val = _validation(table, path, seed)
    if "new_label" in table:
        table = table.assign(label=table["label"].where(val, table["new_label"]))
    used = np.ones(len(table), dtype=bool)
    if "keep" in table:
        used = val | kept_rows(table, str(path))
    if "split" in table:
        used &= ~in_split(table, "test", str(path))
    if not used[~val].any():
        raise InputError(f"{path}: no row is left to train on (`keep` true, `split` train)")
    return table[used].reset_index(drop=True), val[used]


def _validation(table: "pd.DataFrame", path: Path, seed: int) -> "NDArray[np.bool_]":
    """Which rows (n,) are for early stopping: whole groups and equal texts, a row without a group by itself."""
    from ..held_out import set_aside
    from ..labels import in_split
    from ..randomness import stream

    if "split" in table and (val := in_split(table, "val", str(path))).any():
        return val
    val = set_aside(table, HELD_OUT, stream(seed, "validation rows"))
    if val.all():
        raise InputError(f"{path}: all {len(table)} rows hang together, so none can be held out to stop training by")
    return val


def _save(head: Any, record: dict[str, Any], out: Path) -> None:
    from ..arrays import write_arrays

    write_arrays(out / HEAD, {"coef": head.coef_, "intercept": head.intercept_}, record)
    with replacing(out / RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
