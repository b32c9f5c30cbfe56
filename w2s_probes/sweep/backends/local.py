"""Workers on this machine: joblib's pool of processes, made anew when one of them dies."""

import os
import threading
import time
from concurrent.futures import Future
from typing import Any

from ...errors import InputError
from ..unit import Unit
from .pool import TRIES, Outcome

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
LOOK = 1.0  # seconds between a worker's looks at whether its parent is alive


class Processes:
    """A pool of `jobs` processes, each with its share of the cores."""

    tries = TRIES

    def __init__(self, jobs: int) -> None:
        from joblib.externals.loky.backend.reduction import get_loky_pickler_name, set_loky_pickler
        from joblib.externals.loky.process_executor import BrokenProcessPool

        self.at_once, self._broken = jobs, BrokenProcessPool
        self._pickler = get_loky_pickler_name()
        # By name, as the workers have the same modules: cloudpickle may have been told to send modules by value, as
        # nnsight tells it of ours before a remote extraction, and not all of ours can be sent so.
        set_loky_pickler("pickle")
        self._pool: Any = self._start()

    def submit(self, unit: Unit) -> "Future[Outcome]":
        """Hand a unit over; to a new pool where a process of this one has died."""
        future: Future[Outcome]
        try:
            future = self._pool.submit(_run, unit)
        except self._broken:
            self._pool = self._start()
            future = self._pool.submit(_run, unit)
        return future

    def lost(self, error: BaseException) -> bool:
        """Whether the pool broke: one process that dies takes it along."""
        return isinstance(error, self._broken)

    def count(self) -> int:
        """All processes: the pool starts them itself."""
        return self.at_once

    def close(self) -> None:
        """End the processes, whatever they do."""
        from joblib.externals.loky.backend.reduction import set_loky_pickler

        self._pool.shutdown(kill_workers=True)
        set_loky_pickler(self._pickler)

    def _start(self) -> Any:
        from joblib.externals.loky.process_executor import ProcessPoolExecutor

        return ProcessPoolExecutor(
            self.at_once,
            initializer=end_without,
            initargs=(os.getpid(),),
            env={name: str(threads(self.at_once, name)) for name in THREADS},
        )


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


def _run(unit: Unit) -> Outcome:
    try:
        return unit.run()
    except InputError as error:
        return error
