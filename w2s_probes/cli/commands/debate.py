"""`w2s debate`: what a model says for either answer about each row, as a file of transcripts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ...checkout import from_checkout
from ...errors import InputError
from ...share import Share
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
    from extract.debating import Debate, Transcript


def debate(
    model: Annotated[str, typer.Argument(help="Folder, hub id, or package:NAME/FOLDER of a causal language model.")],
    rows: Annotated[Path, typer.Option(help="JSONL, CSV or Parquet with `text`, and `id` where present.")],
    out: Annotated[Path, typer.Option(help="A file of transcripts, .jsonl or .jsonl.gz: a line a row and member.")],
    names: Annotated[
        str | None, typer.Option(help="The answers of labels 0 and 1 that are argued for; no,yes if absent.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="The task, by name or file, whose `label_names` these are, in place of --names.")
    ] = None,
    question: Annotated[str, typer.Option(help="What is asked about each row; a general question if absent.")] = "",
    protocol: Annotated[
        Literal["debate", "consultancy", "market-making", "no-sides"],
        typer.Option(help="Both answers in turn; a drawn one alone; the one that --naive does not choose; none."),
    ] = "debate",
    turns: Annotated[int, typer.Option(help="Of a transcript; 2 at least in a debate.")] = 3,
    members: Annotated[int, typer.Option(help="Transcripts of each row, each with draws of its own.")] = 4,
    shared: Annotated[bool, typer.Option("--shared", help="One transcript a row, for all members.")] = False,
    naive: Annotated[
        Path | None, typer.Option(help="Labels, P(1), that market-making argues against; it needs them.")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="What debaters are told: TOML by protocol, or Jinja for whatever is asked.")
    ] = None,
    chat_template: Annotated[
        str | None,
        typer.Option(help="`own`, a Jinja file, or `none`; the tokenizer's own, where it has one, if absent."),
    ] = None,
    temperature: Annotated[float, typer.Option(help="Of the draws; 0 takes the likeliest token.")] = 1.0,
    top_p: Annotated[float, typer.Option(help="The mass of likeliest tokens that are drawn from.")] = 1.0,
    max_new_tokens: Annotated[int, typer.Option(help="At most, in each turn.")] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Of sides and draws.")] = 0,
    cache: Annotated[
        Path | None, typer.Option(help="The folder that turns are kept in and taken from; OUT.turns if absent.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option(help="i/n: this process's rows, i from 0; auto: as torchrun or Slurm number it.")
    ] = None,
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
    """Let a model argue about each row, turn by turn: transcripts that weak models read beside the row.

    Labels in ROWS are never read: which answer A argues for is drawn by the row's id. A row's turns do not depend on
    other rows, on their order, or on the number of processes; a killed command goes on where it stopped.

    Example: `w2s debate data/miniature/strong --rows rows.jsonl --names noisy,quiet --out said.jsonl`
    """
    from ...io.files import refuse_input, refuse_no_file
    from ...io.plain_values import refuse_no_utf8
    from ...labels.label_set import LabelSet

    with from_checkout():
        from extract.debating.prompt_file import DebatePrompt
        from extract.debating.protocols import NAMES, naive_beliefs, parse_names, refuse_equal_members, refuse_protocol
        from extract.debating.transcripts import refuse_empty, refuse_ending, write_transcripts
        from extract.generating.sampling import refuse_sampling
        from extract.models.checkpoints import Trust, refuse_no_model
        from extract.models.quantization import quantization_settings
        from extract.row_files import read_rows
        from extract.tasks.load import find_task
        from extract.templates import refuse_no_template
    refuse_ending(out)
    refuse_no_file(out)
    refuse_input(out, rows, naive, prompts)
    kept = cache or out.with_name(f"{out.name}.turns")
    if kept.exists() and not kept.is_dir():
        raise InputError(f"{kept}: is a file; give a folder by --cache")
    share, kind = Share.parse(shard), refuse_protocol(protocol, turns, members)
    refuse_sampling(temperature, top_p, max_new_tokens)
    refuse_equal_members(temperature, 1 if shared else members)
    refuse_no_utf8(question, "question")
    remarks = []
    answers = None if names is None else parse_names(names)
    if task is not None:
        if answers is not None:
            raise InputError("--names and --task both say what is argued for: leave one out")
        named = find_task(task)[1].label_names
        answers = None if named is None else (named[0], named[1])
    if answers is None:
        whose = "no names of labels were given" if task is None else f"task {task} has no `label_names`"
        remarks.append(f"{whose}: argued for are {NAMES[0]!r} and {NAMES[1]!r}")
    if prompts is not None:
        DebatePrompt.refuse_file(prompts, kind)
    refuse_no_template(chat_template)
    if quantization is not None:
        quantization_settings(quantization)
    table, trust = read_rows(rows), Trust(allow_pickle, trust_remote_code)
    opinions = None if naive is None else LabelSet.read(naive)
    beliefs = None if opinions is None else dict(zip(opinions.ids.tolist(), opinions.p.tolist(), strict=True))
    naive_beliefs(kind, table["id"].tolist(), beliefs)
    with from_checkout():
        refuse_no_model(model, revision, trust)
        # Only what has passed so far is worth the seconds that these take.
        from extract.debating import Debate
        from extract.models.loading import Placement
        from extract.models.source import ModelSource
    plan = Debate.plan(
        ModelSource.find(model, revision=revision, trust=trust),
        table,
        protocol=protocol,
        turns=turns,
        members=members,
        shared=shared,
        names=answers or NAMES,
        question=question,
        naive=beliefs,
        seed=seed,
        temperature=temperature,
        top_p=top_p,
        max_new_tokens=max_new_tokens,
        chat_template=chat_template,
        prompts=prompts,
        dtype=dtype,
        quantization=quantization,
    )
    plan.refuse_long_rows()
    mine = [row for row in range(len(table)) if share.has(row)]
    with progress.rows(show, "turns") as report:
        if mine:
            plan.part(mine).run(kept, placement=Placement(device_map, attn, batch_tokens), progress=report)
    said = plan.finished(kept)
    if said is not None:
        refuse_empty(said, f"{out}: {model}")
        write_transcripts(said, out)
        remarks += _remarks(plan, said)
    for remark in remarks:
        terminal.say(remark)
    if said is None:
        terminal.say(f"{kept}: share {share.index}/{share.count} is done; {out} is written by the share that ends last")
    else:
        terminal.say(f"Written: {out}")
    from ..answers_on_debates import DebateAnswer

    terminal.answer_json(DebateAnswer.of(plan, said, model=model, rows=rows, out=out, cache=kept, remarks=remarks))


def _remarks(plan: "Debate", said: "list[Transcript]") -> list[str]:
    """What is said of the transcripts, a sentence each."""
    spoken = [turn for each in said for turn in each.turns]
    tokens, cut = sum(turn.tokens or 0 for turn in spoken), sum(turn.cut for turn in spoken)
    template = "as plain text" if plan.template is None else "by a chat template"
    lines = [
        f"{len(plan.rows):,} rows, {plan.protocol}, {plan.members} transcripts each of {plan.turns} turns {template}: "
        f"{tokens:,} tokens; {cut / len(spoken):.0%} of the turns ended by the limit"
    ]
    if first := [sides["A"] for sides in plan.sides if "A" in sides]:
        lines.append(f"A argues for {plan.names[1]!r} in {sum(first):,} rows, for {plan.names[0]!r} in the others")
    if empty := sum(turn.is_empty for turn in spoken):
        lines.append(f"{empty:,} turns are empty")
    return lines
