"""The stage of `w2s robust`: recipe in; payoffs, the students worth keeping, and replays out."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd

from w2s_probes.devices import refuse_no_device
from w2s_probes.errors import InputError
from w2s_probes.places import HERE, Place
from w2s_probes.places.sole_writer import sole_writer
from w2s_probes.progress import Progress, silent

from ..experiment.asked_models import refuse_unasked
from ..experiment.method import Method
from ..experiment.opinions import asked_in
from ..experiment.paired_tasks import contrast_in, refuse_unknown_words, refuse_unpaired
from ..experiment.row_sets import RowSets
from ..experiment.splits import load_rows, split_loaded
from ..experiment.task_models import Sources, TaskModels, every_row
from ..lessons.clock import Clock
from ..lessons.crew import Crew
from ..lessons.engine import conduct
from ..methods import find_method
from ..position_checks import refuse_positions, refuse_sites
from ..recipe.calibration_keys import calibrated_on_gold
from ..recipe.layer_checks import refuse_layers
from ..recipe.rater_keys import reads_truth
from ..recipe.schema import Recipe
from ..results.names import AVERAGE, GATE, SHUFFLED
from ..results.run_folder import recipe_key
from .attacked_trials import AttackedStudents, AttackedTrial
from .attacks import OWN, attacks_of, divided
from .choosing import Choice, permuted_line
from .measured_payoffs import measured, payoff_means, permuted_payoffs
from .replays import played
from .robust_files import HELD_OUT_ROWS, ROBUST_RECORD, TEST_ROWS
from .robust_result import RobustResult
from .written_files import write_robust

PERMUTATIONS = 10
GATES = (GATE, AVERAGE, SHUFFLED)  # the beginnings of the names of gates and their controls
MIXED_IN = "-conflict-implicit"  # the end of the names of methods that teach rows of another task


def run_robust(
    recipe: Recipe,
    out: Path | str,
    progress: Progress = silent,
    *,
    cache: Path | None = None,
    oracle: bool = False,
    place: Place = HERE,
) -> RobustResult:
    """Try the recipe's methods on every attack of `[robustness]`, choose among them, and write what was found to `out`.

    Rows of weak-train alone are read, whose truth may be known: most are taught with an attack's labels, the others
    judge by their truth. With `oracle` the recipe's test rows are judged as well, which describes and chooses nothing,
    and methods that read the truth may take part; both are marked. Labels, activations and everything that was trained
    are kept in `cache` (`out` unless given): a run that was killed goes on, and files in `out` are written at the end.
    InputError for recipes that do not fit, and where a process runs another recipe into `out`, before anything is
    trained.
    """
    began = time.monotonic()
    refuse_no_device(recipe.device)
    methods = robust_methods(recipe, oracle=oracle)
    loaded = {task.name: split_loaded(recipe, task) for task in (load_rows(recipe, name) for name in recipe.data.tasks)}
    attacks = attacks_of(recipe.robustness)
    own = any(attack.family == OWN for attack in attacks)
    clock = Clock(progress, len(loaded) * len(recipe.seeds) * (len(attacks) * len(methods) + own))
    sources = Sources()
    for name in recipe.models:
        sources.find(name)
    refuse_layers(recipe, sources.find)
    refuse_unknown_words(recipe, methods, sources.find)
    refuse_unreadable(recipe, methods, loaded, sources, describe=oracle)
    refuse_unasked(recipe, methods, sources.find, loaded)
    with sole_writer(Path(out), Path(out) / ROBUST_RECORD, work=f"{recipe_key(recipe)}{'-oracle' * oracle}"):
        with closing(Crew(clock, place)) as crew:
            sources.extract = crew.extract
            trials = robust_trials(recipe, loaded, methods, Path(cache or out), sources, clock, describe=oracle)
            runs = conduct((trial.run() for trial in trials), crew, crew.trials_at_once)
        clock.report("payoffs, their resamples, and replays")
        result = chosen(recipe, runs, methods, oracle=oracle)
        clock.finish()
        models = {name: source.weights for name, source in sources.by_name.items()}
        write_robust(Path(out), result, models=models, seconds=round(time.monotonic() - began, 1))
    return result


def robust_methods(recipe: Recipe, *, oracle: bool) -> dict[str, Method]:
    """The students that are compared; InputError for fewer than two, and for one that reads the truth unasked."""
    if recipe.debate is not None:
        raise InputError("debate: labels under attack are made without any transcripts: leave [debate] out")
    if calibrated_on_gold(recipe):
        raise InputError("calibrate_on = 'gold' reads true labels of rows taught, and attacks have none: say 'weak'")
    methods = {name: find_method(name) for name in recipe.methods}
    refuse_unpaired(recipe, methods)
    if len(methods) < 2:
        raise InputError(f"methods: {', '.join(methods)} alone leaves nothing to choose: name two students at least")
    for name, method in methods.items():
        if method.oracle and not oracle:
            raise InputError(f"method {name!r} reads the truth, which no choice may: leave it out, or give --oracle")
        if name.startswith(GATES):
            raise InputError(
                f"method {name!r} mixes in the supervisor's scores of the rows that judge, and an attack is hard "
                "labels of the rows taught: leave it out"
            )
        if name.endswith(MIXED_IN):
            raise InputError(
                f"method {name!r} would teach no conflict here: rows of conflict.task are not among those of "
                "weak-train: leave it out"
            )
        if method.fuses:
            raise InputError(f"method {name!r} reads no weak label, which is all that an attack changes: leave it out")
        if method.gold is not None:
            raise InputError(
                f"method {name!r} reads true labels of rows taught, which attacks have none of: leave it out"
            )
        if method.trusted is not None:
            raise InputError(
                f"method {name!r} reads true labels of weak-train, which judge students here: leave it out"
            )
        if name == "bootstrap" and not recipe.intermediate:
            raise InputError("method 'bootstrap' needs models between weak and strong: add [[intermediate]]")
    if not reads_truth(recipe.weak):
        raise InputError(
            "a supervisor of label files alone has no weak-train rows, on whose truth students are tried: give another "
            "kind, with weak.n_truth rows"
        )
    return methods


def refuse_unreadable(
    recipe: Recipe,
    methods: Mapping[str, Method],
    loaded: Mapping[str, Mapping[int, RowSets]],
    sources: Sources,
    *,
    describe: bool,
) -> None:
    """InputError where the site or the position of a model is not to be read in it, or in the rows."""
    refuse_sites(recipe, methods, sources.find)
    read = {
        task: every_row([table for sets in by_seed.values() for table in (sets.weak, *([sets.test] * describe))])
        for task, by_seed in loaded.items()
    }
    refuse_positions(recipe, methods, read, sources.find)


def robust_trials(
    recipe: Recipe,
    loaded: Mapping[str, Mapping[int, RowSets]],
    methods: Mapping[str, Method],
    cache: Path,
    sources: Sources,
    clock: Clock,
    *,
    describe: bool,
) -> Iterator[AttackedTrial]:
    """A trial for each task and seed. A task's models read its weak-train rows, and test rows only to describe."""
    settings = recipe.robustness
    for task, by_seed in loaded.items():
        parts = {
            seed: divided(sets, task, seed, settings.held_out, describe=describe) for seed, sets in by_seed.items()
        }
        tables = [table for sets in parts.values() for table in (sets.weak, *sets.tests.values())]
        asked, contrast = asked_in(recipe, task), contrast_in(task, recipe.data.tasks)
        more: dict[str, Any] = {"asked": asked, "contrast": contrast, "device": recipe.device}
        models = TaskModels(task, every_row(tables), cache, sources, clock, **more)
        for seed, sets in parts.items():
            yield AttackedTrial(recipe, task, seed, sets, attacks_of(settings), methods, models)


