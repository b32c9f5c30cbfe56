"""`w2s plan`: what an extraction or a recipe will cost, and what its test rows can show; nothing is run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import InputError
from . import terminal
from .amounts import amount, duration, spans
from .options import SetOption

if TYPE_CHECKING:
    from ..power import ExpectedPGR, Pilot

Rates = dict[str, float | None]  # as `Costs.seconds` calls them


def plan(
    target: Annotated[str, typer.Argument(help="RECIPE.toml, or a model: folder, hub id or package:NAME/FOLDER.")],
    rows: Annotated[list[str], typer.Option(help="With a model: how many, or a file; may be repeated.")] = [],  # noqa: B006
    layers: Annotated[str | None, typer.Option(help="With a model: as of `w2s extract`; else all.")] = None,
    position: Annotated[
        Literal["last", "first", "mean", "all"] | None, typer.Option(help="With a model; else last.")
    ] = None,
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
    import pandas as pd

    from ..power import CORRELATIONS, GAPS, PGR, WEAK, expected_pgr

    rates: Rates = {"flops_per_s": flops_per_s, "tokens_per_s": tokens_per_s}
    counted = {"tokens_per_row": tokens_per_row, "batch_tokens": batch_tokens}
    bare = {"rows": rows, "layers": layers, "position": position, "dtype": dtype, "max_length": max_length}
    bare |= {"test_rows": test_rows, "revision": revision, "blocks": blocks}
    if target.endswith(".toml"):
        given = [name.replace("_", "-") for name, value in bare.items() if value not in (None, [])]
        if given:
            raise InputError(f"--{given[0]} is for a model, and a recipe says it itself: use --set table.key=value")
        lines, test_rows = _recipe(Path(target), settings, counted, rates)
    else:
        if settings:
            raise InputError(f"--set is for a recipe, and {target} does not end in .toml")
        needing = {"--gap": gap, "--weak": weak is not None, "--correlation": correlation is not None, "--pilot": pilot}
        for option, named in needing.items():
            if named and test_rows is None:
                raise InputError(f"{option} needs --test-rows: on how many rows the gap will be measured")
        lines = _model(target, bare | counted, rates)
    if pilot is not None and correlation is not None:
        raise InputError("--correlation and --pilot exclude each other: a pilot measures the correlation")
    measured = None if pilot is None else _pilot(pilot)
    assumed: list[float | tuple[float, float, float]] = list(CORRELATIONS) if correlation is None else [correlation]
    gaps = list(gap or GAPS)
    weak_auroc = WEAK if weak is None else weak
    if measured is not None:
        assumed = [measured.correlations]
        weak_auroc = measured.weak if weak is None else weak
        gaps = gap or [*([measured.gap] if measured.gap > 0 else []), *(g for g in GAPS if weak_auroc + g < 1)]
    expected = []
    if test_rows is not None:
        expected = [[expected_pgr(one, test_rows, weak=weak_auroc, correlation=rho) for rho in assumed] for one in gaps]
    for line in lines:
        terminal.answer(line)
    if expected:
        rho = " or ".join(f"{one:g}" for one in assumed if not isinstance(one, tuple))
        source = f"correlate by {rho} within a class (ρ; --pilot DIR measures it from a finished run)"
        if measured is not None:
            three = ", ".join(f"{one:.2f}" for one in measured.correlations)
            pairs = f"weak and {measured.student}, weak and ceiling, {measured.student} and ceiling"
            source = f"correlate within a class as in the pilot's {measured.runs} tasks and seeds ({three}: {pairs})"
        terminal.answer(
            f"What {test_rows:,} test rows can show in AUROC (rows only: another training seed moves PGR, too), if PGR "
            f"is {PGR}, half of the rows are positive, and the models' scores {source}:"
        )
        terminal.show(pd.DataFrame([_row(one, assumed) for one in expected]), by="rows", asked=True)


def _pilot(folder: Path) -> "Pilot":
    """The scores that a finished run wrote; InputError where there are none, or they are damaged."""
    import json

    from ..power import pilot_of
    from ..tables import read_table

    files = sorted((folder / "predictions").glob("*.csv"))
    if not files:
        raise InputError(f"{folder}: no predictions/TASK-SEED.csv in it: give the folder that `w2s run` wrote (--out)")
    tables = [read_table(file) for file in files]
    try:
        student = str(json.loads((folder / "run.json").read_text(encoding="utf-8"))["recipe"]["baseline"])
    except (OSError, ValueError, KeyError, TypeError):  # unfinished or another's: the first student serves
        student = next((str(name) for name in tables[0] if str(name).startswith("student-")), "student-xent")
    try:
        return pilot_of(tables, student)
    except (InputError, ValueError) as error:
        raise InputError(
            f"{folder}: {error}: run the pilot's recipe again, with {student} among its methods"
        ) from error


def _recipe(path: Path, settings: list[str], counted: dict[str, Any], rates: Rates) -> tuple[list[str], int]:
    """What to say of a recipe's costs, and how many test rows it has."""
    recipe = terminal.from_checkout("analyses.reading").read_recipe(path, settings)
    found = terminal.from_checkout("analyses.plan").plan_recipe(recipe, **counted)
    lines: list[str] = []
    for role, part in found.models.items():
        lines += _costs(f"{role} model: {part.model}", part.costs, rates, at_most=part.at_most)
    parts = f"tasks {found.tasks} x seeds {found.seeds} x (weak supervisor, ceiling and {found.methods} methods)"
    lines.append(f"then {found.fits} fits: {parts}")
    if found.flops is not None:
        lines.append(f"fine-tuning: {amount(found.flops, 'FLOP')}, {found.students} students among them")
    return lines, found.test_rows


