"""Workers on this machine: processes of joblib, each a pool of its own that is made anew when the process dies."""

import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from ..errors import InputError
from ..plugins import Plugin, load_same, loaded_plugins
from .gpus import shared_out, visible
from .pool import TRIES, Outcome
from .work import WorkUnit

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
LOOK = 1.0  # seconds between a worker's looks at whether its parent is alive


class Processes:
    """So many `jobs` processes, each with its share of the cores, and with GPUs of its own where some are asked for.

    Each is a pool of one: of joblib's pools a process that dies takes all others along.
    """

    tries = TRIES

    def __init__(self, jobs: int, gpus_per_job: float | None = None) -> None:
        from joblib.externals.loky.backend.reduction import get_loky_pickler_name, set_loky_pickler
        from joblib.externals.loky.process_executor import BrokenProcessPool

        devices = [None] * jobs if gpus_per_job is None else shared_out(jobs, gpus_per_job)
        self.at_once, self._broken = jobs, BrokenProcessPool
        self._pickler = get_loky_pickler_name()
        # By name, as the workers have the same modules: cloudpickle may have been told to send modules by value, as
        # nnsight tells it of ours before a remote extraction, and not all of ours can be sent so.
        set_loky_pickler("pickle")
        self._processes = [_Process(jobs, gpus) for gpus in devices]

    def submit(self, unit: WorkUnit[Any]) -> "Future[Outcome]":
        """Hand a unit to a process that has none; to a new one where that has died."""
        process = next(process for process in self._processes if process.free)
        try:
            return process.submit(unit)
        except self._broken:
            process.start()
            return process.submit(unit)

    def lost(self, error: BaseException) -> bool:
        """Whether a process died."""
        return isinstance(error, self._broken)

    def count(self) -> int:
        """All processes: they are started here."""
        return self.at_once

    def close(self) -> None:
        """End the processes, whatever they do."""
        from joblib.externals.loky.backend.reduction import set_loky_pickler

        for process in self._processes:
            process.end()
        set_loky_pickler(self._pickler)


class ThisProcess:
    """This very process: a unit is done when it is handed over."""

    at_once, tries = 1, 1

    def submit(self, unit: WorkUnit[Any]) -> "Future[Outcome]":
        """Do a unit."""
        future: Future[Outcome] = Future()
        future.set_result(_run(unit))
        return future

    def lost(self, error: BaseException) -> bool:
        """Nothing is: an error of a unit ends this process's work."""
        return False

    def count(self) -> int:
        """One."""
        return 1

    def close(self) -> None:
        """Nothing is left to end."""


class _Process:
    """One process, started with the first unit."""

    def __init__(self, jobs: int, gpus: str | None) -> None:
        self._environment = {name: str(threads(jobs, name)) for name in THREADS}
        if gpus is not None:
            self._environment |= visible(gpus)
        self._future: Future[Outcome] | None = None
        self._pool: Any = None

    @property
    def free(self) -> bool:
        return self._future is None or self._future.done()

    def start(self) -> None:
        from joblib.externals.loky.process_executor import ProcessPoolExecutor

        self._pool = ProcessPoolExecutor(1, initializer=end_without, initargs=(os.getpid(),), env=self._environment)

    def submit(self, unit: WorkUnit[Any]) -> "Future[Outcome]":
        if self._pool is None:
            self.start()
        future: Future[Outcome] = self._pool.submit(_run, unit, loaded_plugins())
        self._future = future
        return future

    def end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(kill_workers=True)


def cores() -> int:
    """Cores that this process may use."""
    from joblib import cpu_count

    return int(cpu_count())


def threads(jobs: int, variable: str) -> int:
    """Threads for each of `jobs` processes: their share of this process's cores, or less where `variable` says so."""
    share = max(1, cores() // jobs)
    setting = os.environ.get(variable, "")
    return min(share, int(setting)) if setting.isdecimal() and int(setting) else share


def end_without(parent: int) -> None:
    """End this process as soon as its parent is gone: one that was killed cannot end its workers.

    A thread that looks, and not Linux's PR_SET_PDEATHSIG: that fires when the thread ends that has started the worker.
    """

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK)
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()


def _run(unit: WorkUnit[Any], plugins: Sequence[Plugin] = ()) -> Outcome:
    try:
        load_same(plugins)
        return unit.run()
    except InputError as error:
        return error
