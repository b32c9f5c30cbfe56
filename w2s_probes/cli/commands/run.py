"""`w2s run` and `w2s demo`: a recipe from weak supervisor to PGR."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ...checkout import from_checkout
from ...io.json_files import read_json
from ...places import Place
from ...share import Share
from .. import progress, terminal
from ..options import SetOption, ShowProgress, Tracker
from ..plan_debates import debate_line
from ..units import amount

if TYPE_CHECKING:
    import pandas as pd

    from analyses.recipe.schema import Recipe

DEMO_SEEDS = 3
FROM_BASE = "PGR from base"


def run(
    recipe: Annotated[Path, typer.Argument(help="A TOML recipe, or the name of one that comes along, such as demo.")],
    out: Annotated[Path, typer.Option(help="Folder for the results, and for all that later runs can use again.")],
    settings: SetOption = [],  # noqa: B006  # typer's way to declare a repeatable option
    cache: Annotated[
        Path | None, typer.Option(help="Where activations and trained models' scores are kept; --out unless given.")
    ] = None,
    track: Annotated[
        Tracker | None, typer.Option(help="Draw the course of every fine-tuning; TensorBoard's in OUT/curves.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Trainings at a time on this machine; at most one a core.")] = 1,
    backend: Annotated[Literal["local", "ray", "dask"], typer.Option(help="Where models are trained.")] = "local",
    address: Annotated[str | None, typer.Option(help="Of a running Ray or Dask cluster.")] = None,
    gpus_per_job: Annotated[
        float | None, typer.Option(help="GPUs of each fine-tuning and extraction; .5: two of them share one.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option(help="i/n: one of n processes that share --cache, i from 0; auto: as Slurm says.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    show: ShowProgress = "auto",
) -> None:
    """Run a recipe: weak supervisor, ceiling, activations, probes, filters, students, PGR.

    What an earlier run with this cache has finished is not done again, so a run that was killed goes on. A recipe
    with a ladder of models is run for every pair of them. Processes with one cache share the trainings.

    Example: `w2s run minilm_real --out runs/minilm --set seeds=[1] --set data.n_train=2000`
    """
    with from_checkout():
        from analyses.recipe.read import read_recipes
    place = Place(backend, address, jobs, gpus_per_job=gpus_per_job)
    share = None if shard is None else Share.parse(shard)
    chosen = read_recipes(recipe, settings, terminal.say)
    cache = cache or out
    if dry_run:
        for name, one in chosen.items():
            _plan(name, one, cache)
        return
    with from_checkout():
        # Only what has passed so far is worth the seconds that these take.
        from analyses.lessons.clock import first_process
        from analyses.protocol import run as run_recipe
        from analyses.results.names import RESULTS
    tables = []
    for name, one in chosen.items():
        with progress.steps(show) as report:
            found = run_recipe(one, out / name, report, cache=cache, track=track, place=place, share=share)
        if first_process():
            if name:
                terminal.say(name)
            _show(one, found, out / name)
        tables.append(found.assign(pair=name))
    if len(chosen) > 1:
        import pandas as pd

        from ...io.tables import write_table

        write_table(pd.concat(tables, ignore_index=True), out / RESULTS)
        terminal.say(f"Written: {out / RESULTS}, all pairs in one")
    if first_process():
        terminal.next_command("w2s", "report", out)


def demo(
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results; runs/demo unless given, or runs/demo-lora, -full.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The first of three, of the splits and of all training.")] = 0,
    students: Annotated[
        Literal["head", "lora", "full"], typer.Option(help="Heads on activations, or fine-tuned models on two tasks.")
    ] = "head",
    show: ShowProgress = "auto",
) -> None:
    """The whole method on the embedded miniature: two tiny models, four tasks, three seeds; offline, some minutes.

    Example: `w2s demo --out runs/demo`
    """
    out = out or Path("runs", "demo" if students == "head" else f"demo-{students}")
    seeds = f"seeds={[seed + number for number in range(DEMO_SEEDS)]}"
    if students == "head":
        run(Path("demo"), out, [seeds], show=show)
        return
    settings = [seeds, f"student.kind={students}"]
    if students == "lora":  # adapters start from nothing and want larger steps
        settings.append("student.finetuning.learning_rate=3e-3")
    run(Path("demo_finetuned"), out, settings, show=show)


def _show(recipe: "Recipe", results: "pd.DataFrame", out: Path) -> None:
    """The table of PGR, the tests across tasks, and where everything is."""
    with from_checkout():
        from analyses.methods import find_method
        from analyses.results import names
        from analyses.results.gold_tables import BUDGET, CHOICES
        from analyses.results.idle_filters import idle_filters
        from analyses.results.summary import summary
        from analyses.results.unreadable_pgr import remedies, unreadable_pgr
    lines = summary(results).rename(columns={"pgr": "PGR", "pgr_base": FROM_BASE})
    seeds = f", mean of {len(recipe.seeds)} seeds" if len(recipe.seeds) > 1 else ", one seed"
    if set(lines["metric"]) == {"auroc"}:
        lines, metric = lines.drop(columns="metric"), "AUROC"
    else:
        metric = "AUROC (accuracy where the supervisor gives hard labels)"
    terminal.say(f"{metric} on {recipe.data.n_test} test rows{seeds}; PGR = (student - weak) / (ceiling - weak) [95 %]")
    terminal.show(lines, by="task")
    shaky = unreadable_pgr(results)
    for line in (*(one.line for one in shaky), *remedies(shaky)):
        terminal.say(line)
    if len(recipe.seeds) == 1:
        terminal.say(
            "rows only: one seed tells nothing of the luck of a training, so no method can be judged here; give "
            "seeds=[0,1,2] or more"
        )
    for line in _splits(out / names.RECORD):
        terminal.say(line)
    if FROM_BASE in lines:
        terminal.say(f"{FROM_BASE}: counted from the same members without transcripts, control-debate-none")
    for line in _debates(out / names.RECORD):
        terminal.say(line)
    for line in idle_filters(record := read_json(out / names.RECORD)):
        terminal.say(line)
    for one in record["failed"]:
        terminal.say(f"left out: {one['method']} on {one['task']}, seed {one['seed']}: {one['reason']}")
    if lines["method"].str.endswith("*").any():
        terminal.say("* chose by ground truth: an oracle, no method")
    gold = results["method"].isin([name for name in recipe.methods if find_method(name).gold is not None])
    gold &= results["trusted"] > 0
    if gold.any():
        terminal.say("+ read true labels of gold rows of strong-train, as many as `trusted` in results.csv says")
    read = results[~gold & (results["trusted"] > 0)].groupby("method", sort=False)["trusted"].max()
    if len(read):
        told = ", ".join(f"{name} {count}" for name, count in read.items())
        terminal.say(f"+ read true labels of weak-train, which other methods do not: {told}")
    if len(recipe.data.tasks) > 1:
        _show_tests(out / names.COMPARISONS, recipe)
    written = [out / one for one in (names.RESULTS, names.COMPARISONS, names.RECORD, names.RECIPE)]
    written += [out / one for one in (BUDGET, CHOICES) if one in read_json(out / names.RECORD)["files"]]
    places = [out / one for one in (names.LABELS, names.PREDICTIONS, names.FILTERS, names.DEBATES)]
    folders = [f"{place}/" for place in places if place.is_dir()]
    terminal.say(f"Written: {', '.join(map(str, [*written, *folders]))}")


def _splits(record: Path) -> list[str]:
    """The row sets of each task with their shares of label 1, the least and the most over its seeds."""
    with from_checkout():
        from analyses.results.names import parse_trial_key
    runs: dict[str, list[dict[str, Any]]] = {}
    for key, made in read_json(record)["runs"].items():
        runs.setdefault(parse_trial_key(key)[0], []).append(made["splits"])
    lines = []
    for task, splits in runs.items():
        parts = []
        for name in splits[0]:
            shares = sorted(f"{one[name]['positive']:.0%}" for one in splits)
            spread = shares[0] if shares[0] == shares[-1] else f"{shares[0]} to {shares[-1]}"
            parts.append(f"{name} {splits[0][name]['rows']:,} ({spread})")
        lines.append(f"{task}: rows (of label 1) {', '.join(parts)}")
    return lines


def _debates(record: Path) -> list[str]:
    """What was argued on each task, of its first seed, and what labels were called where the task does not say."""
    with from_checkout():
        from analyses.results.names import parse_trial_key
    found: dict[str, dict[str, Any]] = {}
    for key, made in read_json(record)["runs"].items():
        if "debate" in made:
            found.setdefault(parse_trial_key(key)[0], made["debate"])
    lines = []
    for task, one in found.items():
        tokens = f", {one['tokens']:,} tokens" if "tokens" in one else ""
        sides = (
            f"; A argues for the true label of {one['a_for_truth']:.1%} (an oracle's count)" if "a_rows" in one else ""
        )
        lines.append(f"{task}: {one['protocol']}, {one['turns']:,} turns about {one['rows']:,} rows{tokens}{sides}")
        if not one["named_by_task"]:
            lines.append(
                f"{task}: labels 0 and 1 were called {' and '.join(one['names'])}: set label_names in the task's file"
            )
    return lines


def _show_tests(path: Path, recipe: "Recipe") -> None:
    import pandas as pd

    with from_checkout():
        from analyses.results import names
        from analyses.results.summary import format_interval

    table = pd.read_csv(path, keep_default_na=False, na_values=[""])  # a task may be called NA
    table = table[(table["metric"] == "auroc") & ~table["oracle"] & (table["test_set"] == "test")]
    beside = table["against"].notna() & (table["against"] != recipe.baseline)
    controlled, table = table[beside], table[~beside]
    n, pgr = len(recipe.data.tasks), format_interval
    terminal.say(
        f"Over {n} tasks, AUROC: PGR pooled [95 % over tasks]; mean difference to {recipe.baseline}, tasks on which "
        "it is above 0, two-sided p of sign flips"
    )
    shown = pd.DataFrame(
        {
            "method": table["method"],
            "PGR": [
                pgr(value, low, high)
                for value, low, high in zip(table["pooled_pgr"], table["pooled_low"], table["pooled_high"], strict=True)
            ],
            "difference": ["" if pd.isna(x) else f"{x:+.3f}" for x in table["difference"]],
            "above": [
                "" if pd.isna(x) else f"{x:.0f} of {tasks:.0f}"
                for x, tasks in zip(table["better"], table["tasks"], strict=True)
            ],
            "p": ["" if pd.isna(p) else f"{p:.3f}" for p in table["p"]],
            "p (Holm)": ["" if pd.isna(p) else f"{p:.3f}" for p in table["p_holm"]],
            "tasks": "all tasks",
        }
    )
    terminal.show(shown, by="tasks")
    for one in controlled.to_dict(orient="records"):
        own = one["against"].startswith((names.RANDOM, names.RANDOM_STAGES))
        control = "its own control" if own else one["against"]
        terminal.say(
            f"{one['method']} against {control}: {one['difference']:+.3f} [{one['low']:+.3f}, "
            f"{one['high']:+.3f}], above on {one['better']:.0f} of {one['tasks']:.0f}, p {one['p']:.3f}"
        )
    least = 2 * 0.5**n
    if least >= 0.05:
        terminal.say(f"{n} tasks cannot tell any two methods apart: the smallest p that signs can give is {least:.3g}")


def _plan(name: str, recipe: "Recipe", cache: Path) -> None:
    """The stages of a run, and which of them are there already."""
    with from_checkout():
        from analyses.costs import plan_recipe
        from analyses.dry_run import stages
        from analyses.jobs import jobs_left
        from analyses.results.names import trial_key
    if name:
        terminal.answer(name)
    plan = plan_recipe(recipe, fetch=True)
    found = stages(recipe, cache)
    for task in dict.fromkeys(stage.task for stage in found):
        for seed in dict.fromkeys(stage.seed for stage in found if stage.task == task):
            here = [stage for stage in found if (stage.task, stage.seed) == (task, seed)]
            there, to_do = ([s.name for s in here if s.kept is kept and not s.left_out] for kept in (True, False))
            place = task if seed is None else trial_key(task, seed)
            terminal.answer(f"{place}: to do {', '.join(to_do) or 'nothing'}; kept {', '.join(there) or 'nothing'}")
            for stage in here:
                if stage.left_out:
                    terminal.answer(f"{place}: left out {stage.name}: {stage.left_out}")
    for role, part in plan.models.items():
        at_most = "at most " if part.at_most else ""
        terminal.answer(
            f"{role} model: {at_most}{part.costs.rows:,} rows to extract, {amount(part.costs.flops, 'FLOP')}, "
            f"{amount(part.costs.store, 'B')} of disk, if none were there"
        )
    if plan.flops is not None:
        terminal.answer(f"fine-tuning: {amount(plan.flops, 'FLOP')} for {plan.students} students and what they need")
    if plan.debate is not None:
        terminal.answer(debate_line(plan.debate))
    for line in jobs_left(recipe, found).lines:
        terminal.answer(line)
    left = [stage for stage in found if not stage.kept]
    terminal.answer(f"{len(left)} of {len(found)} stages to do")
