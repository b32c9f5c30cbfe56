"""`w2s student`: a head on activations, or a fine-tuned model, trained on weak labels."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ...checkout import from_checkout, from_models
from ...devices import PROCESSOR, refuse_no_device, refuse_no_name
from ...errors import InputError
from ...students.finetuning.settings import Stop
from .. import progress, terminal
from ..options import FitDevice, From, Kind, MaxMemory, ShowProgress
from ..probe_choice import ProbeChoice

if TYPE_CHECKING:
    from ...students.finetuning.label_speaker import Says
    from ...students.written_student import WrittenStudent

DEFAULTS: dict[str, Any] = {"kind": "head", "loss": "xent", "l2": 0.0, "stop": "auroc", "seed": 0, "device": PROCESSOR}
EPOCHS = 200  # of a head


def _losses(incomplete: str) -> list[str]:
    from ...losses.names import LOSSES

    return [name for name in LOSSES if name.startswith(incomplete)]


def student(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="[STORE] LABELS",
            help="A head's activation store, unless --model makes one, and the label file: `id`, `label` = P(1), and "
            "where present `truth`, `group`, `split`, `text`.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for student.json, the head or the model, and predictions.jsonl.")],
    kind: Annotated[
        Literal["head", "lora", "full", "lm"],
        typer.Option(
            help="A head on activations, adapters, all of the weights, or a model that says the label's word."
        ),
    ] = "head",
    layer: Annotated[
        str | None, typer.Option(help="Of a head: index, `middle`, or `best`, as a sweep chose (--from).")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="What is fine-tuned, or read in place of a STORE: folder, hub id, package:.")
    ] = None,
    position: Annotated[
        Literal["last", "first", "mean"] | None, typer.Option(help="Of a head with --model; last unless said.")
    ] = None,
    rows: Annotated[
        Path | None, typer.Option(help="With --model: the texts by `id`, where the label file has none.")
    ] = None,
    loss: Annotated[
        str,
        typer.Option(
            help="What the student minimises, of {losses}; docs/experiments.md says what each is.",
            autocompletion=_losses,
        ),
    ] = "xent",
    test: Annotated[
        Path | None, typer.Option(help="Other rows to score, with `id` and `truth`, or else against their `label`.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the rows at most; 200 of a head, else 3, unless said.")
    ] = None,
    l2: Annotated[
        float, typer.Option(min=0, help="Of a head: penalty l2 times the squared weights, on standardised activations.")
    ] = 0.0,
    stop: Annotated[Stop, typer.Option(help="What validation rows are read for, against their weak labels.")] = "auroc",
    tune: Annotated[
        list[str], typer.Option(help="A setting of fine-tuning, such as learning_rate=1e-4; may be repeated.")
    ] = [],  # noqa: B006
    answers: Annotated[
        str | None, typer.Option(help="Of kind lm: the words of labels 0 and 1; no,yes if absent.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="Of kind lm: what is asked, with {text} for the row's, as for `w2s ask`.")
    ] = None,
    chat_template: Annotated[
        str | None, typer.Option(help="Of kind lm: `own`, a Jinja file, or `none`, as for `w2s ask`.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the training, and of the rows that stop it.")] = 0,
    device: FitDevice = "cpu",
    sweep: From = None,
    max_memory: MaxMemory = None,
    show: ShowProgress = "auto",
) -> None:
    """Train a linear head on activations, or fine-tune a model, on weak labels.

    Rows with `keep` false are left out and `new_label` stands for `label`, so the files of `w2s filter` and
    `w2s relabel` are used as they are. Rows with `split` = val, or else a tenth, stop training early: all of them, with
    their weak labels, whatever `keep` says, so that what stops training is the same for every filter. Test rows that
    share a text or a group with those rows are left out of the score. A fine-tuning that was stopped goes on with the
    same command.

    Example: `w2s student acts kept.jsonl --layer 2 --loss logconf --test test.jsonl --out student`
    """
    from ...losses.names import known_loss
    from ..answers_on_labels import StudentAnswer

    common: dict[str, Any] = {"loss": known_loss(loss), "seed": seed}
    if out.is_file():
        raise InputError(f"{out}: is a file, and a student is a folder: give another --out")
    asked = {"answers": answers, "prompt": prompt, "chat-template": chat_template}
    for name, value in asked.items():
        if value is not None and kind != "lm":
            raise InputError(f"--{name} is of a model that says labels: give --kind lm, or leave it out")
    if max_memory is not None and kind != "head":
        raise InputError("--max-memory is of a head, whose activations it leaves on disk: leave it out")
    given = {"layer": layer, "position": position, "rows": rows, "l2": l2 or None, "tune": tune, "model": model}
    given["device"] = None if device == PROCESSOR else device
    _refuse_others(kind, files, given | {"from": sweep})
    refuse_no_name(device, "--device")
    refuse_no_device(device)
    labels, said = files[-1], []
    if kind != "head":
        if model is None:
            raise InputError(f"--kind {kind} needs --model: what is to be fine-tuned")
        from ...students.tuning_options import tuning_settings

        says = _says(answers, prompt, chat_template) if kind == "lm" else None
        values = {**({} if says else {"kind": kind}), "stop": stop, **({} if epochs is None else {"epochs": epochs})}
        settings = tuning_settings(tune, values)
        written = _tuned(model, labels, out, show, settings=settings, rows=rows, test=test, says=says, **common)
    else:
        choice = ProbeChoice(layer or "", "").resolved(files[0], labels, sweep) if len(files) == 2 else None
        place = files[0] if choice else _activations(model, labels, rows, test, layer or "", position or "last", show)
        from ...students.from_files import train_student

        with from_models(), progress.steps(show) as step:
            step(f"{loss} head on {labels}", 0, 1)
            at = choice.layer if choice else layer or ""
            more: dict[str, Any] = {"epochs": epochs or EPOCHS, "l2": l2, "stop": stop, "device": device}
            written = train_student(place, labels, at, out, test=test, **common, **more)
            step(f"{out} written", 1, 1)
        said = choice.said() if choice else [f"activations: {place}"]
    if os.environ.get("RANK", "0") != "0":  # of torchrun's processes one speaks
        return
    for line in (*said, *written.lines):
        terminal.say(line)
    if test is None:
        options: dict[str, Any] = {"kind": kind, "layer": layer, "model": model, "position": position, "rows": rows}
        options |= {"loss": loss, "epochs": epochs, "seed": seed, "l2": l2, "stop": stop, "device": device} | asked
        _say_next(files, options | {"from": sweep}, tune, out, max_memory)
    else:
        terminal.next_command("w2s", "report", out)
    terminal.answer_json(StudentAnswer.of(written, files[0] if len(files) == 2 else None, model, labels))


def _refuse_others(kind: str, files: list[Path], options: dict[str, Any]) -> None:
    """InputError for files and options that a student of this kind does not read, or lacks."""
    heads, models = ("layer", "position", "l2", "device"), ("tune",)
    for name in models if kind == "head" else heads:
        if options[name]:
            raise InputError(f"--{name} is of {'fine-tuning' if kind == 'head' else 'a head'}: leave it out")
    if kind != "head" and len(files) != 1:
        raise InputError(f"--kind {kind} reads texts, not a store: give the label file alone")
    if kind == "head" and not options["layer"]:
        raise InputError("a head reads one layer: give --layer")
    if len(files) > 2:
        raise InputError(f"{len(files)} files: give a store and a label file")
    if kind == "head" and len(files) == 2:
        for name in ("model", "position", "rows"):
            if options[name]:
                raise InputError(f"--{name} is for texts, and {files[0]} is a store: leave it out")
    elif options["from"] or options["layer"] == "best":
        raise InputError("--from and --layer best are what a sweep chose of a store: give the STORE before the labels")


def _says(answers: str | None, prompt: str | None, chat_template: str | None) -> "Callable[[Path], Says]":
    """How a model in a folder is asked; InputError for words and prompts that no model could be asked by."""
    with from_checkout():
        from extract.asking.label_words import WORDS, parse_answers
        from extract.asking.prompts import PATTERN, refuse_pattern
    words, pattern = WORDS if answers is None else parse_answers(answers), prompt or PATTERN
    refuse_pattern(pattern)

    def says(folder: Path) -> "Says":
        from extract.asking import Saying

        return Saying.plan(str(folder), answers=words, prompt=pattern, chat_template=chat_template)

    return says


def _tuned(model: str, labels: Path, out: Path, show: Kind, **more: Any) -> "WrittenStudent":
    from ...students.tuned_from_files import tune_student
    from ..extracted import model_folder

    with from_models(), progress.steps(show) as step:
        step(f"{'lm' if more['says'] else more['settings'].kind} of {model} on {labels}", 0, 1)
        written = tune_student(
            model_folder(model), labels, out, report=lambda now: step(f"update {now.step}", 0, 1), **more
        )
        step(f"{out} written", 1, 1)
    return written


def _activations(
    model: str | None,
    labels: Path,
    rows: Path | None,
    test: Path | None,
    layer: str,
    position: str,
    show: Kind,
) -> Path:
    """The store of a label file's rows, and of the test rows, by a model."""
    if model is None:
        raise InputError(f"{labels}: a head reads activations: give a STORE before it, or --model to make one")
    from ...students.tuned_from_files import rows_to_read
    from ..extracted import extracted, refuse_unknown_model

    table = rows_to_read(labels, rows, test)
    refuse_unknown_model(model)
    with progress.rows(show) as report:
        return extracted(model, table, {"layers": layer, "position": position}, report)


def _say_next(files: list[Path], options: dict[str, Any], tune: list[str], out: Path, max_memory: str | None) -> None:
    """Propose the same with a test."""
    again: list[object] = ["w2s", "student", *files]
    for name, value in options.items():
        again += [f"--{name}", value] if value not in (None, DEFAULTS.get(name)) else []
    for setting in tune:
        again += ["--tune", setting]
    terminal.next_command(*again, "--out", out, "--test", "FILE", max_memory=max_memory)
    terminal.say("(FILE: other rows with `truth`, and beside it the supervisor's `label`)")
