"""`w2s plan`: what an extraction or a recipe will cost, and what its test rows can show; nothing is run."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ...checkout import from_checkout
from ...checkpoints.files import CONFIG
from ...errors import InputError
from .. import terminal
from ..options import SetOption
from ..plan_costs import Rates, cost_lines, lines_of_here, position_lines, tuning_here
from ..plan_debates import debate_line
from ..plan_intervals import intervals, pilot_of_run
from ..plan_tuning import memory_lines
from ..units import amount, duration


def plan(
    target: Annotated[
        str, typer.Argument(help="Recipe as for `w2s run`, or model: folder, hub id, package:NAME/FOLDER.")
    ],
    rows: Annotated[list[str], typer.Option(help="With a model: how many, or a file; may be repeated.")] = [],  # noqa: B006
    layers: Annotated[str | None, typer.Option(help="With a model: as of `w2s extract`; else all.")] = None,
    site: Annotated[str | None, typer.Option(help="With a model: as of `w2s extract`; else residual.")] = None,
    position: Annotated[
        list[str],
        typer.Option(help="With a model: as of `w2s extract`, NAME=POSITION for several; else last."),
    ] = [],  # noqa: B006
    missing: Annotated[
        Literal["refuse", "skip"] | None, typer.Option(help="With a model: as of `w2s extract`; else refuse.")
    ] = None,
    chat_template: Annotated[
        str | None, typer.Option(help="With a model: as of `w2s extract`; texts are counted as it writes them.")
    ] = None,
    dtype: Annotated[
        Literal["auto", "float32", "float16", "bfloat16"] | None,
        typer.Option(help="With a model; else its config's."),
    ] = None,
    max_length: Annotated[int | None, typer.Option(help="With a model: tokens at which texts are cut.")] = None,
    truncation: Annotated[
        Literal["right", "left", "off"] | None, typer.Option(help="With a model: as of `w2s extract`; else right.")
    ] = None,
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
    bare |= {"missing": missing, "chat_template": chat_template, "truncation": truncation}
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
    words += [word for one in bare["position"] for word in ("--position", one)]
    for name in (
        "layers",
        "site",
        "missing",
        "dtype",
        "max_length",
        "truncation",
        "chat_template",
        "revision",
        "blocks",
    ):
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
        from analyses.device_costs import device_bytes
    from ..answers_on_runs import PlannedModel, PlannedRun

    costs = plan_recipe(recipe, **counted)
    lines: list[str] = []
    models = []
    for role, part in costs.models.items():
        lines += cost_lines(f"{role} model: {part.model}", part.costs, part.lengths, rates, at_most=part.at_most)
        cut = part.lengths.cut
        models.append(PlannedModel.of(role, part.model, part.costs, cut, rates, at_most=part.at_most))
        options = part.options | {"batch_tokens": counted["batch_tokens"]}
        lines += lines_of_here(part.source, part.lengths, options, rates)
        table = "weak" if role.startswith("weak") else "strong"
        lines += position_lines(part.source, part.costs.position, f"--set {table}.position={{}}")
    parts = f"tasks {costs.tasks} x seeds {costs.seeds} x (weak supervisor, ceiling and {costs.methods} methods)"
    lines.append(f"then {costs.fits} fits: {parts}; a probe's ceiling, the probe taught the truth, is fitted beside it")
    if there := device_bytes(recipe, max(part.costs.width for part in costs.models.values())):
        lines.append(
            f"on {recipe.device}: probes and heads of {recipe.data.n_train:,} rows, {amount(there, 'B')} at most"
        )
    if costs.gold is not None:
        lines.append(costs.gold.line)
    if costs.debate is not None:
        lines.append(debate_line(costs.debate))
    if costs.flops is not None:
        lines.append(f"fine-tuning: {amount(costs.flops, 'FLOP')}, {costs.students} students among them")
        lines += tuning_here(costs.tuned, costs.flops, rates)
    for model, memory in costs.memory:
        lines += memory_lines(model, memory)
    for asked in costs.asked:
        size = f"at most {asked.costs.rows:,} prompts, {asked.costs.tokens:,} tokens, {amount(asked.flops, 'FLOP')}"
        lines.append(f"asking {asked.source.name} for {asked.what}: {size}, {duration(asked.costs.seconds(**rates))}")
        lines += tuning_here(asked, asked.flops, rates)
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
        from extract.positions import fields_of, named_positions
    positions = named_positions(options["position"] or ["last"])
    refuse_options(options["layers"] or "all", options["chat_template"], site=options["site"])
    per_row = options["tokens_per_row"]
    for option in ("missing", "chat_template", "truncation"):
        if options[option] is not None and per_row is not None:
            said = f"--{option.replace('_', '-')} and --tokens-per-row exclude each other"
            raise InputError(f"{said}: with that no text is read")
    rows = given_rows(options["rows"], tokens_per_row=per_row, fields=fields_of(positions.values()))
    with from_checkout():
        refuse_no_model(name, options["revision"], weights=False)
        # Only what has passed so far is worth the seconds that these take.
        from extract.costs.estimate import estimate
        from extract.costs.lengths import given_lengths
        from extract.models.source import ModelSource
    source = ModelSource.describe(name, revision=options["revision"], blocks=options["blocks"])
    lengths = given_lengths(
        source,
        rows,
        tokens_per_row=per_row,
        max_length=options["max_length"],
        chat_template=options["chat_template"],
        truncation=options["truncation"] or "right",
        site=options["site"] or "residual",
        positions=list(positions.values()),
        missing=options["missing"] or "refuse",
    )
    usual = {"layers": "all", "site": "residual", "dtype": "auto", "batch_tokens": None}
    chosen: dict[str, Any] = {option: options[option] or default for option, default in usual.items()}
    chosen["position"] = positions
    costs = estimate(source, lengths.tokens, **chosen)
    lines = cost_lines(f"model: {name}", costs, lengths, rates) + lines_of_here(source, lengths, chosen, rates)
    for one in dict.fromkeys(positions.values()):
        lines += position_lines(source, one, "--position {}")
    from ..answers_on_runs import PlannedModel

    planned = PlannedModel.of("model", name, costs, lengths.cut, rates)
    return lines, {"models": [planned], "recipe": None}