def chosen(
    recipe: Recipe, runs: list[AttackedStudents], methods: Mapping[str, Method], *, oracle: bool
) -> RobustResult:
    """Payoffs, choices and replays of trials; students that lack a result under some attack are left out."""
    left_out: dict[str, str] = {}
    for run in runs:
        left_out |= {name: f"{run.trial.key}: {why}" for name, why in run.failed.items() if name not in left_out}
    students = [name for name in methods if name not in left_out]
    if len(students) < 2:
        name, why = next(iter(left_out.items()))
        raise InputError(f"{len(students) or 'no'} student is left to choose among: {name} cannot be used: {why}")
    oracles = frozenset(name for name in students if methods[name].oracle)
    by_task = {task: [run for run in runs if run.trial.task == task] for task in recipe.task_names}
    judges = (HELD_OUT_ROWS, TEST_ROWS) if oracle else (HELD_OUT_ROWS,)
    payoffs = [measured(recipe, of, students, rows) for rows in judges for of in by_task.values()]
    held_out = [one for one in payoffs if one.judged == HELD_OUT_ROWS]
    delta = recipe.robustness.delta
    choices = [Choice.of(one, delta) for one in payoff_means(held_out)]
    controls = [line for choice in choices for line in choice.control_lines(payoffs, oracles)]
    controls += _permuted(recipe, list(by_task.values()), students)
    best = choices[-1]
    arms = best.path.order if len(best.path.order) > 1 else range(len(students))
    named = [students[k] for k in arms]
    fixed = {"best mean": students[best.best_mean], "minimax": students[best.minimax]}
    fixed = {name: student for name, student in fixed.items() if student in named}
    replays = played(recipe.robustness, runs, named, fixed, oracles)
    return RobustResult(recipe, payoffs, choices, controls, replays, named, left_out, oracles, runs)


def _permuted(recipe: Recipe, by_task: list[list[AttackedStudents]], students: list[str]) -> list[dict[str, Any]]:
    """What is kept where the judging labels are permuted: by task, and over tasks."""
    kept: dict[str, list[tuple[int, float, float]]] = {}
    for number in range(PERMUTATIONS):
        for one in payoff_means([permuted_payoffs(recipe, of, students, number) for of in by_task]):
            found = Choice.of(one, recipe.robustness.delta).found
            best = one.value[one.value.mean(axis=1).argmax()]
            kept.setdefault(one.task, []).append((len(found.kept), float(best.mean()), float(best.min())))
    frames = {task: pd.DataFrame(rows, columns=["kept", "mean", "worst"]) for task, rows in kept.items()}
    return [
        permuted_line(task, frame["kept"].tolist(), float(frame["mean"].mean()), float(frame["worst"].mean()))
        for task, frame in frames.items()
    ]
