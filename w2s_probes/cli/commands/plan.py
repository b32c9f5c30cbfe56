"""`w2s plan`: what an extraction or a recipe will cost, and what its test rows can show; nothing is run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ...checkout import from_checkout
from ...checkpoints.files import CONFIG
from ...errors import InputError
from .. import terminal
from ..options import SetOption
from ..plan_debates import debate_line
from ..plan_intervals import fact_line, intervals, pilot_of_run
from ..units import amount, duration, roughly, spans

if TYPE_CHECKING:
    from extract.costs.estimate import Costs
    from extract.costs.lengths import Lengths
    from extract.models.source import ModelSource

Rates = dict[str, float | None]  # as `Costs.seconds` calls them


def plan(
    target: Annotated[
        str, typer.Argument(help="Recipe as for `w2s run`, or model: folder, hub id, package:NAME/FOLDER.")
    ],
    rows: Annotated[list[str], typer.Option(help="With a model: how many, or a file; may be repeated.")] = [],  # noqa: B006
    layers: Annotated[str | None, typer.Option(help="With a model: as of `w2s extract`; else all.")] = None,
    site: Annotated[str | None, typer.Option(help="With a model: as of `w2s extract`; else residual.")] = None,
    position: Annotated[str | None, typer.Option(help="With a model: as of `w2s extract`; else last.")] = None,
    dtype: Annotated[
        Literal["auto", "float32", "float16", "bfloat16"] | None,
        typer.Option(help="With a model; else its config's."),
    ] = None,
    max_length: Annotated[int | None, typer.Option(help="With a model: tokens at which texts are cut.")] = None,
    test_rows: Annotated[int | None, typer.Option(help="With a model: say what so many test rows can show.")] = None,
    revision: Annotated[str | None, typer.Option(help="Of a hub model: branch, tag or commit.")] = None,
    blocks: Annotated[str | None, typer.Option(help="Path of the list of blocks, where it cannot be found.")] = None,
    tokens_per_row: Annotated[int | None, typer.Option(help="Instead of counting those of the texts.")] = None,
    batch_tokens: Annotated[int | None, typer.Option(help="Tokens a batch, which decide the working memory.")] = None,
    flops_per_s: Annotated[float | None, typer.Option(help="Rate; else 40 % of what an A100 does.")] = None,
    tokens_per_s: Annotated[float | None, typer.Option(help="Rate as measured, instead of FLOP/s.")] = None,
    gap: Annotated[list[float], typer.Option(help="Ceiling - weak, in AUROC; else .02, .05, .1, .2.")] = [],  # noqa: B006
    weak: Annotated[float | None, typer.Option(help="AUROC of the weak supervisor; else .7.")] = None,
    correlation: Annotated[
        float | None, typer.Option(help="Of any two models' scores within a class; else .2 and .5 are shown.")
    ] = None,
    pilot: Annotated[
        Path | None, typer.Option(help="Folder of a finished run, whose scores tell correlation, supervisor and gap.")
    ] = None,
    settings: SetOption = [],  # noqa: B006
) -> None:
    """Say what a recipe or an extraction will cost, and what its test rows can show, from the model's config alone.

    No weights are read or downloaded.

    Example: `w2s plan meta-llama/Meta-Llama-3-8B --rows 10000 --tokens-per-row 200 --test-rows 2000`
    """
    rates: Rates = {"flops_per_s": flops_per_s, "tokens_per_s": tokens_per_s}
    counted = {"tokens_per_row": tokens_per_row, "batch_tokens": batch_tokens}
    bare = {"rows": rows, "layers": layers, "position": position, "dtype": dtype, "max_length": max_length}
    bare |= {"site": site, "test_rows": test_rows, "revision": revision, "blocks": blocks}
    with from_checkout():
        from analyses.recipe.read import named_recipe
    # A folder of a recipe's name is most often what `w2s run` wrote; one with a config is a model.
    recipe = target.endswith(".toml") or (named_recipe(target) is not None and not Path(target, CONFIG).is_file())
    if pilot is not None and correlation is not None:
        raise InputError("--correlation and --pilot exclude each other: a pilot measures the correlation")
    if recipe:
        excess = [name.replace("_", "-") for name, value in bare.items() if value not in (None, [])]
        if excess:
            raise InputError(f"--{excess[0]} is for a model, and a recipe says it itself: use --set table.key=value")
        lines, answer = _recipe(Path(target), settings, counted, rates)
        facts, table = intervals(
            answer["recipe"].test_rows, gap, weak, correlation, pilot_of_run(pilot) if pilot else None
        )
    else:
        if settings:
            raise InputError(
                f"--set is for a recipe, and {target} is none: give a .toml file, or the name of one that comes along"
            )
        needing = {"--gap": gap, "--weak": weak is not None, "--correlation": correlation is not None, "--pilot": pilot}
        for option, named in needing.items():
            if named and test_rows is None:
                raise InputError(f"{option} needs --test-rows: on how many rows the gap will be measured")
        facts, table = [], None
        if test_rows is not None:
            facts, table = intervals(test_rows, gap, weak, correlation, pilot_of_run(pilot) if pilot else None)
        lines, answer = _model(target, bare | counted, rates)
    for line in (*lines, *facts):
        terminal.answer(line)
    if table is not None:
        terminal.show(table, by="rows", asked=True)
    terminal.next_command(*_next(target, bare, settings, recipe=recipe))
    from ..answers_on_runs import PlanAnswer

    expected = [] if table is None else table.drop(columns="rows").to_dict(orient="records")
    terminal.answer_json(PlanAnswer(target=target, intervals=expected, remarks=[*lines, *facts], **answer))


def _next(target: str, bare: dict[str, Any], settings: list[str], *, recipe: bool) -> list[object]:
    """The words of the command that was planned."""
    if recipe:
        chosen: list[object] = [word for setting in settings for word in ("--set", setting)]
        return ["w2s", "run", target, *chosen, "--out", Path("runs", Path(target).stem)]
    files = [rows for rows in bare["rows"] if not rows.isdecimal()] or ["ROWS"]
    words: list[object] = ["w2s", "extract", target, *(word for file in files for word in ("--rows", file))]
    for name in ("layers", "site", "position", "dtype", "max_length", "revision", "blocks"):
        if bare[name] is not None:
            words += [f"--{name.replace('_', '-')}", bare[name]]
    return [*words, "--out", "acts"]


def _recipe(path: Path, settings: list[str], counted: dict[str, Any], rates: Rates) -> tuple[list[str], dict[str, Any]]:
    """The lines on a recipe's costs, and the same as parts of the answer in JSON."""
    with from_checkout():
        from analyses.recipe.read import read_recipe
    recipe = read_recipe(path, settings, terminal.say)
    with from_checkout():
        from analyses.costs import plan_recipe
    from ..answers_on_runs import PlannedModel, PlannedRun

    costs = plan_recipe(recipe, **counted)
    lines: list[str] = []
    models = []
    for role, part in costs.models.items():
        lines += _costs(f"{role} model: {part.model}", part.costs, part.lengths, rates, at_most=part.at_most)
        cut = part.lengths.cut
        models.append(PlannedModel.of(role, part.model, part.costs, cut, rates, at_most=part.at_most))
        options = part.options | {"batch_tokens": counted["batch_tokens"]}
        lines += _here(part.source, part.lengths, options, rates)
        table = "weak" if role.startswith("weak") else "strong"
        lines += _remarks(part.source, part.costs, f"--set {table}.position={{}}")
    parts = f"tasks {costs.tasks} x seeds {costs.seeds} x (weak supervisor, ceiling and {costs.methods} methods)"
    lines.append(f"then {costs.fits} fits: {parts}; a probe's ceiling, the probe taught the truth, is fitted beside it")
    if costs.gold is not None:
        lines.append(costs.gold.line)
    if costs.debate is not None:
        lines.append(debate_line(costs.debate))
    if costs.flops is not None:
        lines.append(f"fine-tuning: {amount(costs.flops, 'FLOP')}, {costs.students} students among them")
        lines += _tuning_here(costs.tuned, costs.flops, rates)
    for asked in costs.asked:
        size = f"at most {asked.costs.rows:,} prompts, {asked.costs.tokens:,} tokens, {amount(asked.flops, 'FLOP')}"
        lines.append(f"asking {asked.source.name} for {asked.what}: {size}, {duration(asked.costs.seconds(**rates))}")
        lines += _tuning_here(asked, asked.flops, rates)
    counts: dict[str, Any] = {
        name: getattr(costs, name) for name in ("tasks", "seeds", "methods", "fits", "students", "test_rows")
    }
    asking = sum(asked.flops for asked in costs.asked) if costs.asked else None
    tokens = sum(asked.costs.tokens for asked in costs.asked)
    counts |= {"gold_labels": None if costs.gold is None else costs.gold.labels}
    counts |= {"generations": None if costs.debate is None else costs.debate.generations}
    run = PlannedRun(finetuning_flops=costs.flops, asking_flops=asking, asking_tokens=tokens, **counts)
    return lines, {"models": models, "recipe": run}


