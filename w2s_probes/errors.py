"""The one exception for wrong input: what is wrong, where, and the remedy, in one line."""

import difflib
from collections.abc import Iterable, Sequence


class InputError(ValueError):
    """The caller's data or arguments are wrong; `w2s` prints the message alone and exits with 2."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one, if any is."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest known one, or the list of all."""
    known = sorted(known)
    near = nearest(name, known)
    return f"did you mean {near!r}?" if near else f"known: {', '.join(known)}"


def some(items: Sequence[object], most: int = 3) -> str:
    """The first few of many, for a message."""
    shown = ", ".join(repr(item) if isinstance(item, str) else str(item) for item in items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"
