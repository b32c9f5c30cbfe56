"""`w2s robust`: which students are worth keeping, whatever the supervisor's errors look like."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...checkout import from_checkout
from ...errors import InputError
from ...places import Place
from .. import progress, terminal
from ..options import SetOption, ShowProgress

if TYPE_CHECKING:
    from analyses.robustness.robust_result import RobustResult


def robust(
    recipe: Annotated[Path, typer.Argument(help="A TOML recipe, or the name of one that comes along, such as robust.")],
    out: Annotated[Path, typer.Option(help="Folder for the results, and for all that later runs can use again.")],
    settings: SetOption = [],  # noqa: B006  # typer's way to declare a repeatable option
    cache: Annotated[
        Path | None, typer.Option(help="Where activations and trained models' scores are kept; --out unless given.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Trainings at a time on this machine; at most one a core.")] = 1,
    oracle: Annotated[
        bool,
        typer.Option("--oracle", help="Judge on the recipe's test rows, too, and allow methods that read the truth."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    show: ShowProgress = "auto",
) -> None:
    """Try a recipe's methods on labels with errors of every family, and find those that no mixture of others replaces.

    Only weak-train rows are read: `[robustness]` says which errors their labels get, at which rates; rows held out
    judge by their truth. What an earlier run with this cache has finished is not done again.

    Example: `w2s robust robust --out runs/robust`
    """
    with from_checkout():
        from analyses.recipe.read import read_recipe
    chosen = read_recipe(recipe, settings, terminal.say)
    from ..answers_on_robustness import RobustAnswer

    if dry_run:
        with from_checkout():
            from analyses.robustness.robust_dry_run import robust_stages, stage_lines
        lines = stage_lines(robust_stages(chosen, cache or out, oracle=oracle))
        for line in lines:
            terminal.answer(line)
        terminal.answer_json(RobustAnswer.planned(out, lines))
        return
    _refuse_file(out)
    with from_checkout():
        from analyses.robustness.robust_run import run_robust
    with progress.steps(show) as report:
        found = run_robust(chosen, out, report, cache=cache, oracle=oracle, place=Place(jobs=jobs))
    _show(found, out)
    terminal.answer_json(RobustAnswer.of(found, out))


def _refuse_file(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file: name a folder with --out")


def _show(found: "RobustResult", out: Path) -> None:
    """The students of each task, what is kept, replays, and where everything is."""
    import pandas as pd

    with from_checkout():
        from analyses.robustness.certainty import errors_in_words
        from analyses.robustness.replays import REPLAYS
        from analyses.robustness.robust_files import ROBUST_RECORD, ROBUST_TABLES
    settings = found.recipe.robustness
    attacks = len(found.choice.payoffs.attacks)
    seeds = len(found.recipe.seeds)
    terminal.say(
        f"{settings.metric} under {attacks} attacks, on rows held out of weak-train, mean of {seeds} seed"
        f"{'s' * (seeds != 1)}; margin over every mixture of the others [{errors_in_words(seeds)}]"
    )
    lines = []
    for choice in found.choices:
        for line in choice.student_lines(found.oracles):
            lines.append(
                {
                    "task": line["task"],
                    "student": line["student"] + "*" * line["oracle"],
                    "mean": line["mean"],
                    "worst": line["worst"],
                    "margin": f"{line['margin']:+.4f} [{line['low']:+.4f}, {line['high']:+.4f}]",
                    "kept": "yes" if line["undominated"] else "",
                    "found": "" if line["found"] is None else str(line["found"]),
                }
            )
    terminal.show(pd.DataFrame(lines), by="task")
    best, names = found.choice, found.choice.payoffs.students
    kept = ", ".join(names[k] for k in best.found.kept) or "none"
    terminal.say(f"Undominated: {kept}; found one after the other: {', '.join(names[k] for k in best.path.order)}")
    for k in best.found.kept:
        at = next(line["best_at"] for line in best.student_lines(found.oracles) if line["student"] == names[k])
        terminal.say(f"{names[k]} stands out at {at}")
    terminal.say(f"Best mean: {names[best.best_mean]}; least bad worst case: {names[best.minimax]}")
    if seeds == 1:
        terminal.say("One seed tells nothing of the luck of a training: errors are of the rows alone; give more seeds")
    terminal.say(
        f"Replays of {settings.rounds:,} rounds of {settings.audited} audited rows, mean regret of {REPLAYS} (bound):"
    )
    for schedule in dict.fromkeys(one.schedule for one in found.played):
        told = []
        for one in (one for one in found.played if one.schedule == schedule):
            line = one.line()
            bound = "" if pd.isna(line["bound"]) else f" ({line['bound']:.0f})"
            told.append(f"{line['learner']}{'*' * one.oracle} {line['regret']:.1f}{bound}")
        terminal.say(f"{schedule}: {', '.join(told)}")
    for name, why in found.left_out.items():
        terminal.say(f"left out: {name}: {why}")
    if found.oracles or any(one.oracle for one in found.played):
        terminal.say("* knows what only the truth, or hindsight, tells: an oracle, no method")
    written = [out / name for name in (*ROBUST_TABLES, ROBUST_RECORD)]
    terminal.say(f"Written: {', '.join(map(str, written))}, {out / 'labels'}/")
    terminal.next_command("w2s", "report", out)
