"""An audit of a conflicting objective with permutations of whole groups, beside groups that are moved row by row."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.timing import Line, seconds
from w2s_probes.audit import conflict_audit

ROWS, PERMUTATIONS, MOST_SECONDS = 50_000, 2_000, 5.0


def cases() -> Iterator[Line]:
    """The lines of the table: groups of two, and groups of many sizes; the bar is the time alone."""
    rng = np.random.default_rng(0)
    truth = rng.random(ROWS) < 0.5
    inside, marked = rng.random(ROWS) < 0.3, rng.random(ROWS) < 0.1
    scores = [1 / (1 + np.exp(rng.normal(size=ROWS) - (2 * truth - 1))) for _ in range(4)]
    for what, groups in (
        ("groups of 2 rows", np.repeat(np.arange(ROWS // 2), 2)),
        ("groups of 1 to 17 rows", rng.integers(0, ROWS // 5, size=ROWS)),
    ):
        conflict_audit(truth, *scores, groups=groups, n_boot=2)
        ours = seconds(partial(conflict_audit, truth, *scores, groups=groups, n_boot=PERMUTATIONS))
        _, sizes = np.unique(groups, return_counts=True)
        plain = seconds(partial(_moved, inside, marked, sizes, rng))
        size = f"audit of {ROWS:,} rows in {what}, {PERMUTATIONS:,} permutations at ten thresholds"
        reference = plain * PERMUTATIONS * 10
        yield Line(size, ours, reference, "s", "rows moved one by one", ours / MOST_SECONDS, 1.0, at_least=False)


def _moved(
    inside: NDArray[np.bool_], marked: NDArray[np.bool_], sizes: NDArray[np.intp], rng: np.random.Generator
) -> int:
    """Whole groups in another order, as the shortest code has it."""
    order = rng.permutation(len(sizes))
    starts = np.cumsum(sizes) - sizes
    rows = np.concatenate([np.arange(starts[one], starts[one] + sizes[one]) for one in order])
    return int((inside & marked[rows]).sum())
