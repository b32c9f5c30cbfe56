"""Workers on a Dask or Ray cluster that is there already."""

import logging
import re
import socket
import sys
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from typing import Any

from ..errors import InputError
from ..plugins import loaded_plugins
from .pool import TRIES, Outcome, run_there, versions
from .work import PACKAGES, WorkUnit

CONNECT = 10  # seconds to find a cluster
GPU = "GPU"  # the resource of that name: Ray counts GPUs under it, and `dask worker --resources GPU=1` says it


class Dask:
    """The workers of a Dask scheduler, which hands out what a dead one had in hand itself."""

    at_once = sys.maxsize
    tries = 1  # the scheduler has tried oftener before it says that a unit kills workers

    def __init__(self, address: str, packages: Sequence[str] = PACKAGES, gpus_per_job: float | None = None) -> None:
        try:
            from dask import config
            from distributed import Client
            from distributed.scheduler import KilledWorker
        except ImportError as error:
            raise _missing("dask") from error
        self._address, self._killed, self._config = address, KilledWorker, config
        self._log = logging.getLogger("distributed.client")  # which prints tracebacks of what is an InputError here
        self._level = self._log.level
        _knock("Dask scheduler", address)
        try:
            client: Any = Client
            self._client = client(address, timeout=CONNECT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise _unreachable("Dask scheduler", address, error) from error
        self._log.setLevel(logging.CRITICAL)
        self._expected, self._gpus = versions(packages), gpus_per_job or 0.0
        self._executor: Any = self._client.get_executor(pure=False)
        self._gpu_executor: Any = self._executor
        if self._gpus:
            self._gpu_executor = self._client.get_executor(pure=False, resources={GPU: self._gpus})
            if self._client.nthreads() and not self.count():
                self.close()
                raise _no_gpus("Dask", address, self._gpus, f"dask worker --resources {GPU}=1")
        self._held: dict[int, tuple[tuple[Any, ...], Any]] = {}

    def submit(self, unit: WorkUnit[Any]) -> "Future[Outcome]":
        """Hand a unit over; what it shares with others is sent with the first that has it."""
        if id(unit.shared) not in self._held:
            # As a task, not scattered: data that lay on a dead worker could not be made again. A million rows of labels
            # are large for a task, and a warning says so.
            with self._config.set({"distributed.admin.large-graph-warning-threshold": "10GB"}):
                held = self._client.submit(tuple, unit.shared, pure=False)
            self._held[id(unit.shared)] = unit.shared, held
        executor = self._gpu_executor if unit.on_gpu else self._executor
        future: Future[Outcome] = executor.submit(
            run_there, unit.packed(), self._held[id(unit.shared)][1], self._expected, loaded_plugins()
        )
        return future

    def lost(self, error: BaseException) -> bool:
        """Whether workers died; InputError where the scheduler did."""
        if isinstance(error, CancelledError):
            raise self._gone() from error
        return isinstance(error, self._killed)

    def count(self) -> int:
        """Live workers, with GPUs if such are asked for, by the scheduler; InputError if it is gone."""
        try:
            if not self._gpus:
                return len(self._client.nthreads())
            workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
            return sum(worker["resources"].get(GPU, 0) >= self._gpus for worker in workers)
        except (OSError, ValueError) as error:
            raise self._gone() from error

    def close(self) -> None:
        """Take back what is in hand, and leave the cluster as it is."""
        self._executor.shutdown(wait=False)
        self._client.close()
        self._log.setLevel(self._level)

    def _gone(self) -> InputError:
        return InputError(f"the Dask scheduler at {self._address} has gone: start one, and give the same command again")


class Ray:
    """The machines of a Ray cluster: a unit for each of its CPUs at a time."""

    at_once = sys.maxsize
    tries = TRIES

    def __init__(self, address: str, packages: Sequence[str] = PACKAGES, gpus_per_job: float | None = None) -> None:
        try:
            import ray
        except ImportError as error:
            raise _missing("ray") from error
        self._ray: Any = ray
        self._joined = not ray.is_initialized()
        if self._joined:
            _knock("Ray cluster", address)
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise _unreachable("Ray cluster", address, error) from error
        self._run = ray.remote(max_retries=0)(run_there)
        self._expected, self._gpus = versions(packages), gpus_per_job or 0.0
        self._held: dict[int, tuple[tuple[Any, ...], Any]] = {}
        self._given: list[Any] = []
        if self._gpus and not any(node["Resources"].get(GPU, 0) >= self._gpus for node in ray.nodes()):
            self.close()
            raise _no_gpus("Ray", address, self._gpus, "ray start --num-gpus 1")

    def submit(self, unit: WorkUnit[Any]) -> "Future[Outcome]":
        """Hand a unit over; what it shares with others is sent with the first that has it."""
        if id(unit.shared) not in self._held:
            self._held[id(unit.shared)] = unit.shared, self._ray.put(unit.shared)
        run = self._run.options(num_gpus=self._gpus) if self._gpus and unit.on_gpu else self._run
        task = run.remote(unit.packed(), self._held[id(unit.shared)][1], self._expected, loaded_plugins())
        self._given.append(task)
        future: Future[Outcome] = task.future()
        return future

    def lost(self, error: BaseException) -> bool:
        """Whether a worker, or its machine, has died, or was killed since memory ran out."""
        errors = self._ray.exceptions
        return isinstance(error, errors.RayError) and not isinstance(error, errors.RayTaskError)

    def count(self) -> int:
        """CPUs of the cluster."""
        return int(self._ray.cluster_resources().get("CPU", 0))

    def close(self) -> None:
        """Take back what is in hand, and leave the cluster as it is."""
        for task in self._given:
            self._ray.cancel(task, force=True)
        if self._joined:
            self._ray.shutdown()


def _knock(what: str, address: str) -> None:
    """InputError if nothing listens at HOST:PORT: Ray would try for minutes. The library checks other addresses."""
    parts = re.fullmatch(r"(?:(?:tcp|tls|ray)://)?\[?([^/]+?)\]?:([0-9]{1,5})", address)
    if parts:
        try:
            socket.create_connection((parts[1], int(parts[2])), timeout=CONNECT).close()
        except (OSError, OverflowError) as error:
            raise _unreachable(what, address, error) from error


def _missing(library: str) -> InputError:
    return InputError(f"--backend {library} needs a library that is not installed: pip install 'w2s-probes[{library}]'")


def _no_gpus(what: str, address: str, gpus: float, started_by: str) -> InputError:
    return InputError(
        f"--gpus-per-job {gpus:g}: no machine of the {what} cluster at {address} offers so many GPUs: start some that "
        f"do ({started_by}), or leave it out"
    )


def _unreachable(what: str, address: str, error: BaseException) -> InputError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(f"no {what} at {address} ({reason}): start one, or correct --address")