def _model(name: str, options: dict[str, Any], rates: Rates) -> tuple[list[str], dict[str, Any]]:
    """The lines on one extraction's costs, and the same as parts of the answer in JSON."""
    with from_checkout():
        from extract.costs.given_rows import given_rows
        from extract.models.checkpoints import refuse_no_model
        from extract.options import refuse_options
    refuse_options(options["layers"] or "all", site=options["site"], position=options["position"])
    rows = given_rows(options["rows"], tokens_per_row=options["tokens_per_row"])
    with from_checkout():
        refuse_no_model(name, options["revision"], weights=False)
        # Only what has passed so far is worth the seconds that these take.
        from extract.costs.estimate import estimate
        from extract.costs.lengths import given_lengths
        from extract.models.source import ModelSource
    source = ModelSource.describe(name, revision=options["revision"], blocks=options["blocks"])
    lengths = given_lengths(source, rows, tokens_per_row=options["tokens_per_row"], max_length=options["max_length"])
    usual = {"layers": "all", "site": "residual", "position": "last", "dtype": "auto", "batch_tokens": None}
    chosen: dict[str, Any] = {option: options[option] or default for option, default in usual.items()}
    costs = estimate(source, lengths.tokens, **chosen)
    lines = _costs(f"model: {name}", costs, lengths, rates) + _here(source, lengths, chosen, rates)
    from ..answers_on_runs import PlannedModel

    planned = PlannedModel.of("model", name, costs, lengths.cut, rates)
    return lines + _remarks(source, costs, "--position {}"), {"models": [planned], "recipe": None}