def _model(name: str, options: dict[str, Any], rates: Rates) -> list[str]:
    """What to say of one extraction's costs."""
    source = terminal.from_checkout("extract.models").ModelSource.describe(
        name, revision=options["revision"], blocks=options["blocks"]
    )
    lengths = terminal.from_checkout("extract.lengths").given_lengths(
        source, options["rows"], tokens_per_row=options["tokens_per_row"], max_length=options["max_length"]
    )
    costs = terminal.from_checkout("extract.estimate").estimate(
        source,
        lengths,
        layers=options["layers"] or "all",
        position=options["position"] or "last",
        dtype=options["dtype"] or "auto",
        batch_tokens=options["batch_tokens"],
    )
    return _costs(f"model: {name}", costs, rates)


def _costs(title: str, costs: Any, rates: Rates, *, at_most: bool = False) -> list[str]:
    visited, experts = costs.experts
    routed = ""
    if experts:
        how_many = f"a token visits {visited}" if visited else "the config names no number that a token visits: all"
        routed = f"; {how_many} of {experts} experts"
    said = {
        "parameters": f"{amount(costs.parameters)}, of them {amount(costs.block_parameters)} in {costs.depth} blocks "
        f"of width {costs.width}{routed}",
        "stored": f"layers {spans(costs.layers)}, position {costs.position}, {costs.dtype}",
        "rows": f"{'at most ' if at_most else ''}{costs.rows:,}, {costs.tokens:,} tokens, the longest "
        f"{costs.longest:,}",
        "disk": amount(costs.store, "B"),
        "host memory": f"{amount(costs.host, 'B')} beside a GPU; without one, the device's on top",
        "device memory": f"{amount(costs.device, 'B')}: weights {amount(costs.weights, 'B')}, a batch of up to "
        f"{costs.batch_tokens:,} tokens {amount(costs.working, 'B')}",
        "forward": f"{amount(costs.flops, 'FLOP')} in {costs.blocks_run} blocks, where a token meets "
        f"{amount(costs.active_parameters)} parameters",
        "time": f"{duration(costs.seconds(**rates))} at {_rate(costs, rates)}",
    }
    return [title, *(f"  {name:<15}{text}" for name, text in said.items())]


def _rate(costs: Any, rates: Rates) -> str:
    if rates["tokens_per_s"] is not None:
        return amount(rates["tokens_per_s"], "tokens/s")
    if rates["flops_per_s"] is not None:
        return amount(rates["flops_per_s"], "FLOP/s")
    estimates = terminal.from_checkout("extract.estimate")
    return (
        f"{amount(estimates.default_rate(costs.dtype), 'FLOP/s')}, {estimates.UTILISATION:.0%} of an A100's peak in "
        f"{costs.dtype}: for others give --flops-per-s or --tokens-per-s"
    )


def _row(found: "list[ExpectedPGR]", assumed: list[Any]) -> dict[str, Any]:
    """A gap's line, with interval and status at each correlation."""
    first = found[0]
    row: dict[str, Any] = {"rows": f"{first.rows} test rows"}
    row |= {"weak": first.weak, "ceiling": first.weak + first.gap, "gap": first.gap}
    for one, rho in zip(found, assumed, strict=True):
        mark = "" if isinstance(rho, tuple) else f", ρ = {rho:g}"
        row[f"PGR{mark}"] = f"[{one.low:.2f}, {one.high:.2f}] {one.status} in {one.shares[one.status]:.0%}"
    return row
