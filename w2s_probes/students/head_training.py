"""One loop of matrix products in which any number of heads learn from the same rows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..devices import in_words, opened, true_float32
from ..errors import InputError
from ..losses.batched import refuse_unbatched
from .head_course import Course
from .head_lesson import HeadLesson, Pupil
from .standard_rows import StandardRows
from .threads import one_thread

FEWEST_BATCHES = 16  # an epoch: small sets get smaller batches, or Adam's steps would be too few to get anywhere

Weights = torch.Tensor  # (d + 1,) on x of all rows


@dataclass(frozen=True)
class Learned:
    """A trained head, on raw activations."""

    coef: NDArray[np.float64]  # (d,) the weights of the second logit less those of the first
    intercept: float
    n_epochs: int  # the epoch that was chosen
    alpha: float | None  # the weight of the student's own opinion there
    soft: bool  # whether a label was neither 0 nor 1


def learn(
    X: NDArray[np.float32],
    lessons: Sequence[HeadLesson],
    X_val: NDArray[np.float32] | None,
    *,
    batch_size: int,
    seed: int | None,
    device: str | None = None,
) -> list[Learned | InputError]:
    """A head for each lesson on X (n, d), or why there is none; X_val (m, d) are validation rows.

    They learn on a torch `device`, the processor unless given. DeviceError where it is not there, or X does not fit.
    """
    there = None if device is None else opened(device, "device", "'cpu'")
    if X_val is not None and X_val.shape[1] != X.shape[1]:
        raise InputError(f"validation rows are {X_val.shape[1]} wide, but training rows {X.shape[1]}")
    if batch_size < 1:
        raise InputError(f"batch_size={batch_size!r}: at least one row a batch is needed")
    batch = min(batch_size, max(1, len(X) // FEWEST_BATCHES))
    found: list[Pupil | InputError] = []
    for lesson in lessons:
        try:
            if lesson.start is not None:
                lesson.start.refuse_width(X.shape[1])
            pupil = Pupil.of(lesson, len(X), None if X_val is None else len(X_val), -(-len(X) // batch))
            if len(lessons) > 1:
                refuse_unbatched(pupil.objective)
            found.append(pupil)
        except InputError as error:
            found.append(error)
    pupils = [pupil for pupil in found if isinstance(pupil, Pupil)]
    if not pupils:
        return [error for error in found if isinstance(error, InputError)]
    with one_thread(), torch.inference_mode(), _computing(there):
        held = f"{len(pupils)} heads on {X.shape[0]} rows of {X.shape[1]} numbers"
        said = in_words(device, held, "teach fewer together, or use 'cpu'") if device else nullcontext()
        with said:
            standard = StandardRows.of(X, there)
            val = None if X_val is None else standard.others(X_val)
            taught = iter(teach(standard, val, pupils, batch=batch, seed=seed))
    results: list[Learned | InputError] = []
    for head in found:
        if isinstance(head, InputError):
            results.append(head)
        elif isinstance(weights := next(taught), InputError):
            results.append(weights)
        else:
            results.append(Learned(*standard.raw(weights), head.n_epochs, head.alpha, head.soft))
    return results


@contextmanager
def _computing(device: torch.device | None) -> Iterator[None]:
    """What is made inside is on this device, where products are true to float32; without one nothing changes."""
    if device is None:
        yield
        return
    with device, true_float32():
        yield


def teach(
    standard: StandardRows, val: torch.Tensor | None, pupils: Sequence[Pupil], *, batch: int, seed: int | None
) -> list[Weights | InputError]:
    """Train the pupils, which are told what was chosen, and give each one's weights; InputError of one that diverged.

    `val` (m, d + 1) are validation rows, standardised alike. All pupils read batches in the order that `seed` decides;
    without one each pupil's own seed does.
    """
    course = Course(standard, pupils, batch, seed)
    results: dict[int, Weights | InputError] = {}
    chosen: dict[int, Weights] = {}
    epoch = 0
    while course.pupils:
        epoch += 1
        course.run_epoch()
        finite = torch.isfinite(course.weights.seen).all(dim=1).cpu().numpy()
        ramping, own_weight = course.ramping, course.own_weight
        judges = [
            not ramps or epoch >= pupil.lesson.epochs for ramps, pupil in zip(ramping, course.pupils, strict=True)
        ]
        scores = np.full(len(finite), np.nan)
        if val is not None and any(judges):
            margins = (course.weights.seen @ val.T).cpu().numpy()
            finite &= np.isfinite(margins).all(axis=1)
            scores = course.scores(margins)
        for place, pupil in enumerate(course.pupils):
            key, lesson = id(pupil), pupil.lesson
            if not finite[place]:
                results[key] = InputError(
                    f"the head diverged at step {course.steps}: lower the learning rate ({lesson.learning_rate:g})"
                )
                continue
            last = epoch >= lesson.epochs
            if pupil.criterion is None:
                if last:
                    chosen[key], pupil.alpha = course.weights.seen[place].clone(), own_weight[place]
            elif judges[place]:  # while the loss itself still changes, nothing is chosen or concluded
                pupil.since += 1
                if scores[place] > pupil.score:
                    pupil.score, pupil.n_epochs, pupil.since = float(scores[place]), epoch, 0
                    chosen[key], pupil.alpha = course.weights.seen[place].clone(), own_weight[place]
            if last or (pupil.criterion is not None and pupil.since >= lesson.patience):
                results[key] = chosen.pop(key)
        course.leave([place for place, pupil in enumerate(course.pupils) if id(pupil) in results])
    return [results[id(pupil)] for pupil in pupils]
