"""The place where units of work are done: this process, several of this machine, or a Dask or Ray cluster."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import InputError
from .pool import Given, Workers, finished
from .work import UNITS, WorkKind

Backend = Literal["local", "ray", "dask"]


@dataclass(frozen=True)
class Place:
    """The place where a sweep or a run does its work: this process, several of this machine, or a cluster.

    >>> Place(jobs=4, max_memory=10**9).affordable(unit_bytes=4 * 10**8)
    2
    """

    backend: Backend = "local"
    address: str | None = None  # of an existing cluster
    jobs: int = 1  # units at a time here; a cluster does as many as it has workers
    max_memory: int | None = None  # bytes for all units at a time here, for one on a cluster
    gpus_per_job: float | None = None  # GPUs of a unit that wants some; .5: two units share one; None: as it comes

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise InputError(f"jobs={self.jobs} must be at least 1")
        gpus = self.gpus_per_job
        if gpus is not None and not (0 < gpus <= 1 or (gpus > 1 and float(gpus).is_integer())):
            raise InputError(f"gpus_per_job={gpus:g}: give a whole number, or a share of one GPU such as .5")
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
                f"jobs={self.jobs} is for this machine alone: a {self.backend} cluster does as many at a time as it "
                "has workers"
            )

    def affordable(self, unit_bytes: int, kind: WorkKind = UNITS) -> int:
        """The number of units that fit into memory at a time; InputError where not even one does."""
        if self.max_memory is None:
            return self.jobs
        if unit_bytes > self.max_memory:
            raise InputError(
                f"one {kind.one} takes about {unit_bytes / 1e9:.2g} GB, more than the {self.max_memory / 1e9:.2g} GB "
                f"that it may: raise --max-memory, or {kind.smaller}"
            )
        return min(self.jobs, self.max_memory // unit_bytes)

    def at_once(self, units: int, unit_bytes: int, kind: WorkKind = UNITS) -> int:
        """The number of units, of `units`, that run at a time here; InputError where memory has no room for one."""
        affordable = min(self.affordable(unit_bytes, kind), units)
        if self.backend != "local" or affordable < 2:
            return affordable
        from .local import cores

        return min(affordable, cores())  # more would only take turns, and each has to be started

    def workers(self, at_once: int, kind: WorkKind = UNITS) -> Workers:
        """Workers that run units; InputError where a cluster, its library, or the GPUs asked for are not there."""
        if self.backend == "local":
            from .local import Processes, ThisProcess

            return ThisProcess() if self._alone(at_once) else Processes(at_once, self.gpus_per_job)
        from .cluster import Dask, Ray

        cluster = Dask if self.backend == "dask" else Ray
        return cluster(str(self.address), kind.packages, self.gpus_per_job)

    def _alone(self, at_once: int) -> bool:
        """Whether this process itself does the units."""
        return self.backend == "local" and at_once == 1 and self.gpus_per_job is None

    def does(
        self, units: Sequence[Given], unit_bytes: int, kind: WorkKind = UNITS
    ) -> Generator[tuple[Given, Any] | None, None, None]:
        """Each unit with its result, in the order in which they end; None at each look that finds no worker.

        A worker that dies costs the units that it had in hand: they are done again by others. Close the generator to
        stop what is in hand.
        """
        at_once = self.at_once(len(units), unit_bytes, kind)
        with closing(self.workers(at_once, kind)) as workers:
            yield from _all(units, workers, unit_bytes, kind)


def _all(
    units: Sequence[Given], workers: Workers, unit_bytes: int, kind: WorkKind
) -> Iterator[tuple[Given, Any] | None]:
    with closing(finished(units, workers, unit_bytes, kind)) as results:
        yield from results


HERE = Place()
