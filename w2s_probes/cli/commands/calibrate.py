"""`w2s calibrate`: scores in a file made probabilities of labels."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ...errors import InputError
from .. import terminal

CURVE = ".json"


def calibrate(
    predictions: Annotated[
        Path, typer.Argument(help="Scores in [0, 1] by `id`: `score`, or else `label`; or FILE:COLUMN.")
    ],
    out: Annotated[
        Path, typer.Option(help="The curve, by the ending .json; or a label file of the calibrated scores.")
    ],
    labels: Annotated[
        Path | None,
        typer.Argument(help="Labels by `id`: `truth`, or else `label`; or FILE:COLUMN. Else PREDICTIONS have `truth`."),
    ] = None,
    by: Annotated[
        Literal["temperature", "platt", "isotonic"] | None,
        typer.Option(help="platt unless given; isotonic overfits below some thousand rows."),
    ] = None,
    apply: Annotated[
        Path | None, typer.Option(help="A curve that was learned before; labels then measure it and teach nothing.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds by which labelled rows are calibrated.")] = 0,
) -> None:
    """Learn the curve from scores to labels, or apply one to other scores, and say what it changes.

    With `--out curve.json` the curve is kept; with `--out labels.jsonl` the rows' calibrated scores are, as `label`,
    each by a curve that has not learned it. Calibration error, Brier score, log loss, accuracy and AUROC are measured
    before and after, so too. A curve is calibrated to the labels it has learned: weak ones say the supervisor's mind.

    Example: `w2s calibrate val.jsonl truth.jsonl --by platt --out curve.json`, then
    `w2s calibrate test.jsonl --apply curve.json --out calibrated.jsonl`
    """
    from ...comparing.score_files import split_name
    from ...io.files import refuse_input, refuse_no_file
    from ...io.tables import table_format

    read = [split_name(one)[0] for one in (predictions, labels) if one is not None]
    if apply is not None and not apply.is_file():
        raise InputError(f"{apply}: no such file: --apply takes a curve that `w2s calibrate --out curve.json` has made")
    if apply is not None and by is not None:
        raise InputError(f"--by {by} is of a curve that is learned here: --apply {apply} says its own")
    keeps_curve = out.name.endswith(CURVE)
    if apply is not None and keeps_curve:
        raise InputError(f"{out}: --apply makes no curve: give a label file, such as calibrated.jsonl")
    if not keeps_curve:
        table_format(out)
    refuse_no_file(out)
    refuse_input(out, *read, apply)
    from ...calibration import Calibrator, apply_to_file, calibrate_file
    from ..answers_on_calibration import CalibrateAnswer

    if apply is None:
        found = calibrate_file(predictions, labels, by=by or "platt", seed=seed)
    else:
        found = apply_to_file(predictions, Calibrator.load(apply), labels)
    if keeps_curve:
        found.curve.save(out)
    else:
        found.write(out)
    for line in found.lines:
        terminal.say(line)
    terminal.say(f"Written: {out}")
    terminal.answer_json(CalibrateAnswer.of(found, out))
