"""Teaching lessons: heads of the same rows together, in one loop of matrix products; fine-tunings one by one."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from w2s_probes.devices import PROCESSOR
from w2s_probes.errors import InputError
from w2s_probes.losses import LOSSES, ExplicitConflict, Objective
from w2s_probes.losses.batched import is_batched
from w2s_probes.students.finetune import finetune
from w2s_probes.students.finetuning.settings import STUDENT_MODEL
from w2s_probes.students.head import HeadStudent
from w2s_probes.students.head_lesson import HeadLesson
from w2s_probes.students.head_start import HeadStart
from w2s_probes.students.heads import train_heads
from w2s_probes.students.texts import Texts

from .clock import first_process
from .kept_students import keep_head, keep_model
from .lesson import Lesson, Trained


@dataclass(frozen=True)
class Taught:
    """The result of a lesson, or the reason why there is none."""

    result: Trained | InputError
    seconds: float | None = None  # its share of the time of its batch; None: from the cache


def teach(lessons: Sequence[Lesson]) -> list[Taught]:
    """Teach lessons of one batch, or a single fine-tuning, and keep their results."""
    began = time.monotonic()
    results = teach_heads(lessons) if lessons[0].learner.reads_activations else [teach_model(*lessons)]
    seconds = (time.monotonic() - began) / len(lessons)
    return [Taught(result, seconds) for result in results]


def batches(lessons: Sequence[Lesson]) -> list[list[Lesson]]:
    """The lessons that are taught together: heads of the same rows in the same order; each fine-tuning alone.

    A head whose loss has no leading axis is alone as well.
    """
    heads: dict[str, list[Lesson]] = {}
    for lesson in lessons:
        if lesson.learner.reads_activations:
            alone = "" if is_batched(LOSSES[lesson.loss]) else lesson.key
            heads.setdefault(lesson.batch + alone, []).append(lesson)
    return [*heads.values(), *([lesson] for lesson in lessons if not lesson.learner.reads_activations)]


def account(lessons: Sequence[Lesson]) -> str:
    """The name of a batch in progress lines."""
    first = lessons[0].step
    return first if len(lessons) == 1 else f"{first} and {len(lessons) - 1} more heads together"


def teach_heads(lessons: Sequence[Lesson]) -> list[Trained | InputError]:
    """Train the heads of one batch. One that cannot be trained leaves the others as they are."""
    first = lessons[0]
    read = first.learner.read
    heads = _trained_heads(lessons)
    X_predict = {name: read.of(rows) for name, rows in first.predict.items()}
    results: list[Trained | InputError] = []
    for lesson, head in zip(lessons, heads, strict=True):
        if isinstance(head, InputError):
            results.append(head)
            continue
        scores = {name: head.predict_proba(X)[:, 1] for name, X in X_predict.items()}
        trained = Trained(scores, head.n_epochs_, head.alpha_)
        keep_head(lesson, head)
        lesson.keep(trained)
        results.append(trained)
    return results


def _trained_heads(lessons: Sequence[Lesson]) -> list[HeadStudent | InputError]:
    """The heads of one batch. Those that others go on from are trained first, again: a head's weights are not kept."""
    first, before = lessons[0], {lesson.start.key: lesson.start for lesson in lessons if lesson.start is not None}
    begun: dict[str, HeadStudent | InputError] = {}
    for together in batches(list(before.values())):  # other rows may have stopped one than another
        begun |= zip((lesson.key for lesson in together), _trained_heads(together), strict=True)
    starts = [None if lesson.start is None else begun[lesson.start.key] for lesson in lessons]
    asked = [
        _head_lesson(lesson, start)
        for lesson, start in zip(lessons, starts, strict=True)
        if not isinstance(start, InputError)
    ]
    X, X_stop = (first.learner.read.of(examples.rows) for examples in (first.fit, first.stop))
    device = None if first.learner.device == PROCESSOR else first.learner.device
    trained = iter(train_heads(X, asked, X_stop, seed=first.seed, device=device)) if asked else iter(())
    return [start if isinstance(start, InputError) else next(trained) for start in starts]


def _head_lesson(lesson: Lesson, start: HeadStudent | None) -> HeadLesson:
    training = lesson.learner.training
    begun = None
    if start is not None and lesson.start is not None:
        begun = HeadStart(start.coef_[0], float(start.intercept_[0]), lesson.start.mask)
    return HeadLesson(
        lesson.fit.p,
        lesson.mask,
        lesson.weight,
        lesson.stop.p,
        loss=lesson.loss,
        alpha=training.alpha,
        warm_up=training.warm_up,
        prior=training.prior,
        epochs=training.epochs,
        l2=training.l2,
        stop=training.stop,
        seed=lesson.seed,
        conflict=_conflict(lesson),
        start=begun,
    )


def _conflict(lesson: Lesson) -> ExplicitConflict | None:
    """What is added to the loss of the lesson's rows."""
    conflict = lesson.conflict
    return conflict.of(lesson.fit.rows) if conflict is not None and conflict.alpha else None


def teach_model(lesson: Lesson) -> Trained | InputError:
    """Fine-tune a language model; one that was killed goes on from its last checkpoint in the cache's folder."""
    learner, training, taught = lesson.learner, lesson.learner.training, lesson.taught
    start = None if lesson.start is None else _kept_model(lesson.start)
    if isinstance(start, InputError):
        return start
    folder = learner.cache.path("unfinished", lesson.description).with_suffix("")
    conflict = _conflict(lesson)
    fit = Texts(
        lesson.fit.rows["text"][taught].tolist(),
        lesson.fit.p[taught],
        None if lesson.weight is None else np.asarray(lesson.weight)[taught],
        None if conflict is None else ExplicitConflict(conflict.truth[taught], conflict.alpha),
    )
    curves = learner.curves
    try:
        done = finetune(
            learner.source.folder,
            fit,
            Texts(lesson.stop.rows["text"].tolist(), lesson.stop.p),
            {name: rows["text"].tolist() for name, rows in lesson.predict.items()},
            settings=training.finetuning,
            objective=Objective(lesson.loss, alpha=training.alpha, warm_up=training.warm_up, prior=training.prior),
            seed=lesson.seed,
            folder=folder,
            save=learner.keeps,
            report=lambda evaluation: learner.note(f"update {evaluation.step}"),
            track=curves.track if curves else None,
            curves=curves.next(lesson.step) if curves else None,
            says=learner.says,
            start=start,
        )
    except InputError as error:
        return error
    trained = Trained(dict(done.scores), done.best_step, done.best_alpha)
    if first_process():
        keep_model(lesson, done)
    lesson.keep(trained, cut=done.cut)
    if first_process():  # which wrote it
        shutil.rmtree(folder, ignore_errors=True)  # the scores are what is kept
    return trained


def _kept_model(start: Lesson) -> Path | InputError:
    """The folder of a fine-tuned student that another goes on from; tuned now where the cache has its scores alone."""
    if not start.student.is_dir():
        done = teach_model(start.with_student_kept())
        if isinstance(done, InputError):
            return done
    return start.student / STUDENT_MODEL
