"""Progress of a long computation, reported to its caller: in steps, or for an extraction in rows and tokens."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol


class Progress(Protocol):
    """A function that is called after each step with the step's name, the steps done and the steps in all.

    >>> progress: Progress = lambda doing, done, total: print(f"{doing}: {done} of {total}")
    >>> progress("layer 3", 1, 12)
    layer 3: 1 of 12
    """

    def __call__(self, doing: str, done: int, total: int, /) -> None: ...


@dataclass(frozen=True)
class RowsRead:
    """The rows and tokens of an extraction that this process has read.

    >>> RowsRead(rows=20, of_rows=100, tokens=640)
    RowsRead(rows=20, of_rows=100, tokens=640, of_tokens=None)
    """

    rows: int
    of_rows: int
    tokens: int = 0  # computed since the process began
    of_tokens: int | None = None  # None until they have been counted


class RowProgress(Protocol):
    """A function that is called after each batch with the rows and tokens read so far.

    >>> progress: RowProgress = lambda read: print(f"{read.rows} of {read.of_rows} rows")
    >>> progress(RowsRead(20, 100))
    20 of 100 rows
    """

    def __call__(self, read: RowsRead, /) -> None: ...


def silent(*_: object) -> None:
    """Report nothing, as a `Progress` or a `RowProgress`."""


_listener: ContextVar[Progress] = ContextVar("listener", default=silent)


@contextmanager
def heard(progress: Progress) -> Iterator[None]:
    """A block in which what may take minutes below, such as a search for neighbours, reports to `progress`.

    >>> with heard(lambda doing, done, total: print(f"{doing}: {done} of {total}")):
    ...     report("neighbours of rows", 4096, 10_000)
    neighbours of rows: 4096 of 10000
    """
    token = _listener.set(progress)
    try:
        yield
    finally:
        _listener.reset(token)


def report(doing: str, done: int, total: int) -> None:
    """Tell whoever listens (`heard`); nobody does elsewhere."""
    _listener.get()(doing, done, total)


@contextmanager
def prefixed(prefix: str) -> Iterator[None]:
    """A block whose reports name a part of what is done: each step's name has this before it.

    >>> with heard(lambda doing, done, total: print(f"{doing}: {done} of {total}")), prefixed("far rows: "):
    ...     report("pairs compared", 5, 10)
    far rows: pairs compared: 5 of 10
    """
    outer = _listener.get()
    with heard(lambda doing, done, total: outer(prefix + doing, done, total)):
        yield