def _costs(title: str, costs: "Costs", lengths: "Lengths", rates: Rates, *, at_most: bool = False) -> list[str]:
    visited, experts = costs.experts
    routed = ""
    if experts:
        how_many = f"a token visits {visited}" if visited else "the config names no number that a token visits: all"
        routed = f"; {how_many} of {experts} experts"
    site = "" if costs.site == "residual" else f"{costs.site}, "
    facts = {
        "parameters": f"{amount(costs.parameters)}, of them {amount(costs.block_parameters)} in {costs.depth} blocks "
        f"of width {costs.width}{routed}",
        "stored": f"layers {spans(costs.layers)}, {site}position {costs.position}, {costs.dtype}",
        "rows": f"{'at most ' if at_most else ''}{costs.rows:,}, {costs.tokens:,} tokens, the longest "
        f"{costs.longest:,}",
        "cut": _cut(lengths),
        "disk": amount(costs.store, "B"),
        "host memory": f"{amount(costs.host, 'B')} beside a GPU; without one, the device's on top",
        "device memory": f"{amount(costs.device, 'B')}: weights {amount(costs.weights, 'B')}, a batch of up to "
        f"{costs.batch_tokens:,} tokens {amount(costs.working, 'B')}",
        "forward": f"{amount(costs.flops, 'FLOP')} in {costs.blocks_run} blocks, where a token meets "
        f"{amount(costs.active_parameters)} parameters",
        "time": f"{duration(costs.seconds(**rates))} at {_rate(costs, rates)}",
    }
    return [title, *(fact_line(name, text) for name, text in facts.items())]


