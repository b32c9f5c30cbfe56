"""`w2s steer`: whether a probe's direction moves what the model says, or thinks later."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ...checkout import from_checkout
from ...errors import InputError
from .. import progress, terminal
from ..number_lists import names, numbers
from ..options import L2, LabelsPath, ShowProgress
from .extract import AttentionOption, BatchOption, DeviceOption, PickleOption, RemoteCodeOption, RevisionOption


def steer(
    model: Annotated[str, typer.Argument(help="The model that made STORE: folder, hub id, or package:NAME/FOLDER.")],
    store: Annotated[Path, typer.Argument(help="Activation store, from `w2s extract`.")],
    labels: LabelsPath,
    layer: Annotated[str, typer.Option(help="The layer that is steered: index, negative index, or `middle`.")],
    rows: Annotated[
        Path, typer.Option(help="Rows to steer, none of them learned: `text`, and `id`, `label`, `truth`, `group`.")
    ],
    out: Annotated[Path, typer.Option(help="The record, .json; its table .csv and its figure .png stand beside it.")],
    probe: Annotated[
        str, typer.Option(help="A linear probe by name, or the .safetensors of a saved one.")
    ] = "logistic",
    l2: L2 = None,
    by: Annotated[Literal["add", "ablate"], typer.Option(help="Add the direction, or take it out.")] = "add",
    strength: Annotated[
        str | None, typer.Option(help="In standard deviations of learned rows' projections; 1,2,4 unless said.")
    ] = None,
    read: Annotated[str, typer.Option(help="words, or layer:M: a probe of a later layer of STORE.")] = "words",
    answers: Annotated[str | None, typer.Option(help="The words of labels 0 and 1; no,yes unless said.")] = None,
    prompt: Annotated[
        str | None, typer.Option(help="What is asked: {text}, {0} and {1}; a general one if absent.")
    ] = None,
    chat_template: Annotated[
        str | None, typer.Option(help="`own`, a Jinja file, or `none`; the tokenizer's own, if it has one, if absent.")
    ] = None,
    random: Annotated[int, typer.Option(help="Random directions of each kind, of the same length.")] = 20,
    controls: Annotated[
        str, typer.Option(help="Their kinds: with no preference, as activations vary, probes of permuted labels.")
    ] = "isotropic,covariance,permuted",
    from_token: Annotated[int, typer.Option(help="The first token whose state is changed; -1: the last alone.")] = 0,
    allow_overlap: Annotated[
        bool, typer.Option("--allow-overlap", help="Steer rows that the probe has learned from, too.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the random directions.")] = 0,
    batch_tokens: BatchOption = None,
    device_map: DeviceOption = None,
    attn: AttentionOption = None,
    revision: RevisionOption = None,
    trust_remote_code: RemoteCodeOption = False,
    allow_pickle: PickleOption = False,
    show: ShowProgress = "auto",
) -> None:
    """Change the residual stream along a probe's direction while the model reads; see what it then says, or thinks.

    The probe learns LABELS on STORE; other ROWS are steered. A direction is only worth naming where it moves more than
    random ones of the same length do, those that vary as activations do among them: exact rank p.

    Example: `w2s steer data/miniature/strong acts weak.jsonl --layer 2 --rows test.jsonl --read layer:4 --out st.json`
    """
    from ...io.files import refuse_input

    with from_checkout():
        from extract.asking.label_words import WORDS, parse_answers
        from extract.asking.prompts import PATTERN, refuse_pattern
        from extract.models.checkpoints import Trust, find_folder, refuse_no_model
        from extract.steering.directions import Directions, refuse_directions, refuse_not_later
        from extract.steering.held_rows import HeldRows
        from extract.steering.steer_files import refuse_steer_out, steer_figure_path, steer_table_path
        from extract.steering.steer_options import checked_strengths, parse_read, refuse_other_weights
    refuse_steer_out(out)
    for path in (out, steer_table_path(out), steer_figure_path(out)):
        refuse_input(path, labels, rows)
    wanted = checked_strengths(None if strength is None else numbers(strength, "--strength"), by)
    kinds, later = names(controls), parse_read(read)
    refuse_directions(random, kinds, probe, l2)
    for option, given in (("--answers", answers), ("--prompt", prompt), ("--chat-template", chat_template)):
        if later is not None and given is not None:
            raise InputError(f"{option} is for --read words: a later layer is read on the texts alone; leave it out")
    words, pattern = WORDS if answers is None else parse_answers(answers), PATTERN if prompt is None else prompt
    refuse_pattern(pattern)
    from ...labels.label_file import LabelFile
    from ...labels.label_set import read_label_table
    from ...places.sole_writer import sole_writer
    from ...store.activation_store import ActivationStore

    opened = ActivationStore.open(store)
    at = opened.resolve(layer)
    refuse_not_later(at, None if later is None else opened.resolve(later))
    file = LabelFile.read(labels)
    _ = file.weak
    held = HeldRows.of(read_label_table(rows), file, str(rows), allow_overlap=allow_overlap)
    trust = Trust(allow_pickle, trust_remote_code)
    refuse_no_model(model, revision, trust)
    folder, weights = find_folder(model, revision, trust)
    refuse_other_weights(opened, weights, model)
    # Only what has passed so far is worth the seconds that these take.
    with progress.steps(show) as step:
        step("directions", 0, 1)
        directions = Directions.fit(
            opened, file, layer=at, later=later, probe=probe, l2=l2, random=random, controls=kinds, seed=seed
        )
        step(f"{len(directions.kinds)} directions of layer {at}", 1, 1)
    with from_checkout():
        from extract.models.loading import Placement
        from extract.models.source import ModelSource
        from extract.steering import Steering, write_steered
    plan = Steering.plan(
        ModelSource(model, folder, weights, None, trust),
        opened,
        directions,
        held,
        by=by,
        strengths=wanted if by == "add" else None,
        from_token=from_token,
        answers=words,
        prompt=pattern,
        chat_template=chat_template,
    )
    with sole_writer(out, out):
        with progress.rows(show) as report:
            found = plan.run(placement=Placement(device_map, attn, batch_tokens), progress=report)
        record = write_steered(found, out)
    for line in record["remarks"]:
        terminal.say(line)
    table, figure = steer_table_path(out), steer_figure_path(out)
    terminal.say(f"Written: {out}, {table}, {figure}")
    terminal.next_command("w2s", "report", out.parent)
    from ..answers_on_steering import SteerAnswer

    terminal.answer_json(SteerAnswer.model_validate({**record, "out": out, "table": table, "figure": figure}))
