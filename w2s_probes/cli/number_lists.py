"""Options that hold several numbers or names, as typed."""

import re
from typing import TypeVar

from ..errors import InputError

Number = TypeVar("Number", int, float)
MOST_SEEDS = 10_000  # of one range: more is a mistyped number


def numbers(text: str, option: str) -> list[float]:
    """Numbers with commas between."""
    return _listed(text, option, float, "numbers with commas between, such as 0,1e-4,1e-2")


def names(text: str) -> list[str]:
    """Names with commas between."""
    return [part.strip() for part in text.split(",") if part.strip()]


def seeds_of(text: str) -> list[int]:
    """Whole numbers and ranges: 0,1,2 or 0-9."""
    ends = [re.fullmatch(r"(\d+)-(\d+)", part.strip()) for part in text.split(",")]
    if not any(ends):
        return whole(text, "--seeds")
    seeds: list[int] = []
    for part, both in zip(text.split(","), ends, strict=True):
        if both is None:
            seeds += whole(part, "--seeds")
            continue
        first, last = int(both[1]), int(both[2])
        if not first <= last < first + MOST_SEEDS:
            raise InputError(f"--seeds {part.strip()!r}: give a range of 1 to {MOST_SEEDS:,} seeds, such as 0-9")
        seeds += range(first, last + 1)
    return seeds


def whole(text: str, option: str) -> list[int]:
    """Whole numbers with commas between."""
    return _listed(text, option, int, "whole numbers with commas between, such as 1,5,10")


def _listed(text: str, option: str, kind: type[Number], such: str) -> list[Number]:
    try:
        values = [kind(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise InputError(f"{option} {text!r}: give {such}") from error
    if text and not values:
        raise InputError(f"{option} {text!r}: holds no number; give some, or leave it out")
    return values
