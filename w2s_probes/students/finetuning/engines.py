"""The engines of a fine-tuning: our own loop, or transformers' Trainer, in this process or in several."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ...errors import InputError
from ...losses.added import of_this_process
from .accelerate_config import AccelerateConfig, read_accelerate_config, refuse_other_sharding
from .settings import FineTuning
from .worker_processes import WorkerProcesses

# The releases that it has been run with: the Trainer, and how accelerate shards, change from one to the next.
NEEDS = {"transformers": (5, 23), "accelerate": (1, 15)}
SPLITTER = "deepspeed"
QUANTIZER = "bitsandbytes"
INSTALL = "pip install 'w2s-probes[trainer]'"


@dataclass(frozen=True)
class EngineSetup:
    """How a fine-tuning is driven: the variables that accelerate reads, and the processes that it is to start."""

    environment: Mapping[str, str]
    workers: WorkerProcesses | None = None  # None: this process trains, alone or as one of those that have been started
    zero_stage: int | None = None  # of a model that DeepSpeed splits over several processes

    @classmethod
    def of(cls, settings: FineTuning, loss: str | None = None) -> "EngineSetup":
        """The setup for these settings and a loss; InputError for what is not installed, or does not fit."""
        config = refuse_engine(settings)
        environment: dict[str, str] = {} if config is None else config.environment
        started = int(os.environ.get("WORLD_SIZE", "1"))
        if settings.engine == "trainer":
            refuse_other_sharding(os.environ | environment, config)
        if settings.quantize is not None and max(started, 1 if config is None else config.num_processes) > 1:
            raise InputError(
                f"quantize = {settings.quantize!r} is of one process: split over several, four bits were read wrongly: "
                "leave out `accelerate`, or `quantize`"
            )
        if config is None or config.num_processes == started == 1:
            return cls(environment)
        where = f"{settings.accelerate}"
        if started > 1:
            if started != config.num_processes:
                raise InputError(
                    f"{where}: num_processes: {config.num_processes}, but {started} have been started: write {started}"
                )
            return cls(environment, zero_stage=config.zero_stage)
        if config.num_machines > 1:
            raise InputError(
                f"{where}: num_machines: {config.num_machines}: give the command on each by torchrun or accelerate "
                "launch, for no command starts processes elsewhere"
            )
        if loss is not None and of_this_process([loss]):
            raise InputError(f"loss {loss!r}: this process alone knows it: put it into a plugin, which workers load")
        if config.gpu_ids != "all":
            named = len(config.gpu_ids.split(","))
            if config.num_processes > named and not config.use_cpu:
                raise InputError(f"{where}: num_processes: {config.num_processes}, but gpu_ids are {named}: lower it")
            environment["CUDA_VISIBLE_DEVICES"] = config.gpu_ids
        workers = WorkerProcesses(config.num_processes, config.use_cpu, environment)
        workers.refuse_too_many(where)
        return cls(environment, workers, config.zero_stage)


def refuse_engine(settings: FineTuning) -> AccelerateConfig | None:
    """The configuration of accelerate that is named, if any; InputError for one that is not followed.

    Without torch, before any work; also where an engine's packages are not installed, or older than it has been run
    with.
    """
    if settings.engine == "loop":
        return None
    for package, least in NEEDS.items():
        _refuse_older("engine = 'trainer'", package, least)
    if settings.quantize is not None:
        refuse_unquantized(f"quantize = {settings.quantize!r}")
    if settings.accelerate is None:
        return None
    config = read_accelerate_config(Path(settings.accelerate))
    if config.zero_stage is not None:
        needs = f"{settings.accelerate}: distributed_type: DEEPSPEED"
        _refuse_older(needs, SPLITTER, (0, 19, 8), f"pip install 'w2s-probes[{SPLITTER}]'")
    return config


def refuse_unquantized(what: str) -> None:
    """InputError, naming what needs it, where bitsandbytes is not installed."""
    _refuse_older(what, QUANTIZER, ())


def _refuse_older(what: str, package: str, least: tuple[int, ...], install: str = INSTALL) -> None:
    try:
        here = version(package)
    except PackageNotFoundError as error:
        raise InputError(f"{what} needs {package}, which is not installed: {install}") from error
    if tuple(int(part) for part in here.split(".")[: len(least)] if part.isdecimal()) < least:
        wanted = ".".join(map(str, least))
        raise InputError(f"{what} needs {package} {wanted} or newer, and here is {here}: {install}")
