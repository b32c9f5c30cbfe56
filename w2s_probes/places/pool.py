"""Units handed to workers that may die: what is lost is handed out again, and nothing else is.

Every kind of worker gives concurrent.futures' futures, so that there is one loop for all of them. joblib's own does not
do: over Dask it waits for ever for a unit that has killed its workers, and over Ray, where one worker's death ends
the pool, it throws away what all others have in hand.
"""

import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from importlib.metadata import PackageNotFoundError, version
from socket import gethostname
from typing import Any, Generic, Protocol, TypeVar

from ..devices import out_of_memory
from ..errors import InputError
from ..plugins import Plugin, load_same
from ..registries import installed_packages
from .work import PACKAGES, UNITS, WorkKind, WorkUnit

TRIES = 4  # workers that may die over one unit, as many as Dask allows
LOOK = 5.0  # seconds between looks at whether there are workers
ALONE = 600.0  # seconds without any, after which the work ends: a batch system may take long to start some
SHOWN = 120  # characters of what an error says
ABSENT = "not installed"  # in the place of a version
Outcome = Any  # a unit's result, or an InputError: returned, not raised, as each library wraps what is raised
Given = TypeVar("Given", bound=WorkUnit[Any])


class Workers(Protocol):
    """A kind of workers that run units."""

    at_once: int  # units handed over at a time
    tries: int  # times that a unit is handed over, if workers die

    def submit(self, unit: WorkUnit[Any]) -> "Future[Outcome]":
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


class Handout(Generic[Given]):
    """Units that are handed to workers as these have room; more may be added at any time."""

    def __init__(self, workers: Workers, unit_bytes: int | None = None, kind: WorkKind = UNITS) -> None:
        self.workers, self.unit_bytes, self.kind = workers, unit_bytes, kind
        self.deserted = False  # whether the last look found no worker
        self._todo, self._in_hand, self._deaths = deque[Given](), dict[Future[Outcome], Given](), Counter[str]()
        self._seen = self._looked = time.monotonic()

    def add(self, units: Iterable[Given], *, first: bool = False) -> None:
        """Take units, to be done after those that were added before, or `first`."""
        if not self.left:  # nothing was looked for meanwhile
            self._seen = self._looked = time.monotonic()
        if first:
            self._todo.extendleft(reversed(list(units)))
        else:
            self._todo.extend(units)

    @property
    def left(self) -> int:
        """The number of units that are not done."""
        return len(self._todo) + len(self._in_hand)

    def ended(self, patience: float | None = None) -> list[tuple[Given, Any]]:
        """The units that end next, with their results; none of them after `patience` seconds (those of a look).

        Raises InputError where a unit cannot be done, where workers die over it again and again, and where for ten
        minutes there are none.
        """
        while self._todo and len(self._in_hand) < self.workers.at_once:
            unit = self._todo.popleft()
            self._in_hand[self.workers.submit(unit)] = unit
        done, _ = wait(self._in_hand, LOOK if patience is None else patience, FIRST_COMPLETED)
        results = []
        for future in done:
            unit = self._in_hand.pop(future)
            error = CancelledError() if future.cancelled() else future.exception()
            if error is None:
                results.append((unit, _result(future.result())))
                continue
            _refuse_without_library(error)
            if isinstance(error, MemoryError) or out_of_memory(error):
                raise self._short_of_memory(unit, error) from error
            if not self.workers.lost(error):
                raise error
            self._deaths[unit.key] += 1
            if self._deaths[unit.key] == self.workers.tries:
                raise self._deadly(unit, error) from error
            self._todo.appendleft(unit)
        self._look(bool(done))
        return results

    def _look(self, something_ended: bool) -> None:
        """Look from time to time whether there is a worker; InputError where for long there is none."""
        self.deserted, now = False, time.monotonic()
        if something_ended:
            self._seen = now
            return
        if now - self._looked < LOOK:
            return
        self._looked = now
        if self.workers.count():
            self._seen = now
        elif now - self._seen > ALONE:
            raise InputError(
                f"the cluster has had no worker for {now - self._seen:.0f} seconds: start some, and {self.kind.again}"
            )
        else:
            self.deserted = True

    def _deadly(self, unit: Given, error: BaseException) -> InputError:
        return self._named(f"workers died over {unit.name} again and again ({type(error).__name__})")

    def _short_of_memory(self, unit: Given, error: BaseException) -> InputError:
        said = next(iter(str(error).strip().splitlines()), type(error).__name__)[:SHOWN]
        return self._named(f"{unit.name}: its worker is out of memory ({said})")

    def _named(self, what: str) -> InputError:
        takes = "" if self.unit_bytes is None else f"; it takes about {self.unit_bytes / 1e9:.2g} GB"
        return InputError(
            f"{what}{takes}: give each worker more memory, or do fewer {self.kind.many} at a time; what is finished is "
            f"kept: {self.kind.again}"
        )


def finished(
    units: Sequence[Given], workers: Workers, unit_bytes: int, kind: WorkKind = UNITS
) -> Generator[tuple[Given, Any] | None, None, None]:
    """Each unit with its result, in the order in which they end; None at each look that finds no worker.

    Raises InputError as `Handout.ended` does.
    """
    handout = Handout[Given](workers, unit_bytes, kind)
    handout.add(units)
    while handout.left:
        yield from handout.ended()
        if handout.deserted:
            yield None


def run_there(
    unit: WorkUnit[Any], shared: tuple[Any, ...], expected: Mapping[str, str], plugins: Sequence[Plugin] = ()
) -> Outcome:
    """Run a packed unit, whose shared data are sent separately, on a worker that has the expected versions.

    It loads these plugins first, from files of the same paths and content.
    """
    where = gethostname()
    try:
        refuse_others(expected, where)
        load_same(plugins)
        return unit.unpacked(shared).run()
    except InputError as error:
        return InputError(str(error) if where in str(error) else f"on {where}: {error}")


def _result(outcome: Outcome) -> Any:
    if isinstance(outcome, InputError):
        raise outcome
    return outcome


def _refuse_without_library(error: BaseException) -> None:
    """InputError where a worker could not unpickle its unit."""
    known: Any = error
    while known is not None:
        if "No module named 'w2s_probes" in str(known):
            raise InputError(
                "the workers of this cluster have no w2s_probes: install the same version on all machines"
            ) from error
        known = known.__cause__ or known.__context__


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """The installed version of each package, and of those that add to our registries."""
    return {name: _version(name) for name in (*packages, *installed_packages())}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ABSENT


def refuse_others(expected: Mapping[str, str], where: str) -> None:
    """InputError if this process, on the machine `where`, has other versions than those expected of it."""
    here = {name: _version(name) for name in expected}
    for name, wanted in expected.items():
        if here[name] != wanted:
            raise InputError(
                f"the worker on {where} has {name} {here[name]}, this command {wanted}: install the same versions on "
                "all machines"
            )
