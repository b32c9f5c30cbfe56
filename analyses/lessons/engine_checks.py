"""The engines that a recipe's fine-tunings ask for, looked at before any training."""

from w2s_probes.places import HERE, Place
from w2s_probes.students.finetuning.engines import EngineSetup, refuse_engine

from ..recipe.schema import Recipe


def refuse_engines(recipe: Recipe, place: Place) -> None:
    """InputError where an engine lacks a package, a file or, where models are trained here, the devices it asks for."""
    tuned = [weak.finetuning for weak in recipe.weak.trained if weak.kind in ("finetune", "lm")]
    for settings in [*tuned, *([] if recipe.student.kind == "head" else [recipe.student.finetuning])]:
        refuse_engine(settings)
        if place == HERE:
            EngineSetup.of(settings)
