"""Weak supervisor, ceiling and student as language models: LoRA or full fine-tuning on soft labels with any loss."""

import copy
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import InputError, did_you_mean
from .finetuning.classifier import Checkpoint, set_padding
from .finetuning.loop import Look, Sets, Training
from .finetuning.row_dependence import refuse_dependent_rows
from .finetuning.settings import FineTuning, Tracker
from .finetuning.team import Team, random_devices
from .finetuning.tracking import TRACKERS, tracker
from .finetuning.training_folder import Folder
from .finetuning.training_key import training_key
from .finetuning.updates import Loss, Student
from .texts import Texts, checked
from .threads import one_thread

SMALL = 3_000_000  # weights of a model below which its steps are too small to be shared out among threads


@dataclass(frozen=True)
class FineTuned:
    """What a fine-tuning gave."""

    scores: dict[str, NDArray[np.float64]]  # P(1) (n,) of each set that was to be predicted, in its order
    best_step: int  # the update after which the scores' model stood
    best_auroc: float | None  # of that model against the validation labels; None where they could not judge
    best_alpha: float | None  # the weight of the student's own opinion in that update; None for losses without one
    history: tuple[Look, ...]
    stopped: bool  # early, since nothing became better
    cut: dict[str, int]  # texts longer than the window, of which the end was cut off, in each set
    seconds: float  # of training and scoring, over all processes that were killed on the way
    model: Path | None = None  # where it was saved, in transformers' or peft's format


def finetune(
    model: Path | str,
    train: Texts,
    val: Texts | None = None,
    predict: Mapping[str, Sequence[str]] | None = None,
    *,
    settings: FineTuning,
    objective: Loss,
    seed: int = 0,
    folder: Path | None = None,
    save: bool = False,
    report: Callable[[Look], None] | None = None,
    track: Tracker | None = None,
    curves: Path | None = None,
) -> FineTuned:
    """Fine-tune the checkpoint in the folder `model` as a classifier with two labels, and score other texts with it.

    AdamW without decay of biases and norms, linear warm-up and cosine decay. Every `eval_every` updates the model is
    looked at by `settings.stop` (`stopping.Criterion`) on `val`: pass *weak* labels there, or the result is an
    oracle's. The best such model makes the scores, among those after the loss has stopped changing (its ramp, if it
    has one); without `val`, or where it is all of one class and cannot judge, the last.
    `objective` is copied, and begins anew. Everything random follows from `seed`; torch's own state is left alone.

    With a `folder` the training survives being killed: given again, it goes on, and on a processor ends with the
    same bits. What is done there is not done twice; other settings, data or weights begin anew. `save` puts the
    model there, too, in a folder `model` with its tokenizer: adapters in peft's format, or all weights. `track` draws
    loss, rate and validation AUROC: TensorBoard's into the folder `curves` (`folder` unless given), whose name is the
    run's name for the others.

    Under torchrun or accelerate several processes share every batch, and the first one writes. InputError where
    model, texts and settings cannot be used, and where training diverges.
    """
    began = time.monotonic()
    checkpoint = Checkpoint.open(model)
    asked = {name: checked(texts, f"predict {name!r}") for name, texts in (predict or {}).items()}
    _check(train, val, settings, folder, save=save, track=track)
    team = Team.join()
    dtype = _dtype(settings, team.device)
    objective = copy.deepcopy(objective)
    objective.reset()
    key = ""
    if folder is not None:
        key = training_key(
            checkpoint.folder, train, val, asked, settings=settings, loss=objective, seed=seed, team=team, dtype=dtype
        )
    kept = Folder(folder, key, team.first)
    done, state = kept.result(), kept.state()
    team.wait()  # until everybody has read what the first process may now replace
    if done is not None and not (save and kept.model and not kept.model.is_dir()):
        return _restored(done, kept.model if save else None)
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=random_devices(team.device)))
        classifier = checkpoint.classifier(settings, seed=seed, dtype=dtype)
        if sum(weights.numel() for weights in classifier.parameters()) < SMALL:
            stack.enter_context(one_thread())
        sets = Sets.tokenized(checkpoint, classifier, train, val, asked, settings)
        pad = set_padding(checkpoint, classifier, sets.tokens)
        student = Student(classifier, settings, pad=pad, dtype=dtype, team=team, seed=seed)
        refuse_dependent_rows(student, sets.train, str(checkpoint.folder))
        drawn = None
        if track is not None and team.first:
            place = curves or folder or Path(f"finetune-{checkpoint.folder.name}-{seed}")
            drawn = tracker(track, place, settings.model_dump())
        try:
            training = Training(student, sets, objective, kept, report if team.first else None, drawn)
            training.run(state)
        finally:
            if drawn is not None:
                drawn.finish()
        scores = {name: student.scores(tokenized) for name, tokenized in sets.predict.items()}
        if save:
            kept.keep_model(lambda place: _save(student, checkpoint, place))
    result = {
        "scores": {name: own.tolist() for name, own in scores.items()},
        **training.progress.facts(),
        "cut": sets.cut,
        "seconds": training.progress.seconds + time.monotonic() - began,
    }
    kept.finish(result)
    return _restored(result, kept.model if save else None)


def _check(
    train: Texts, val: Texts | None, settings: FineTuning, folder: Path | None, *, save: bool, track: str | None
) -> None:
    if len(train) < 2:
        raise InputError(f"{len(train)} rows to fine-tune on: at least 2 are needed")
    if val is not None and len(val) == 0:
        raise InputError("no validation rows: give some, or val=None to keep the last model")
    if save and folder is None:
        raise InputError("save needs a folder to put the model in")
    if track is not None and track not in TRACKERS:
        raise InputError(f"track {track!r}: {did_you_mean(track, TRACKERS)}")
    if np.ptp(train.soft) == 0:
        warnings.warn(
            f"all {len(train)} training labels are {train.soft[0]:g}: the model can only learn to say so", stacklevel=3
        )


def _dtype(settings: FineTuning, device: torch.device) -> torch.dtype:
    """What products are computed in."""
    if settings.dtype == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float32
    found: torch.dtype = getattr(torch, settings.dtype)
    return found


def _save(student: Student, checkpoint: Checkpoint, place: Path) -> None:
    student.model.save_pretrained(place)
    checkpoint.tokenizer.save_pretrained(place)


def _restored(result: Mapping[str, Any], model: Path | None) -> FineTuned:
    return FineTuned(
        scores={name: np.array(own, dtype=np.float64) for name, own in result["scores"].items()},
        best_step=result["best_step"],
        best_auroc=result["best_auroc"],
        best_alpha=result["best_alpha"],
        history=tuple(Look(**look) for look in result["history"]),
        stopped=result["stopped"],
        cut=dict(result["cut"]),
        seconds=result["seconds"],
        model=model,
    )
