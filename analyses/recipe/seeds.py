"""Seeds of a recipe: how many unless it says so, and ranges such as `0-9`."""

import re
from collections.abc import Sequence
from typing import Any

from w2s_probes.errors import InputError

SEEDS_OF_HEADS, SEEDS = list(range(10)), list(range(3))  # heads cost little
MOST_SEEDS = 1000  # of a range


def with_ranges(seeds: Sequence[Any]) -> list[Any]:
    """The seeds, each text `FIRST-LAST` replaced by the numbers from the first to the last; others stay as they are.

    InputError for a range of none, or of more than 1,000.

    >>> with_ranges(["0-2", 7])
    [0, 1, 2, 7]
    """
    expanded: list[Any] = []
    for seed in seeds:
        span = re.fullmatch(r"(\d{1,9})-(\d{1,9})", seed) if isinstance(seed, str) else None
        if span is None:
            expanded.append(seed)
        else:
            first, last = int(span[1]), int(span[2])
            if not first <= last < first + MOST_SEEDS:
                raise InputError(f"{seed!r}: give a range of 1 to {MOST_SEEDS:,} seeds, such as 0-9")
            expanded += range(first, last + 1)
    return expanded
