"""Coverage of the median PGR over tasks: order statistics."""

import numpy as np

from tests.simulations.tables import table
from w2s_probes.stats import pooled

EXPERIMENTS = 2000


def of_medians() -> str:
    """Skewed ratios with a known median; under six tasks there are no ends."""
    rows = []
    for tasks in (4, 6, 8, 12, 21):
        rng = np.random.default_rng(tasks)
        hits = []
        for _ in range(EXPERIMENTS):
            ratios = 0.5 * np.exp(rng.normal(scale=0.8, size=tasks))
            median = pooled(np.zeros(tasks), 0.1 * ratios, np.full(tasks, 0.1)).median
            hits.append(median.low <= 0.5 <= median.high if np.isfinite(median.low) else np.nan)
        rows.append([tasks, float(np.mean(hits))])
    return table(["tasks", "coverage"], rows)
