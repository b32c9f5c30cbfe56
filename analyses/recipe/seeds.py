"""Seeds of a recipe: how many unless it says so, and ranges such as `0-9`."""

import re
from collections.abc import Sequence
from typing import Any

SEEDS_OF_HEADS, SEEDS = list(range(10)), list(range(3))  # heads cost little
MOST_SEEDS = 1000  # of a range


def with_ranges(seeds: Sequence[Any]) -> list[Any]:
    """The seeds, each text `FIRST-LAST` replaced by the numbers from the first to the last; others stay as they are.

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
            expanded += range(first, min(last, first + MOST_SEEDS) + 1)
    return expanded
