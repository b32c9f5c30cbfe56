"""`python -m tests.hardening [NAME ...] [--count N] [--seed N]`: long trials; exit code 1 if anything is wrong."""

import argparse
import sys
import time
from collections.abc import Callable

from tests.hardening import flips, fuzz, kills

Trials = Callable[[int, int], list[str]]  # how many, and a seed; what must not have happened, a line each
TRIALS: dict[str, tuple[Trials, int]] = {
    "kills": (kills.run, 120),
    "flips": (flips.run, 360),
    "fuzz": (fuzz.run, 2500),
}


def main() -> int:
    """Run the trials that are named, all unless any is, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*TRIALS, []], help="all unless some are named")
    parser.add_argument("--count", type=int, help="of each")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    lines, violations = [], []
    for name in options.names or TRIALS:
        trials, usual = TRIALS[name]
        count, began = options.count or usual, time.monotonic()
        found = trials(count, options.seed)
        violations += [f"{name}: {one}" for one in found]
        lines.append(f"{name:8} {count:6} {len(found):11} {time.monotonic() - began:8.0f}")
    print("", "trials    count  violations  seconds", *lines, *violations, sep="\n")
    return int(bool(violations))


if __name__ == "__main__":
    sys.exit(main())
