"""A fine-tuned student from a label file with texts to a folder: chosen rows, training, test, and the files written."""

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

# Modules that train are imported where they are used: label files are read, and refused, without them.
from ..checkpoints.files import refuse_no_checkpoint
from ..errors import InputError
from ..labels.label_set import LabelSet, read_label_table
from ..losses import LossName
from ..places.sole_writer import sole_writer
from ..rows.conversations import MESSAGES
from ..rows.groups import groups_of
from ..rows.ids import positions
from .finetuning.engines import refuse_engine
from .finetuning.settings import STUDENT_RECORD as RECORD
from .finetuning.settings import FineTuning
from .predicting import texts_of
from .written_student import StudentKind, WrittenStudent, read_labels_to_learn, refuse_places

if TYPE_CHECKING:
    from .finetuning.label_speaker import Says
    from .finetuning.loop import Evaluation

ALPHA, WARM_UP = 0.5, 0.2  # of losses with an opinion of the student's own: as a head has them


def tune_student(
    model: Path,
    labels: Path,
    out: Path,
    *,
    settings: FineTuning,
    loss: LossName = "xent",
    rows: Path | None = None,
    test: Path | None = None,
    seed: int = 0,
    report: "Callable[[Evaluation], None] | None" = None,
    says: "Callable[[Path], Says] | None" = None,
) -> WrittenStudent:
    """Fine-tune the checkpoint in the folder `model` on a label file, and write the student to the folder `out`.

    Texts are those of the label file, or of the file `rows` with the same ids; so are those of `test`, which is as for
    `train_student`, as is the choice of the rows. Writes student.json, which knows the checksums of the others, the
    folder `model` (adapters in peft's format, or all weights, with the tokenizer) and, with a test, predictions.jsonl.
    With `says`, which makes of the model how it is asked, it learns to say labels (kind lm), and is written whole.
    A training that was killed goes on where it is called again. Under torchrun several processes share it, and the
    first one writes. InputError for rows or files that do not fit, and where another process trains a student in `out`,
    before anything is trained.
    """
    kind: StudentKind = settings.kind if says is None else "lm"
    refuse_places(out, kind, [labels, rows, test])
    refuse_engine(settings)
    refuse_no_checkpoint(str(model), model, "give the folder of a transformers checkpoint")
    table = read_labels_to_learn(labels, test)
    texts = None if rows is None else read_label_table(rows)
    table = _with_texts(table, str(labels), texts, rows)
    test_table = None if test is None else _with_texts(read_label_table(test), str(test), texts, rows)
    from ..metrics.paired_scores import estimate
    from .chosen_rows import choose_rows
    from .scored_rows import ScoredRows

    tested = None if test is None or test_table is None else ScoredRows.of(test_table, str(test), table, labels)
    chosen = choose_rows(table, str(labels), seed)
    weak, val = LabelSet.from_table(chosen.table, where=str(labels)), chosen.val
    from ..losses import Objective
    from .finetune import finetune
    from .finetuning.process_group import ProcessGroup
    from .texts import Texts

    learned = np.array(chosen.table["text"], dtype=object)
    predict = {"val": learned[val].tolist()}
    if tested is not None and test_table is not None:
        at = positions(test_table["id"].to_numpy(dtype=object), tested.ids, str(test))
        predict["test"] = [str(test_table["text"].iloc[row]) for row in at]
    said = None if says is None else says(model)
    # Of torchrun's processes one has the claim for all.
    with sole_writer(out, out / RECORD) if os.environ.get("RANK", "0") == "0" else nullcontext():
        done = finetune(
            model,
            Texts(learned[~val].tolist(), weak.p[~val]),
            Texts(learned[val].tolist(), weak.p[val]),
            predict,
            settings=settings,
            objective=Objective(loss, alpha=ALPHA, warm_up=WARM_UP),
            seed=seed,
            folder=out,
            save=True,
            report=report,
            says=said,
        )
        validation = estimate("auroc", weak.p[val], done.scores["val"], groups_of(chosen.table[val]))
        p = done.scores.get("test")
        scores = None if tested is None or p is None else tested.score(p)
        student = WrittenStudent(out, kind, loss, str(model), chosen, validation, tested, scores, tuned=done)
        facts = settings.facts(speaks=said is not None)
        parameters = {"loss": loss, "seed": seed, **facts, "learning_rate": settings.rate}
        record: dict[str, Any] = {"kind": kind, "model": str(model), "labels": str(labels)}
        record |= {} if said is None else {"says": said.facts}
        record |= {"parameters": parameters, "best_step": done.best_step, "cut": done.cut, "seconds": done.seconds}
        if done.best_alpha is not None:
            record["alpha_at_best_step"] = done.best_alpha
        if ProcessGroup.join().first:
            student.write(record | student.record(), p)
    return student


def _with_texts(table: pd.DataFrame, where: str, texts: pd.DataFrame | None, rows: Path | None) -> pd.DataFrame:
    """The table with a text for each row; InputError, by id, for a row that has none."""
    if texts is not None:
        if "text" not in texts:
            raise InputError(f"{rows}: no field 'text', which a fine-tuned student learns from; give it")
        at = positions(texts["id"].to_numpy(dtype=object), table["id"].to_numpy(dtype=object), str(rows), of=where)
        table = table.assign(text=texts["text"].to_numpy(dtype=object)[at])
    elif "text" not in table:
        talks = ": its rows are conversations" if MESSAGES in table else ""
        raise InputError(
            f"{where}: no field 'text', which a fine-tuned student learns from{talks}: give it, or --rows FILE"
        )
    texts_of(table, where if rows is None else str(rows))
    return table


def rows_to_read(labels: Path, rows: Path | None, test: Path | None) -> pd.DataFrame:
    """The rows of a label file and of its test file, each once: `id`, and `text` or `messages`, of `rows` if given."""
    texts = None if rows is None else read_label_table(rows)
    given = [(read_labels_to_learn(labels, test), labels), *([] if test is None else [(read_label_table(test), test)])]
    talks = [MESSAGES in (table if texts is None else texts) for table, _ in given]
    if all(talks) and all("text" not in (table if texts is None else texts) for table, _ in given):
        tables = [_with_messages(table, str(file), texts, rows) for table, file in given]
    else:
        tables = [_with_texts(table, str(file), texts, rows)[["id", "text"]] for table, file in given]
    return pd.concat(tables).drop_duplicates("id").reset_index(drop=True)


def _with_messages(table: pd.DataFrame, where: str, talks: pd.DataFrame | None, rows: Path | None) -> pd.DataFrame:
    """Ids and messages of a table, from those of another file where there is one."""
    if talks is None:
        return table[["id", MESSAGES]]
    at = positions(talks["id"].to_numpy(dtype=object), table["id"].to_numpy(dtype=object), str(rows), of=where)
    return table[["id"]].assign(**{MESSAGES: pd.Series([talks[MESSAGES].iloc[row] for row in at], index=table.index)})
