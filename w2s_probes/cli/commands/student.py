"""`w2s student`: a head on cached activations, trained on weak labels."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ...checkout import from_models
from ...losses import LossName
from ...students.finetuning.settings import Stop
from .. import progress, terminal
from ..options import From, LabelsPath, Layer, ShowProgress, StorePath
from ..probe_choice import ProbeChoice

DEFAULTS: dict[str, Any] = {"loss": "xent", "epochs": 200, "l2": 0.0, "stop": "auroc", "seed": 0}


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
    sweep: From = None,
    show: ShowProgress = "auto",
) -> None:
    """Train a linear head on a layer's activations and weak labels.

    Rows with `keep` false are left out and `new_label` stands for `label`, so the files of `w2s filter` and
    `w2s relabel` are used as they are. Rows with `split` = val, or else a tenth, stop training early: all of them, with
    their weak labels, whatever `keep` says, so that what stops training is the same for every filter. Test rows that
    share a text or a group with those rows are left out of the score.

    Example: `w2s student acts kept.jsonl --layer 2 --loss logconf --test test.jsonl --out student`
    """
    from ...students.from_files import train_student
    from ..answers_on_labels import StudentAnswer

    settings: dict[str, Any] = {"loss": loss, "epochs": epochs, "l2": l2, "stop": stop, "seed": seed}
    choice = ProbeChoice(layer, "").resolved(store, labels, sweep)
    with from_models(), progress.steps(show) as step:
        step(f"{loss} head on {labels}", 0, 1)
        written = train_student(store, labels, choice.layer, out, test=test, **settings)
        step(f"{out} written", 1, 1)
    for line in (*choice.said(), *written.lines):
        terminal.say(line)
    if test is None:
        again = ["w2s", "student", store, labels, "--layer", choice.layer]
        for name, value in settings.items():
            again += [f"--{name}", value] if value != DEFAULTS[name] else []
        terminal.next_command(*again, "--out", out, "--test", "FILE")
        terminal.say("(FILE: other rows with `truth`, and beside it the supervisor's `label`)")
    else:
        terminal.next_command("w2s", "report", out)
    terminal.answer_json(StudentAnswer.of(written, store, labels))