def _cut(lengths: "Lengths") -> str:
    """The number of texts that lose something at the limit, and the side on which they do."""
    rows = len(lengths.tokens)
    if lengths.limit is None:
        return "none: the model reads texts of any length"
    limit = f"{lengths.limit:,} tokens"
    if not lengths.cut:
        return f"none{' of a sample of them' if lengths.sampled else ''}: texts of up to {limit} are read whole"
    if lengths.assumed:
        return f"{lengths.cut:,} texts, on the right: only their first {limit} are read"
    about = "about " if lengths.sampled else ""
    return f"{about}{lengths.cut:,} of {rows:,} texts, on the right: they have more than {limit} and lose their end"


def _here(source: "ModelSource", lengths: "Lengths", options: dict[str, Any], rates: Rates) -> list[str]:
    """The lines on this machine: estimated time, unless a rate was given, memory and batches."""
    with from_checkout():
        from extract.costs.estimate import estimate
        from extract.costs.speed import Machine, measure
    machine = Machine.here()
    chosen = options | {"batch_tokens": options["batch_tokens"] or machine.batch_tokens(source.width)}
    costs = estimate(source, lengths.tokens, **chosen)
    facts = {}
    if rates == dict.fromkeys(rates):
        try:
            speed = measure(source, costs, machine)
            facts["this machine"] = (
                f"about {roughly(speed.seconds(costs))} on {machine}: an estimate, from {speed.timed} that did "
                f"{amount(speed.flops_per_s, 'FLOP/s')} just now; loading the model comes on top"
            )
        except InputError as error:
            facts["this machine"] = f"{machine}, time not estimated: {error}"
    need = machine.memory(costs)
    batches = f"in batches of up to {costs.batch_tokens:,} tokens"
    free = "" if machine.free is None else f" of {amount(machine.free, 'B')} free"
    too_much = machine.free is not None and need > machine.free
    less = need - costs.weights + costs.offloaded_weights
    offload = f": it does not fit; block by block (w2s extract --offload) {amount(less, 'B')} and the states"
    facts["memory here"] = f"{amount(need, 'B')}{free}, {batches}{offload if too_much else ''}"
    return [fact_line(name, text) for name, text in facts.items()]


def _tuning_here(part: Any, flops: float, rates: Rates) -> list[str]:
    """The line on the time of all fine-tuning or asking on this machine, unless a rate was given."""
    if rates != dict.fromkeys(rates):
        return []
    with from_checkout():
        from extract.costs.speed import Machine, measure
    try:
        machine = Machine.here()
        speed = measure(part.source, part.costs, machine)
    except InputError as error:
        return [fact_line("this machine", f"time not estimated: {error}")]
    time = roughly(flops / speed.flops_per_s)
    return [fact_line("this machine", f"about {time} on {machine}: an estimate, from {speed.timed}, forward alone")]


def _remarks(source: "ModelSource", costs: "Costs", option: str) -> list[str]:
    with from_checkout():
        from extract.models.pooling import position_remarks
    found = position_remarks(source, costs.position, option=option)
    return [fact_line("position", remark.removeprefix(f"model {source.name}: ")) for remark in found]


def _rate(costs: "Costs", rates: Rates) -> str:
    if rates["tokens_per_s"] is not None:
        return amount(rates["tokens_per_s"], "tokens/s")
    if rates["flops_per_s"] is not None:
        return amount(rates["flops_per_s"], "FLOP/s")
    with from_checkout():
        from extract.costs.estimate import UTILISATION, default_rate
    return (
        f"{amount(default_rate(costs.dtype), 'FLOP/s')}, {UTILISATION:.0%} of an A100's peak in "
        f"{costs.dtype}: for others give --flops-per-s or --tokens-per-s"
    )
