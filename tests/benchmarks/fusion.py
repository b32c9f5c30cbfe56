"""Logit fusion of many rows with several experts, beside the search that was published: a grid of α for each expert."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from tests.benchmarks.timing import Line, seconds
from w2s_probes.fusion import fuse_experts

ROWS, CLASSES, EXPERTS, MOST_SECONDS = 100_000, 4, 3, 2.0


def cases() -> Iterator[Line]:
    """The line of the table; the bar is the time alone."""
    strong, base, *steps = np.random.default_rng(0).normal(size=(2 + EXPERTS, ROWS, CLASSES))
    tuned = [base + step for step in steps]
    fuse_experts(strong[:100], base[:100], [one[:100] for one in tuned])
    ours = seconds(partial(fuse_experts, strong, base, tuned))
    grid = seconds(partial(fuse_experts, strong, base, tuned, solver="grid"))
    what = f"fusion of {ROWS:,} rows, {CLASSES} classes, {EXPERTS} experts"
    yield Line(what, ours, grid, "s", "a grid of 21 values", ours / MOST_SECONDS, 1.0, at_least=False)
