"""Controls without signal: random features, and where one more draw would fall."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from w2s_probes.metrics.resampling import LEVEL
from w2s_probes.probes.design import Design

DRAWN = 256  # leading principal axes of random features: what varies beyond is next to nothing, and would cost most
SEARCHED = 64  # columns of random features in which neighbours are searched: those of largest variance

Array = NDArray[np.float64]


def random_features(design: Design, rng: np.random.Generator) -> NDArray[np.float32]:
    """Gaussian features (n, r), largest variance first, with the layer's own covariance in its 256 leading axes.

    Neither penalties nor distances can tell principal axes from the layer's own. Equal rows stay equal.
    """
    spread = np.sqrt(design.spectrum.values[::-1][:DRAWN]) * design.scale
    drawn = rng.standard_normal((int(design.equal.max()) + 1, len(spread)), dtype=np.float32)
    return np.asarray(drawn[design.equal] * spread.astype(np.float32))


def range_of_draws(values: Sequence[float] | Array) -> tuple[float, float, float]:
    """Mean of some draws of a control, and the ends within which one more would fall with probability .95.

    Student's prediction interval: a curve that leaves it is not what chance makes. NaN ends for a single draw.
    """
    drawn = np.asarray(values, dtype=np.float64)
    mean = float(drawn.mean())
    if len(drawn) < 2:
        return mean, float("nan"), float("nan")
    half = float(stdtrit(len(drawn) - 1, (1 + LEVEL) / 2) * drawn.std(ddof=1) * np.sqrt(1 + 1 / len(drawn)))
    return mean, max(0.0, mean - half), min(1.0, mean + half)
