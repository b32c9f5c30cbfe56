"""Weak supervisor, ceiling and student as language models: LoRA or full fine-tuning on soft labels with any loss."""

import copy
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..checkpoints.loading import usable
from ..errors import InputError, did_you_mean
from .finetuning.accelerate_config import environment_of
from .finetuning.classifier import Checkpoint, set_padding
from .finetuning.engines import EngineSetup
from .finetuning.label_speaker import Says
from .finetuning.loop import Evaluation, TrainingLoop
from .finetuning.precision import precision_on
from .finetuning.process_group import ProcessGroup, random_devices
from .finetuning.row_dependence import refuse_dependent_rows
from .finetuning.saved_model import SMALL, write_scoring
from .finetuning.settings import FineTuning, Tracker
from .finetuning.started import restore_from
from .finetuning.token_sets import TokenSets
from .finetuning.tracking import TRACKERS, tracker
from .finetuning.training_folder import TrainingFolder
from .finetuning.training_key import training_key
from .finetuning.updates import Loss, ModelInTraining
from .texts import Texts, checked
from .threads import one_thread


@dataclass(frozen=True)
class FineTuned:
    """The scores of a fine-tuned model, and how it was trained."""

    scores: dict[str, NDArray[np.float64]]  # P(1) (n,) of each set that was to be predicted, in its order
    best_step: int  # the update after which the scores' model stood
    best_auroc: float | None  # of that model against the validation labels; None where they cannot judge
    best_alpha: float | None  # the weight of the student's own prediction in that update; None for losses without one
    history: tuple[Evaluation, ...]
    stopped: bool  # early, since nothing became better
    cut: dict[str, int]  # texts longer than the window, of which the end was cut off, in each set
    seconds: float  # of training and scoring, killed processes included
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
    report: Callable[[Evaluation], None] | None = None,
    track: Tracker | None = None,
    curves: Path | None = None,
    says: Says | None = None,
    start: Path | None = None,
) -> FineTuned:
    """Fine-tune the checkpoint in the folder `model` as a classifier with two labels, and score other texts with it.

    With `says` (`extract.asking.Saying`) it gets no new head: the loss is that of the log-odds of two words, as its
    next token after each text's prompt, by its own language-model head; it is saved whole, adapters merged.
    `start` is the folder of a model that was fine-tuned from this checkpoint with these settings, and saved: training
    goes on from its weights, head and adapters included, with a new optimiser and schedule.

    AdamW without decay of biases and norms, linear warm-up and cosine decay. Every `eval_every` updates the model is
    evaluated by `settings.stop` (`stopping.Criterion`) on `val`: pass *weak* labels there, or the result is an
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
    if start is not None:
        ProcessGroup.join().wait()  # for the first process, which may just have saved it
    # A model that says labels is saved whole; another one is laid over its checkpoint below.
    checkpoint = Checkpoint.open(model if start is None or says is None else start)
    to_predict = {name: checked(texts, f"predict {name!r}") for name, texts in (predict or {}).items()}
    _check(train, val, settings, folder, speaks=says is not None, save=save, track=track)
    setup = EngineSetup.of(settings, getattr(objective, "name", None))
    with environment_of(setup.environment):
        processes = ProcessGroup.join() if setup.workers is None else ProcessGroup.of_workers(setup.workers)
    dtype = precision_on(processes.device, settings.dtype)
    objective = copy.deepcopy(objective)
    objective.reset()
    key = ""
    if folder is not None:
        key = training_key(
            checkpoint.folder,
            train,
            val,
            to_predict,
            settings=settings,
            loss=objective,
            seed=seed,
            processes=processes,
            dtype=dtype,
            says=says,
            start=start,
        )
    results = TrainingFolder(folder, key, processes.first)
    earlier, state = results.result(), None if setup.workers else results.state()
    if setup.workers is None:
        processes.wait()  # until all have read what the first process may now replace
    if earlier is not None and not (save and results.model and not results.model.is_dir()):
        return _restored(earlier, results.model if save else None)
    if setup.workers is not None:
        data = {"model": model, "train": train, "val": val, "predict": to_predict, "settings": settings}
        how = {"objective": objective, "seed": seed, "folder": folder, "save": save, "says": says, "start": start}
        call = partial(_in_worker, data | how | {"track": track, "curves": curves})
        tuned: FineTuned = setup.workers.call(call, lambda facts: report(Evaluation(**facts)) if report else None)
        return tuned
    with ExitStack() as stack:
        stack.enter_context(environment_of(setup.environment))
        stack.enter_context(torch.random.fork_rng(devices=random_devices(processes.device)))

        def opened() -> Any:
            if says is None:
                return checkpoint.classifier(settings, seed=seed, dtype=dtype)
            return checkpoint.speaker(settings, says, seed=seed, dtype=dtype)

        classifier = opened()
        if sum(weights.numel() for weights in classifier.parameters()) < SMALL:
            stack.enter_context(one_thread())
        sets = TokenSets.tokenized(checkpoint, classifier, train, val, to_predict, settings, says)
        pad = set_padding(checkpoint, classifier, sets.tokens) if says is None else 0  # the mask hides it
        in_training, loop = _engine(settings, setup)
        student = in_training(classifier, settings, pad=pad, dtype=dtype, processes=processes, seed=seed)
        if start is not None and says is None:
            with environment_of({"ACCELERATE_USE_FSDP": "false"}):  # else the first process alone would read it
                restore_from(start, student)
        curve_log = None
        if track is not None and processes.first:
            place = curves or folder or Path(f"finetune-{checkpoint.folder.name}-{seed}")
            curve_log = tracker(track, place, settings.model_dump())
        try:
            training = loop(student, sets, objective, results, report if processes.first else None, curve_log)
            training.run(state, lambda: refuse_dependent_rows(student, sets.train, str(checkpoint.folder)))
        finally:
            if curve_log is not None:
                curve_log.finish()
        scores = {name: student.scores(tokenized) for name, tokenized in sets.predict.items()}
        if save:

            def rebuilt() -> Any:
                whole = opened()
                if says is None:
                    set_padding(checkpoint, whole, sets.tokens)
                return whole

            trained = student.to_save(rebuilt)
            results.keep_model(lambda place: _save(trained(), settings, checkpoint, place, says))
    result = {
        "scores": {name: p.tolist() for name, p in scores.items()},
        **training.status.facts(),
        "cut": sets.cut,
        "seconds": training.status.seconds + time.monotonic() - began,
    }
    results.finish(result)
    return _restored(result, results.model if save else None)


def _check(
    train: Texts,
    val: Texts | None,
    settings: FineTuning,
    folder: Path | None,
    *,
    speaks: bool,
    save: bool,
    track: str | None,
) -> None:
    if len(train) < 2:
        raise InputError(f"{len(train)} rows to fine-tune on: at least 2 are needed")
    if val is not None and len(val) == 0:
        raise InputError("no validation rows: give some, or val=None to keep the last model")
    if settings.quantize is not None and speaks:
        raise InputError("quantize: a model that says labels is saved whole, adapters merged: leave it out")
    if settings.over != "labels" and not speaks:
        raise InputError(f"over = {settings.over!r} is of a model that says labels: give says, or leave it out")
    if save and folder is None:
        raise InputError("save needs a folder to put the model in")
    if track is not None and track not in TRACKERS:
        raise InputError(f"track {track!r}: {did_you_mean(track, TRACKERS)}")
    if np.ptp(train.soft) == 0:
        warnings.warn(
            f"all {len(train)} training labels are {train.soft[0]:g}: the model can only learn to say so", stacklevel=3
        )


def _save(model: Any, settings: FineTuning, checkpoint: Checkpoint, place: Path, says: Says | None) -> None:
    with usable(str(checkpoint.folder), "the trained model cannot be saved"):  # and without a bar of shards
        model.save_pretrained(place)
    checkpoint.tokenizer.save_pretrained(place)
    write_scoring(place, checkpoint, settings, says)


def _engine(settings: FineTuning, setup: EngineSetup) -> tuple[Callable[..., ModelInTraining], type[TrainingLoop]]:
    """The model in training and its loop, of the engine that is asked for."""
    if settings.engine == "loop":
        return ModelInTraining, TrainingLoop
    from .finetuning.model_in_trainer import ModelInTrainer
    from .finetuning.trainer_loop import TrainerLoop

    if setup.zero_stage is not None:
        from .finetuning.model_under_zero import ModelUnderZero

        return partial(ModelUnderZero, stage=setup.zero_stage), TrainerLoop
    return ModelInTrainer, TrainerLoop


def _in_worker(arguments: Mapping[str, Any], report: Callable[[dict[str, Any]], None]) -> FineTuned:
    """A fine-tuning in one of the processes that it has been shared out to."""
    return finetune(**arguments, report=lambda evaluation: report(asdict(evaluation)))


def _restored(result: Mapping[str, Any], model: Path | None) -> FineTuned:
    return FineTuned(
        scores={name: np.array(p, dtype=np.float64) for name, p in result["scores"].items()},
        best_step=result["best_step"],
        best_auroc=result["best_auroc"],
        best_alpha=result["best_alpha"],
        history=tuple(Evaluation(**entry) for entry in result["history"]),
        stopped=result["stopped"],
        cut=dict(result["cut"]),
        seconds=result["seconds"],
        model=model,
    )
