"""`w2s ask`: a causal model's own opinion of each row, as a label file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ...checkout import from_checkout
from ...errors import InputError
from .. import progress, terminal
from ..options import ShowProgress
from .extract import (
    AttentionOption,
    BatchOption,
    DeviceOption,
    DtypeOption,
    PickleOption,
    QuantizationOption,
    RemoteCodeOption,
    RevisionOption,
)

if TYPE_CHECKING:
    from extract.asking import Answers, Asking

SHOTS = 8


def ask(
    model: Annotated[str, typer.Argument(help="Folder, hub id, or package:NAME/FOLDER of a causal language model.")],
    rows: Annotated[Path, typer.Option(help="JSONL, CSV or Parquet with `text`, and `id` where present.")],
    out: Annotated[
        Path,
        typer.Option(help="A label file: `id`, `label` = P(1), what ROWS have, `logit_0`, `logit_1`, `log_total`."),
    ],
    answers: Annotated[str, typer.Option(help="The words of labels 0 and 1, each one token.")] = "no,yes",
    prompt: Annotated[
        str | None,
        typer.Option(help="What is asked: {text} is the row's, {0} and {1} the answers; a general one if absent."),
    ] = None,
    shots: Annotated[
        Path | None, typer.Option(help="Answered rows, none of them in ROWS, with `text` and `truth` or `label`.")
    ] = None,
    n_shots: Annotated[
        int | None, typer.Option(min=2, help=f"How many of these stand before each row; {SHOTS} unless said.")
    ] = None,
    calibrate: Annotated[
        Literal["prior", "content-free"] | None,
        typer.Option(help="Take off the model's bias: the mean answer over ROWS, or that to texts that say nothing."),
    ] = None,
    chat_template: Annotated[
        str | None,
        typer.Option(help="`own`, a Jinja file, or `none`; the tokenizer's own, where it has one, if absent."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of which shots are drawn.")] = 0,
    dtype: DtypeOption = "auto",
    batch_tokens: BatchOption = None,
    device_map: DeviceOption = None,
    attn: AttentionOption = None,
    quantization: QuantizationOption = None,
    revision: RevisionOption = None,
    trust_remote_code: RemoteCodeOption = False,
    allow_pickle: PickleOption = False,
    show: ShowProgress = "auto",
) -> None:
    """Ask a model that speaks: P(1) of each row by the next-token logits of two label words, through its own head.

    Of the rows of one `question` one is true at most, of the two of one `pair` exactly one; the logits are written as
    the model gives them. What stands under `label` in ROWS becomes `given_label`. An asking that was stopped goes on
    with the same command, from the folder OUT.unfinished.

    Example: `w2s ask data/miniature/strong --rows rows.jsonl --answers noisy,quiet --prompt "{text}" --out asked.jsonl`
    """
    from ...io.files import refuse_input, refuse_no_file
    from ...io.tables import table_format, write_table

    table_format(out)
    refuse_no_file(out)
    refuse_input(out, rows, shots)
    if shots is None and n_shots is not None:
        raise InputError("--n-shots are drawn from answered rows: say by --shots from which")
    with from_checkout():
        from extract.asking.label_words import parse_answers
        from extract.asking.prompts import PATTERN, refuse_pattern
        from extract.asking.shots import draw_shots, read_shots
        from extract.models.checkpoints import Trust, refuse_no_model
        from extract.row_files import checked_rows
    words, pattern, trust = parse_answers(answers), prompt or PATTERN, Trust(allow_pickle, trust_remote_code)
    refuse_pattern(pattern)
    from ...labels.label_set import read_label_table
    from ...students.predicting import scored_rows

    table = checked_rows(read_label_table(rows), str(rows))
    drawn = []
    if shots is not None:
        drawn = draw_shots(read_shots(shots), n_shots or SHOTS, table, where=str(shots), seed=seed)
    with from_checkout():
        refuse_no_model(model, revision, trust)
        # Only what has passed so far is worth the seconds that these take.
        from extract.asking import Asking
        from extract.models.loading import Placement
        from extract.models.source import ModelSource
    plan = Asking.plan(
        ModelSource.find(model, revision=revision, trust=trust),
        table,
        answers=words,
        prompt=pattern,
        shots=drawn,
        calibrate=calibrate,
        chat_template=chat_template,
        dtype=dtype,
        quantization=quantization,
    )
    with progress.rows(show) as report:
        unfinished = out.with_name(f"{out.name}.unfinished")
        found = plan.run(placement=Placement(device_map, attn, batch_tokens), progress=report, kept=unfinished)
    numbers = {name: getattr(found, name) for name in ("logit_0", "logit_1", "log_total")}
    write_table(scored_rows(table, found.p).assign(**numbers), out)
    remarks = _remarks(plan, found)
    for line in remarks:
        terminal.say(line)
    terminal.say(f"Written: {out}")
    from ..answers_on_asking import AskAnswer

    terminal.answer_json(AskAnswer.of(plan, found, model=model, rows=rows, out=out, remarks=remarks))


def _remarks(plan: "Asking", found: "Answers") -> list[str]:
    """What is said of the answers, a sentence each."""
    first, second = (repr(word.spelling) for word in plan.words)
    template = "as plain text" if plan.prompt.template is None else "by a chat template"
    ones, n = int((found.p > 0.5).sum()), len(found.p)
    lines = [f"{n:,} rows asked {template}, {len(plan.shots)} shots; {ones:,} of them {second} rather than {first}"]
    lines.append(
        f"the two words have {found.said.mean():.1%} of the probability of a next token, in the mean over rows"
    )
    if plan.calibrate is not None:
        lines.append(f"calibrated by {plan.calibrate}: {found.shift:.3f} taken off the log-odds")
    if found.together:
        lines.append(f"{found.together:,} questions and pairs were judged as wholes")
    return lines
