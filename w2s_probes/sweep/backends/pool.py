"""Units handed to workers that may die: what is lost is handed out again, and nothing else is.

Every kind of worker gives concurrent.futures' futures, so that there is one loop for all of them. joblib's own does not
do: over Dask it waits for ever for a unit that has killed its workers, and over Ray, where one worker's death ends
the pool, it throws away what all others have in hand.
"""

import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import replace
from importlib.metadata import version
from socket import gethostname
from typing import Any, Protocol

import pandas as pd

from ...errors import InputError
from ..swept_labels import SweptLabels
from ..unit import Unit

TRIES = 4  # workers that may die over one unit, as many as Dask allows
LOOK = 5.0  # seconds between looks at whether there are workers
ALONE = 600.0  # seconds without any, after which a sweep ends: a batch system may take long to start some
PACKAGES = ("w2s-probes", "numpy", "scipy", "scikit-learn", "faiss-cpu")  # which decide a sweep's numbers
Outcome = pd.DataFrame | InputError  # returned, not raised: each library wraps what is raised in its own manner


class Workers(Protocol):
    """A kind of workers that run units."""

    at_once: int  # units handed over at a time
    tries: int  # times that a unit is handed over, if workers die

    def submit(self, unit: Unit) -> "Future[Outcome]":
        """Start a unit on a worker."""
        ...

    def lost(self, error: BaseException) -> bool:
        """Whether an error says that a worker has died, not that a unit cannot be done."""
        ...

    def count(self) -> int:
        """Live workers; InputError if the scheduler is gone."""
        ...

    def close(self) -> None:
        """Stop the units in hand, and disconnect."""
        ...


def finished(units: Sequence[Unit], workers: Workers, unit_bytes: int) -> Iterator[tuple[Unit, pd.DataFrame] | None]:
    """Each unit with its lines, in the order in which they end; None at each look that finds no worker.

    Raises InputError where a unit cannot be done, where workers die over it again and again, and where for ten
    minutes there are none.
    """
    todo, in_hand, deaths = deque(units), dict[Future[Outcome], Unit](), Counter[str]()
    seen = looked = time.monotonic()
    while todo or in_hand:
        while todo and len(in_hand) < workers.at_once:
            unit = todo.popleft()
            in_hand[workers.submit(unit)] = unit
        done, _ = wait(in_hand, LOOK, FIRST_COMPLETED)
        for future in done:
            unit = in_hand.pop(future)
            error = CancelledError() if future.cancelled() else future.exception()
            if error is None:
                yield unit, _lines(future.result())
                continue
            _refuse_without_library(error)
            if not workers.lost(error):
                raise error
            deaths[unit.key] += 1
            if deaths[unit.key] == workers.tries:
                raise _deadly(unit, unit_bytes, error) from error
            todo.appendleft(unit)
        if done or (now := time.monotonic()) - looked < LOOK:
            seen = time.monotonic() if done else seen
            continue
        looked = now
        if workers.count():
            seen = now
        elif now - seen > ALONE:
            raise InputError(f"the cluster has had no worker for {now - seen:.0f} seconds: start some, and sweep again")
        else:
            yield None


def run_there(unit: Unit, labels: tuple[SweptLabels, ...], expected: Mapping[str, str]) -> Outcome:
    """Run a unit, whose label sets are sent separately, on a worker that has the expected versions."""
    where = gethostname()
    try:
        refuse_others(expected, where)
        return replace(unit, labels=labels).run()
    except InputError as error:
        return InputError(str(error) if where in str(error) else f"on {where}: {error}")


def bare(unit: Unit) -> Unit:
    """The unit as it is sent to a cluster: without its label sets, which are sent once, and with absolute paths."""
    return replace(unit, labels=(), store=unit.store.absolute(), parts=unit.parts and unit.parts.absolute())


def _lines(outcome: Outcome) -> pd.DataFrame:
    if isinstance(outcome, InputError):
        raise outcome
    return outcome


def _deadly(unit: Unit, unit_bytes: int, error: BaseException) -> InputError:
    return InputError(
        f"workers died over layer {unit.layer} again and again ({type(error).__name__}); it takes about "
        f"{unit_bytes / 1e9:.2g} GB: give each worker more memory, or do fewer layers at a time"
    )


def _refuse_without_library(error: BaseException) -> None:
    """InputError where a worker could not unpickle its unit."""
    known: Any = error
    while known is not None:
        if "No module named 'w2s_probes" in str(known):
            raise InputError(
                "the workers of this cluster have no w2s_probes: install the same version on all machines"
            ) from error
        known = known.__cause__ or known.__context__


def versions() -> dict[str, str]:
    """The installed version of each of `PACKAGES`."""
    return {name: version(name) for name in PACKAGES}


def refuse_others(expected: Mapping[str, str], where: str) -> None:
    """InputError if this process, on the machine `where`, has other versions than those expected of it."""
    here = versions()
    for name, wanted in expected.items():
        if here[name] != wanted:
            raise InputError(
                f"the worker on {where} has {name} {here[name]}, this command {wanted}: install the same versions on "
                "all machines"
            )
