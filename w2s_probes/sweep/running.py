"""How a sweep's units are done: here, in several processes, or on a Ray or Dask cluster, by joblib."""

import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from ..errors import InputError
from .unit import Unit

Backend = Literal["local", "ray", "dask"]
Report = Callable[[str, int, int], None]  # what is being done, units done, units in all
ROUNDS = 3  # in which no unit gets done, before a sweep whose workers die is given up
CONNECT = 30  # seconds to find a Dask scheduler


@dataclass(frozen=True)
class Place:
    """Where a sweep runs."""

    backend: Backend = "local"
    address: str | None = None  # of an existing cluster
    jobs: int = 1  # units at a time here; on a cluster as many as it has workers
    max_memory: int | None = None  # bytes for all units at a time here, for one on a cluster

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise InputError(f"jobs={self.jobs} must be at least 1")
        if self.backend == "local" and self.address is not None:
            raise InputError(f"address {self.address}: is of a cluster; say which kind by --backend ray or dask")
        if self.backend != "local" and self.address is None:
            raise InputError(
                f"backend {self.backend} needs the --address of a running cluster (Dask: tcp://HOST:8786; Ray: auto, "
                "ray://HOST:10001)"
            )

    def affordable(self, unit_bytes: int) -> int:
        """How many units fit into memory at a time; InputError where not even one does."""
        if self.max_memory is None:
            return self.jobs
        if unit_bytes > self.max_memory:
            raise InputError(
                f"one layer takes about {unit_bytes / 1e9:.2g} GB, more than the {self.max_memory / 1e9:.2g} GB of "
                "--max-memory: raise it, or sweep fewer rows"
            )
        return min(self.jobs, self.max_memory // unit_bytes)


HERE = Place()


def silent(doing: str, done: int, total: int) -> None:
    """Report nothing."""


def run_units(units: Sequence[Unit], place: Place, width: int, report: Report) -> list[pd.DataFrame]:
    """The lines of every unit, in their order. What lies in the parts folder is read, not done again.

    A worker that dies costs the units that it had in hand: they are done again by the others.
    """
    found = {unit.key: table for unit in units if (table := unit.kept()) is not None}
    todo = [unit for unit in units if unit.key not in found]
    jobs = place.affordable(max((unit.memory(width) for unit in todo), default=1))
    report("layers", len(found), len(units))
    if place.backend == "local" and (jobs == 1 or len(todo) < 2):
        for unit in todo:
            found[unit.key] = unit.run()
            report(f"layer {unit.layer}", len(found), len(units))
        return [found[unit.key] for unit in units]
    idle = 0
    with _joblib(place, jobs) as (workers, died):
        while todo:
            begun = len(found)
            try:
                tables = _parallel(todo, workers, report, begun)
                found |= {unit.key: table for unit, table in zip(todo, tables, strict=True)}
            except died as error:
                found |= {unit.key: table for unit in todo if (table := unit.kept()) is not None}
                idle = 0 if len(found) > begun else idle + 1
                if idle == ROUNDS:
                    raise InputError(
                        f"the workers of this sweep died {ROUNDS} times without finishing a layer "
                        f"({type(error).__name__}): give them more memory, or fewer at a time (--jobs)"
                    ) from error
            todo = [unit for unit in units if unit.key not in found]
    return [found[unit.key] for unit in units]


def _parallel(units: Sequence[Unit], workers: int, report: Report, begun: int) -> list[pd.DataFrame]:
    from joblib import Parallel, delayed

    class Counting(Parallel):  # type: ignore[misc]  # joblib is not typed
        """Says how far it is: the one hook that every backend calls."""

        def print_progress(self) -> None:
            report("layers", begun + self.n_completed_tasks, begun + len(units))

    # One at a time: joblib would otherwise send short ones in batches, which a dying worker loses together.
    return list(Counting(n_jobs=workers, batch_size=1)(delayed(_run)(unit) for unit in units))


def _run(unit: Unit) -> pd.DataFrame:
    return unit.run()


@contextmanager
def _joblib(place: Place, jobs: int) -> Iterator[tuple[int, tuple[type[BaseException], ...]]]:
    """joblib set up for a place: how many workers to ask for, and what it raises when one dies."""
    from joblib import parallel_config
    from joblib.externals.loky.process_executor import BrokenProcessPool

    if place.backend == "local":
        threads = max(1, math.floor((os.cpu_count() or 1) / jobs))
        with parallel_config(backend="loky", inner_max_num_threads=threads):
            yield jobs, (BrokenProcessPool,)
    elif place.backend == "dask":
        with _dask(str(place.address)) as died:
            yield -1, died
    else:
        with _ray(str(place.address)) as died:
            yield -1, died


@contextmanager
def _dask(address: str) -> Iterator[tuple[type[BaseException], ...]]:
    try:
        from distributed import Client
        from distributed.scheduler import KilledWorker
    except ImportError as error:
        raise _missing("dask") from error
    from joblib import parallel_config

    try:
        client = Client(address, timeout=CONNECT)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TimeoutError) as error:
        raise _unreachable("Dask scheduler", address, error) from error
    with client, parallel_config(backend="dask", client=client):
        yield (KilledWorker,)


@contextmanager
def _ray(address: str) -> Iterator[tuple[type[BaseException], ...]]:
    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError as error:
        raise _missing("ray") from error
    from joblib import parallel_config

    register_ray()  # type: ignore[no-untyped-call]
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _unreachable("Ray cluster", address, error) from error
    try:
        with parallel_config(backend="ray"):
            yield (ray.exceptions.RayError,)
    finally:
        ray.shutdown()


def _missing(library: str) -> InputError:
    return InputError(f"--backend {library} needs a library that is not installed: pip install 'w2s-probes[{library}]'")


def _unreachable(what: str, address: str, error: BaseException) -> InputError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(f"no {what} at {address} ({reason}): start one, or correct --address")


def free_memory() -> int | None:
    """Bytes that the machine can still give; None where the system does not tell."""
    names: Any = os.sysconf_names if hasattr(os, "sysconf_names") else {}
    if "SC_AVPHYS_PAGES" not in names:
        return None
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
