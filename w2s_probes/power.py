"""What a number of test rows can show: the PGR interval and status that a gap will usually get, before any run.

The scorers are three normal variables within each class, equally correlated, so that the covariance of their AUROCs
has a closed form; experiments are then drawn from it and judged by `metrics.gap_recovered` itself.
"""

from collections import Counter
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from .errors import InputError
from .metrics import Status, gap_recovered
from .randomness import stream

GAPS = (0.02, 0.05, 0.1, 0.2)
WEAK, PGR, CORRELATION = 0.7, 0.5, 0.5  # of the assumed scorers
EXPERIMENTS = (
    400  # simulated: a share among them is known to ± .05, the median end of an interval to a tenth of its width
)
DRAWS = 2000  # of each experiment's bootstrap, as in a real one
LEAST_ROWS = 10  # below, AUROCs are too coarse to be called normal


@dataclass(frozen=True)
class ExpectedPGR:
    """How PGR will probably be reported for one gap."""

    gap: float  # true ceiling - weak
    weak: float  # the supervisor's true AUROC
    rows: int  # of the test set
    low: float  # 95 % interval: medians of both ends over the simulated experiments whose PGR is defined
    high: float
    status: Status  # the most frequent
    shares: dict[Status, float]  # of the experiments with each status

    @property
    def width(self) -> float:
        """Of the interval."""
        return self.high - self.low


def expected_pgr(
    gap: float,
    rows: int,
    *,
    weak: float = WEAK,
    pgr: float = PGR,
    correlation: float = CORRELATION,
    seed: int = 0,
) -> ExpectedPGR:
    """The interval and status to expect on `rows` test rows, half of them positive, metric AUROC.

    `weak` is the supervisor's AUROC, `pgr` the true PGR, `correlation` that of any two scorers within a class: the
    more alike their errors, the narrower the interval. Test rows are the only source of error here; another seed
    of the training moves PGR too.

    Raises InputError for numbers that no experiment could have.
    """
    aurocs = _checked(gap, rows, weak, pgr, correlation)
    covariance = auroc_covariance(aurocs, correlation) * (4 / rows)
    rng = stream(seed, "expected pgr")
    points = rng.multivariate_normal(aurocs, covariance, size=EXPERIMENTS, method="cholesky")
    noise = rng.multivariate_normal(np.zeros(3), covariance, size=DRAWS, method="cholesky")
    # A bootstrap scatters around its experiment's own values as those do around the true ones.
    found = [gap_recovered(w, s, c, *(np.array([w, s, c]) + noise).T) for w, s, c in points.tolist()]
    counts = Counter(one.status for one in found)
    defined = [one for one in found if one.status != "undefined"]
    low, high = np.median([(one.low, one.high) for one in defined], axis=0) if defined else (np.nan, np.nan)
    shares = {status: counts[status] / EXPERIMENTS for status in get_args(Status)}
    return ExpectedPGR(gap, weak, rows, float(low), float(high), max(shares, key=shares.__getitem__), shares)


def auroc_covariance(aurocs: NDArray[np.float64], correlation: float) -> NDArray[np.float64]:
    """Covariance (m, m) of the AUROCs (m,) of binormal scorers, to be multiplied by 1/positives + 1/negatives.

    DeLong's leading term, Φ₂(a, b; r/2) - Φ(a)Φ(b) with Φ(a), Φ(b) the AUROCs: a row's score and its rivals' give
    half of the variance each, and the rivals of two scorers are independent. As Plackett's integral over the
    correlation it needs no bivariate distribution function.
    """
    a = norm.ppf(aurocs)
    m = len(a)
    upper = np.where(np.eye(m, dtype=bool), 0.5, correlation / 2)
    nodes, weights = np.polynomial.legendre.leggauss(24)  # to 1e-12 up to r = ½, where the integrand is smooth
    t = upper[..., None] * (nodes + 1) / 2
    left, right = a[:, None, None], a[None, :, None]
    density = np.exp(-(left**2 - 2 * t * left * right + right**2) / (2 * (1 - t**2)))
    density /= 2 * np.pi * np.sqrt(1 - t**2)
    return np.asarray((density * weights).sum(axis=-1) * upper / 2)


def _checked(gap: float, rows: int, weak: float, pgr: float, correlation: float) -> NDArray[np.float64]:
    """The AUROCs of weak supervisor, student and ceiling."""
    if not 0 < gap < 1:
        raise InputError(f"gap={gap:g} must be above 0 and below 1: it is the ceiling's AUROC less the supervisor's")
    if rows < LEAST_ROWS:
        raise InputError(f"{rows} test rows: give at least {LEAST_ROWS}")
    if not 0 <= correlation < 1:
        raise InputError(f"correlation={correlation:g} must be in [0, 1)")
    if not 0 < weak < 1 or not weak + gap < 1:
        raise InputError(
            f"a weak supervisor of AUROC {weak:g} and a gap of {gap:g} make a ceiling of {weak + gap:g}: "
            "both AUROCs must be between 0 and 1; lower the gap or --weak"
        )
    student = weak + pgr * gap
    if not 0 < student < 1:
        raise InputError(f"pgr={pgr:g} makes a student of AUROC {student:g}, which must be between 0 and 1")
    return np.array([weak, student, weak + gap])
