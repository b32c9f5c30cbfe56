"""Workers on a Dask or Ray cluster that is there already."""

import logging
import re
import socket
import sys
from concurrent.futures import CancelledError, Future
from typing import Any

from ...errors import InputError
from ..swept_labels import SweptLabels
from ..unit import Unit
from .pool import TRIES, Outcome, bare, run_there, versions

CONNECT = 10  # seconds to find a cluster
Labels = tuple[SweptLabels, ...]


class Dask:
    """The workers of a Dask scheduler, which hands out what a dead one had in hand itself."""

    at_once = sys.maxsize
    tries = 1  # the scheduler has tried oftener before it says that a unit kills workers

    def __init__(self, address: str) -> None:
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
        self._executor: Any = self._client.get_executor(pure=False)
        self._held: dict[int, tuple[Labels, Any]] = {}

    def submit(self, unit: Unit) -> "Future[Outcome]":
        """Hand a unit over; its label sets are sent with the first that has them."""
        if id(unit.labels) not in self._held:
            # As a task, not scattered: data that lay on a dead worker could not be made again. A million rows of labels
            # are large for a task, and a warning says so.
            with self._config.set({"distributed.admin.large-graph-warning-threshold": "10GB"}):
                held = self._client.submit(tuple, unit.labels, pure=False)
            self._held[id(unit.labels)] = unit.labels, held
        future: Future[Outcome] = self._executor.submit(
            run_there, bare(unit), self._held[id(unit.labels)][1], versions()
        )
        return future

    def lost(self, error: BaseException) -> bool:
        """Whether workers died; InputError where the scheduler did."""
        if isinstance(error, CancelledError):
            raise self._gone() from error
        return isinstance(error, self._killed)

    def count(self) -> int:
        """Live workers by the scheduler; InputError if it is gone."""
        try:
            return len(self._client.nthreads())
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

    def __init__(self, address: str) -> None:
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
        self._held: dict[int, tuple[Labels, Any]] = {}
        self._given: list[Any] = []

    def submit(self, unit: Unit) -> "Future[Outcome]":
        """Hand a unit over; its label sets are sent with the first that has them."""
        if id(unit.labels) not in self._held:
            self._held[id(unit.labels)] = unit.labels, self._ray.put(unit.labels)
        task = self._run.remote(bare(unit), self._held[id(unit.labels)][1], versions())
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


def _unreachable(what: str, address: str, error: BaseException) -> InputError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(f"no {what} at {address} ({reason}): start one, or correct --address")
