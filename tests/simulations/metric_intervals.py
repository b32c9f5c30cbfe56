"""Coverage of each metric's 95 % interval, and of that of a paired difference, for over-confident probabilities."""

import numpy as np
from numpy.typing import NDArray

from tests.simulations.tables import table
from w2s_probes.metrics import METRICS
from w2s_probes.metrics.paired_scores import difference, estimate

EXPERIMENTS = 400
Floats = NDArray[np.float64]


def drawn(rng: np.random.Generator, n: int) -> tuple[Floats, Floats, Floats]:
    """Truth and the probabilities of two models that share most of their errors."""
    truth, noise = (rng.random(n) < 0.5).astype(float), rng.normal(size=n)
    first = 2.2 * (noise + 1.2 * truth - 0.6)
    second = 1.4 * (0.8 * noise + 0.6 * rng.normal(size=n) + truth - 0.5)
    return truth, 1 / (1 + np.exp(-first)), 1 / (1 + np.exp(-second))


def of_metrics() -> str:
    """The true value is that of a million rows, where the correction of the calibration error is next to nothing."""
    rng = np.random.default_rng(0)
    everything = drawn(rng, 1_000_000)
    rows = []
    for metric, entry in METRICS.items():
        true, other = (entry(everything[0], p) for p in everything[1:])
        for n in (300, 1500):
            held = apart_held = 0
            for _ in range(EXPERIMENTS):
                truth, a, b = drawn(rng, n)
                found, apart = estimate(metric, truth, a), difference(metric, truth, a, b)
                assert found is not None
                assert apart is not None
                held += found.low <= true <= found.high
                apart_held += apart.low <= true - other <= apart.high
            rows.append([metric, n, held / EXPERIMENTS, apart_held / EXPERIMENTS])
    return table(["metric", "test rows", "value", "paired difference"], rows)
