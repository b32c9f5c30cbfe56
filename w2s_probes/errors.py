"""The one exception for wrong input: what is wrong, where, and the remedy, in one line."""

import difflib
from collections.abc import Iterable, Sequence

MOST_KNOWN, MOST_LETTERS = 12, 200  # names and characters of a list in a message: more do not fit a line
LONG = 80  # characters of a single name in a message


class InputError(ValueError):
    """Wrong data or arguments of the caller; `w2s` prints the message alone and exits with 2.

    >>> str(InputError("labels.csv: no column 'weak': name it with --weak"))
    "labels.csv: no column 'weak': name it with --weak"
    """


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`; None if none is like it."""
    if len(name) > LONG:  # comparing takes the square of the length
        return None
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest known name, or the first few of the list.

    >>> did_you_mean("aurco", ["auroc", "accuracy"])
    "did you mean 'auroc'?"
    """
    known = sorted(known)
    near = nearest(name, known)
    if near:
        return f"did you mean {near!r}?"
    shown = [shortened(known_name) for known_name in known[:MOST_KNOWN]]
    while len(shown) > 1 and len(", ".join(shown)) > MOST_LETTERS:
        shown.pop()
    more = f" and {len(known) - len(shown):,} more" if len(known) > len(shown) else ""
    return f"known: {', '.join(shown)}{more}"


def preview(items: Sequence[object], most: int = 3) -> str:
    """The first `most` items, and the number of the others, for a message.

    >>> preview(["a", "b", "c", "d"])
    "'a', 'b', 'c' and 1 more"
    """
    shown = ", ".join(repr(shortened(item)) if isinstance(item, str) else str(item) for item in items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"


def shortened(name: str, most: int = LONG) -> str:
    """The name, cut to its first characters if longer than `most`."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def whole_reason(error: BaseException) -> str:
    """A library's message in one line of at most 200 characters; the type of the error if it has none."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def reason(error: BaseException) -> str:
    """The first line of a library's message, shortened; the type of the error if it has none."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    return shortened(next(iter(str(error).splitlines()), ""), 120) or type(error).__name__
