"""`w2s run` and `w2s demo`: a recipe from weak supervisor to PGR."""

from pathlib import Path
from typing import Annotated

import typer

from . import progress, terminal

SetOption = Annotated[list[str], typer.Option("--set", help="Override a key of the recipe: table.key=value.")]


def run(
    recipe: Annotated[Path, typer.Argument(help="A TOML recipe; the ones that come along are in analyses/recipes.")],
    out: Annotated[Path, typer.Option(help="Folder for results.csv, run.json and the cached activations.")],
    settings: SetOption = [],  # noqa: B006  # typer's way to declare a repeatable option
) -> None:
    """Run a recipe: weak supervisor, ceiling, activations, probes, filters, students, PGR.

    Example: `w2s run analyses/recipes/minilm_real.toml --out runs/minilm --set seeds=[1] --set data.n_train=2000`
    """
    recipes = terminal.from_checkout("analyses.recipe")
    protocol = terminal.from_checkout("analyses.protocol")
    results = terminal.from_checkout("analyses.results")
    chosen = recipes.read_recipe(recipe, settings)
    with progress.steps() as report:
        found = protocol.run(chosen, out, report)
    lines = results.summary(found).rename(columns={"pgr": "PGR"})
    if len(chosen.seeds) == 1:
        lines = lines.drop(columns="seed")
    terminal.say(f"AUROC on {chosen.data.n_test} test rows; PGR = (student - weak) / (ceiling - weak) [95 %]")
    terminal.show(lines, by="task")
    terminal.say(f"Written: {out / protocol.RESULTS}, {out / protocol.RECORD}, {out / protocol.LABELS}/")


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("runs/demo"),
    seed: Annotated[int, typer.Option(min=0, help="Of the splits and of all training.")] = 0,
) -> None:
    """The whole method on the embedded miniature: two tiny language models, four tasks; offline, under a minute.

    Example: `w2s demo --out runs/demo`
    """
    recipes = terminal.from_checkout("analyses.recipe")
    run(recipes.RECIPES / "demo.toml", out, [f"seeds=[{seed}]"])
