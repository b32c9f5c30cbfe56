"""The interval of a measure that is no average over rows: the jackknife that leaves out one block of rows at a time."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..metrics.intervals import Estimate, quantile
from ..randomness import stream
from .foretold_measure import blocks_of

BLOCKS = 20  # left out in turn: each costs the measure once more


def jackknifed(
    measure: Callable[[NDArray[np.bool_]], float],
    rows: int,
    groups: NDArray[np.intp] | None = None,
    *,
    blocks: int = BLOCKS,
    seed: int = 0,
) -> Estimate:
    """The value of all rows with its 95 % interval; `measure` takes the rows to use as a mask (n,).

    Blocks hold whole groups (n,), numbered. The variance is (g - 1) / g Σ (v_b - mean v)² over the g blocks left out
    (Efron and Stein 1981; Shao and Tu 1995, 2.3), with Student's t of g - 1 degrees of freedom. It holds for smooth
    measures, and errs to the wide side where a block more or less changes the eigenvalues that count. No ends with
    fewer than two blocks, with `blocks=0`, or where a block left out leaves nothing to measure.
    """
    whole = np.ones(rows, dtype=bool)
    value = measure(whole)
    if math.isnan(value) or blocks < 2:
        return Estimate(value, math.nan, math.nan)
    block = blocks_of(groups, rows, blocks, stream(seed, "jackknife"))
    count = int(block.max()) + 1
    if count < 2:
        return Estimate(value, math.nan, math.nan)
    values = np.array([measure(block != number) for number in range(count)])
    error = float(np.sqrt((count - 1) / count * ((values - values.mean()) ** 2).sum()))
    half = quantile(count - 1) * error
    return Estimate(value, value - half, value + half, error)
