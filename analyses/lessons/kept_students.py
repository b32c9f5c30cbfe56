"""Students that last: each trained head and model is kept in the cache, beside its scores."""

from typing import TYPE_CHECKING, Any

from w2s_probes.probes.fitted_to import reads_of
from w2s_probes.students.artefacts import save_student
from w2s_probes.students.head import HeadStudent

from .lesson import Lesson

if TYPE_CHECKING:
    from w2s_probes.students.finetune import FineTuned


def keep_head(lesson: Lesson, head: HeadStudent) -> None:
    """Put a trained head into the cache, where its learner keeps students."""
    if lesson.learner.keeps:
        read = lesson.learner.read
        store = read.stores[0]
        record = _record(lesson) | {"store": store.key, "layer": read.index, "best_epoch": head.n_epochs_}
        save_student(lesson.student, record, head=head, reads=reads_of(store, read.index))


def keep_model(lesson: Lesson, done: "FineTuned") -> None:
    """Put a fine-tuned model into the cache, where its learner keeps students."""
    if lesson.learner.keeps:
        assert done.model is not None
        record = _record(lesson) | {"model": lesson.learner.source.name, "best_step": done.best_step}
        save_student(lesson.student, record, model=done.model)


def _record(lesson: Lesson) -> dict[str, Any]:
    training = lesson.learner.training
    settings = training.model_dump(mode="json", exclude={"kind", "finetuning"} if training.kind == "head" else {"kind"})
    if lesson.conflict is not None:
        settings["conflict"] = lesson.conflict.alpha
    return {
        "kind": training.kind,
        **lesson.taught_by,
        "parameters": {"loss": lesson.loss, **settings, "seed": lesson.seed},
        "rows": {"train": int(lesson.taught.sum()), "val": len(lesson.stop.rows)},
    }
