"""Processes forked from one in which the libraries are loaded already: none takes the seconds of importing torch.

As in `forked.py`, of this project nothing is loaded before the fork. Elsewhere, as in `test_places.py`, workers are
started as users' are.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.forked import LIBRARIES
from w2s_probes.places import local


def start(work: Callable[..., Any], *arguments: Any, said: Path) -> BaseProcess:
    """A process that does this work, and writes into a file what it says."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*LIBRARIES, "distributed"])  # by one server, which starts with the first process
    process = context.Process(target=_work, args=(said, work, arguments))
    process.start()
    return process


def _work(said: Path, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    with said.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    work(*arguments)


def _stay(parent: int) -> None:
    """The parent of such a worker is the server, which ends with the tests."""


@contextmanager
def forked_workers() -> Iterator[None]:
    """Let the workers of joblib and of Dask start so; their environment is that of the server."""
    import distributed.utils
    from dask import config
    from joblib.externals.loky.backend import context

    multiprocessing.get_context("forkserver").set_forkserver_preload([*LIBRARIES, "distributed"])
    with pytest.MonkeyPatch.context() as patch, config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        patch.setattr(distributed.utils, "_forkserver_preload_set", True)
        patch.setattr(context, "_DEFAULT_START_METHOD", "forkserver")
        patch.setattr(local, "end_without", _stay)
        yield
