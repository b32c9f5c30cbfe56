"""Amounts as people read and write them."""

import math
import re
from collections.abc import Sequence

from ..errors import InputError

SCALES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
TIMES = ((2 * 24 * 3600.0, 24 * 3600.0, "days"), (5400.0, 3600.0, "h"), (90.0, 60.0, "min"), (1.0, 1.0, "s"))


def amount(value: float, unit: str = "") -> str:
    """Three digits, with decimal prefixes: `2.70 GB`, `125 TFLOP/s`, `37`."""
    scale, prefix = next(((s, p) for s, p in SCALES if abs(value) >= 0.9995 * s), (1.0, ""))
    text = three_digits(value / scale) if prefix or value != int(value) else str(int(value))
    return f"{text} {prefix}{unit}".rstrip()


def three_digits(value: float) -> str:
    """The number with two, one or no decimals."""
    return f"{value:.{2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0}f}"


def duration(seconds: float) -> str:
    """In the unit that leaves the fewest digits: `2.40 min`, or `less than 1 s`."""
    for least, unit, name in TIMES:
        if seconds >= least:
            return f"{three_digits(seconds / unit)} {name}"
    return "less than 1 s"


def roughly(seconds: float) -> str:
    """Two digits, for a time that is but estimated: `0.93 s`, `12 min`, `about` left to the caller."""
    unit, name = next(((unit, name) for least, unit, name in TIMES if seconds >= least), TIMES[-1][1:])
    value = max(seconds / unit, 0.01)
    return f"{value:,.{max(0, 1 - math.floor(math.log10(value)))}f} {name}"


def spans(numbers: Sequence[int]) -> str:
    """Ascending whole numbers with runs of them joined: `0-12, 16`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def in_bytes(text: str, option: str) -> int:
    """The bytes of `16GB`, `500 MB` or `1e9`, decimal; InputError naming the option for anything else."""
    parts = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([kmgt]?)i?b?\s*", text.lower())
    try:
        number = float(parts[1]) if parts else 0.0
    except ValueError:
        number = 0.0
    if not parts or not 0 < number < 1e15:
        raise InputError(f"{option} {text!r}: give an amount of memory such as 16GB or 500MB")
    return int(number * {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}[parts[2]])
