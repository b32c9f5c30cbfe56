"""A recipe whose every demand can be met: refused before any training where one cannot."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from extract.tasks import TaskRows
from w2s_probes.errors import InputError
from w2s_probes.places import Place
from w2s_probes.share import Share
from w2s_probes.students.finetuning.settings import Tracker
from w2s_probes.students.finetuning.tracking import refuse_absent

from .costs import reads_activations, reads_known_rows
from .debates import refuse_debates
from .experiment.asked_models import refuse_unasked
from .experiment.fusing import refuse_unfused
from .experiment.method import Method
from .experiment.paired_tasks import refuse_unknown_words, refuse_unpaired
from .experiment.row_sets import RowSets
from .experiment.splits import load_rows, split_loaded
from .experiment.task_models import Sources
from .lessons.clock import processes
from .lessons.crew import refuse_processes
from .lessons.engine_checks import refuse_engines
from .methods import find_method, find_methods
from .position_checks import refuse_positions, refuse_sites, rows_read
from .recipe.layer_checks import refuse_layers
from .recipe.schema import Recipe
from .results.names import REFERENCES
from .results.run_folder import refuse_overwritten
from .supervisors.held_out import refuse_without_truth


@dataclass(frozen=True)
class CheckedRecipe:
    """A recipe, its methods by name, its rows as loaded and as split by task and seed, and its models."""

    recipe: Recipe
    methods: Mapping[str, Method]
    loaded: list[TaskRows]
    splits: dict[str, dict[int, RowSets]]
    sources: Sources

    @classmethod
    def of(cls, recipe: Recipe, out: Path, place: Place, share: Share | None, track: Tracker | None) -> "CheckedRecipe":
        """The recipe to be run into `out`; InputError, as `protocol.run` says, for what could not end well."""
        refuse_processes(place, share, processes())
        if track is not None:
            refuse_absent(track)
        refuse_engines(recipe, place)
        methods = find_methods(recipe.methods)
        _refuse_unusable(recipe, methods)
        refuse_unpaired(recipe, methods)
        refuse_overwritten(out, recipe)
        loaded = [load_rows(recipe, name) for name in recipe.data.tasks]
        splits = {task.name: split_loaded(recipe, task) for task in loaded}
        refuse_without_truth(recipe, methods, splits)
        sources = Sources()
        for name in recipe.models:
            sources.find(name)
        refuse_layers(recipe, sources.find)
        refuse_unknown_words(recipe, methods, sources.find)
        if reads_activations(recipe, methods):
            refuse_sites(recipe, methods, sources.find)
        refuse_unfused(recipe, sources.find)
        refuse_unasked(recipe, methods, sources.find, splits)
        refuse_debates(recipe, methods, splits, sources)
        if reads_known_rows(recipe, methods):
            refuse_positions(recipe, methods, rows_read(methods, splits), sources.find)
        return cls(recipe, methods, loaded, splits, sources)

    @property
    def trials(self) -> list[tuple[str, int]]:
        """The tasks and seeds, in the order of the recipe."""
        return [(task, seed) for task, seeds in self.splits.items() for seed in seeds]

    @property
    def fits(self) -> int:
        """The number of fits: references and methods in each trial."""
        return len(self.trials) * (len(REFERENCES) + len(self.methods))


def _refuse_unusable(recipe: Recipe, methods: Mapping[str, Method]) -> None:
    """InputError for a baseline that does not exist, and for a method that the recipe lacks models for."""
    try:
        find_method(recipe.baseline)
    except InputError as error:
        raise InputError(f"baseline: {error}") from error
    for name, method in methods.items():
        if method.raters and recipe.weak.kind not in ("ensemble", "labels"):
            raise InputError(
                f"method {name!r} needs several raters, and weak.kind = {recipe.weak.kind!r} is one: give 'ensemble', "
                "or 'labels' with the `disagreement` of w2s combine"
            )
    if "bootstrap" in methods and not recipe.intermediate:
        raise InputError("method 'bootstrap' needs models between weak and strong: add [[intermediate]] to the recipe")
