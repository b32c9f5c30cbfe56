"""Running a sweep's units: here, in several processes, or on a Ray or Dask cluster."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from ..errors import InputError
from ..io.files import remove_abandoned
from ..progress import Progress
from .backends.pool import Workers, finished
from .unit import Unit

Backend = Literal["local", "ray", "dask"]
Done = tuple[Unit, pd.DataFrame] | None


@dataclass(frozen=True)
class Place:
    """The place where a sweep runs: this process, several of this machine, or a cluster.

    >>> Place(jobs=4, max_memory=10**9).affordable(unit_bytes=4 * 10**8)
    2
    """

    backend: Backend = "local"
    address: str | None = None  # of an existing cluster
    jobs: int = 1  # units at a time here; a cluster does as many as it has workers
    max_memory: int | None = None  # bytes for all units at a time here, for one on a cluster

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise InputError(f"jobs={self.jobs} must be at least 1")
        if self.backend == "local":
            if self.address is not None:
                raise InputError(f"address {self.address}: is of a cluster; say which kind by --backend ray or dask")
            return
        if self.address is None:
            raise InputError(
                f"backend {self.backend} needs the --address of a running cluster (Dask: tcp://HOST:8786; Ray: auto, "
                "or HOST:6379)"
            )
        if self.jobs > 1:
            raise InputError(
                f"jobs={self.jobs} is for this machine alone: a {self.backend} cluster does as many layers at a time "
                "as it has workers"
            )

    def affordable(self, unit_bytes: int) -> int:
        """The number of units that fit into memory at a time; InputError where not even one does."""
        if self.max_memory is None:
            return self.jobs
        if unit_bytes > self.max_memory:
            raise InputError(
                f"one layer takes about {unit_bytes / 1e9:.2g} GB, more than the {self.max_memory / 1e9:.2g} GB that "
                "it may: raise --max-memory, or sweep fewer rows"
            )
        return min(self.jobs, self.max_memory // unit_bytes)

    def at_once(self, units: int, unit_bytes: int) -> int:
        """The number of units, of `units`, that run at a time here; InputError where memory has no room for one."""
        affordable = min(self.affordable(unit_bytes), units)
        if self.backend != "local" or affordable < 2:
            return affordable
        from .backends.local import cores

        return min(affordable, cores())  # more would only take turns, and each has to be started

    def workers(self, at_once: int) -> Workers:
        """Workers that run units; InputError where a cluster, or its library, is not there."""
        if self.backend == "local":
            from .backends.local import Processes

            return Processes(at_once)
        from .backends.cluster import Dask, Ray

        return (Dask if self.backend == "dask" else Ray)(str(self.address))


HERE = Place()


def run_units(units: Sequence[Unit], place: Place, width: int, progress: Progress) -> list[pd.DataFrame]:
    """The lines of every unit, in their order. What lies in the parts folder is read, not done again.

    A worker that dies costs the units that it had in hand: they are done again by the others.
    """
    for folder in {unit.parts for unit in units if unit.parts is not None}:
        remove_abandoned(folder)
    tables = {unit.key: table for unit in units if (table := unit.kept()) is not None}
    todo = [unit for unit in units if unit.key not in tables]
    unit_bytes = max((unit.memory(width) for unit in todo), default=1)
    at_once = place.at_once(len(todo), unit_bytes)
    progress("layers", len(tables), len(units))
    if todo:
        alone = place.backend == "local" and at_once == 1
        with closing(_here(todo) if alone else _elsewhere(todo, place, at_once, unit_bytes)) as results:
            for done in results:
                if done is not None:
                    tables[done[0].key] = done[1]
                progress("layers" if done is not None else "layers (no worker yet)", len(tables), len(units))
    return [tables[unit.key] for unit in units]


def _here(units: Sequence[Unit]) -> Generator[Done, None, None]:
    for unit in units:
        yield unit, unit.run()


def _elsewhere(units: Sequence[Unit], place: Place, at_once: int, unit_bytes: int) -> Generator[Done, None, None]:
    with closing(place.workers(at_once)) as workers:
        yield from finished(units, workers, unit_bytes)
