"""How a long computation tells its caller how far it is: in steps, or an extraction in rows and tokens."""

from dataclasses import dataclass
from typing import Protocol


class Progress(Protocol):
    """A function that is called after each step with the step's name, the steps done and the steps in all."""

    def __call__(self, doing: str, done: int, total: int, /) -> None: ...


@dataclass(frozen=True)
class RowsRead:
    """How far this process is with the rows of an extraction."""

    rows: int
    of_rows: int
    tokens: int = 0  # computed since the process began
    of_tokens: int | None = None  # None until they have been counted


class RowProgress(Protocol):
    """A function that is called after each batch with the rows and tokens read so far."""

    def __call__(self, read: RowsRead, /) -> None: ...


def silent(*_: object) -> None:
    """Show nothing, of steps or of rows."""
