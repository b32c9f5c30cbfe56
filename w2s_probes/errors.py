"""The one exception for wrong input: what is wrong, where, and the remedy, in one line."""

import difflib
from collections.abc import Iterable, Sequence

MOST_KNOWN, MOST_LETTERS = 12, 200  # names and characters of a list in a message: beyond them it is no line any more
LONG = 80  # characters of a single name in a message


class InputError(ValueError):
    """The caller's data or arguments are wrong; `w2s` prints the message alone and exits with 2."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one, if any is."""
    if len(name) > LONG:  # comparing takes the square of the length
        return None
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest known one, or the list; of many names the first few."""
    known = sorted(known)
    near = nearest(name, known)
    if near:
        return f"did you mean {near!r}?"
    shown = [shortened(one) for one in known[:MOST_KNOWN]]
    while len(shown) > 1 and len(", ".join(shown)) > MOST_LETTERS:
        shown.pop()
    more = f" and {len(known) - len(shown):,} more" if len(known) > len(shown) else ""
    return f"known: {', '.join(shown)}{more}"


def preview(items: Sequence[object], most: int = 3) -> str:
    """The first few of many, for a message."""
    shown = ", ".join(repr(shortened(item)) if isinstance(item, str) else str(item) for item in items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"


def shortened(name: str, most: int = LONG) -> str:
    """A name, or of a long one its beginning."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def whole_reason(error: BaseException) -> str:
    """What a library says is wrong, its lines put into one of 200 characters at most; the kind of error if nothing."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def reason(error: BaseException) -> str:
    """What a library says is wrong, in one short line; the kind of error where it says nothing."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    return shortened(next(iter(str(error).splitlines()), ""), 120) or type(error).__name__
