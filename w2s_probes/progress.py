"""How a long computation tells its caller how far it is."""

from typing import Protocol


class Progress(Protocol):
    """A function that is called after each step with the step's name, the steps done and the steps in all."""

    def __call__(self, doing: str, done: int, total: int, /) -> None: ...


def silent(doing: str, done: int, total: int, /) -> None:
    """Show nothing."""
