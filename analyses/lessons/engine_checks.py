"""The engines that a recipe's fine-tunings ask for, looked at before any training."""

from w2s_probes.devices import PROCESSOR, refuse_no_device
from w2s_probes.errors import InputError
from w2s_probes.places import HERE, Place
from w2s_probes.places.local import cores
from w2s_probes.students.finetuning.accelerate_config import AccelerateConfig
from w2s_probes.students.finetuning.engines import EngineSetup, refuse_engine

from ..recipe.schema import Recipe


def refuse_engines(recipe: Recipe, place: Place) -> None:
    """InputError where an engine lacks a package, a file or, where models are trained here, the devices it asks for.

    So is the device of probes and heads: probes are fitted in this process wherever models are trained, and processes
    that are given GPUs see those alone, from 0 on.
    """
    if recipe.device != PROCESSOR and place.gpus_per_job is not None and ":" in recipe.device:
        raise InputError(
            f"device = {recipe.device!r} with --gpus-per-job: each process sees its own GPUs, the first as cuda: give "
            f"{recipe.device.partition(':')[0]!r}"
        )
    refuse_no_device(recipe.device)
    tuned = [weak.finetuning for weak in recipe.weak.trained if weak.kind in ("finetune", "lm")]
    for settings in [*tuned, *([] if recipe.student.kind == "head" else [recipe.student.finetuning])]:
        config = refuse_engine(settings)
        if place == HERE:
            EngineSetup.of(settings)
        elif config is not None and place.backend == "local":
            _refuse_crowd(config, place, f"{settings.accelerate}")


def _refuse_crowd(config: AccelerateConfig, place: Place, where: str) -> None:
    """InputError where trainings at the same time would start more processes than there are cores, or share GPUs."""
    size, jobs = config.num_processes, place.jobs
    if config.use_cpu:
        if size > 1 and jobs * size > cores():
            raise InputError(
                f"{where}: num_processes: {size}, and --jobs {jobs}: {jobs * size} processes on {cores()} cores: "
                "lower one"
            )
    elif size > (place.gpus_per_job or 1):
        raise InputError(
            f"{where}: num_processes: {size}, and --jobs {jobs}: trainings at the same time would meet on the same "
            f"GPUs: give --gpus-per-job {size}, or no --jobs"
        )
