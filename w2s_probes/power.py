"""What a number of test rows can show: the PGR interval and status that a gap will usually get, before any run.

The scorers are three normal variables within each class, equally correlated, so that the covariance of their AUROCs
has a closed form; experiments are then drawn from it and judged by `metrics.gap_recovered` itself.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from .errors import InputError
from .metrics import Status, auroc, gap_recovered
from .randomness import stream

GAPS = (0.02, 0.05, 0.1, 0.2)
WEAK, PGR, CORRELATION = 0.7, 0.5, 0.5  # of the assumed scorers
CORRELATIONS = (0.2, 0.5)  # where nothing was measured: real runs had .12 to .59
PAIRS = ((0, 1), (0, 2), (1, 2))  # supervisor and student, supervisor and ceiling, student and ceiling
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
    correlation: float | tuple[float, float, float] = CORRELATION,
    seed: int = 0,
) -> ExpectedPGR:
    """The interval and status to expect on `rows` test rows, half of them positive, metric AUROC.

    `weak` is the supervisor's AUROC, `pgr` the true PGR, `correlation` that of any two scorers within a class, or of
    the three `PAIRS`: the more alike their errors, the narrower the interval. `pilot_of` measures it. Test rows are the
    only source of error here; another seed of the training moves PGR too.

    Raises InputError for numbers that no experiment could have.
    """
    matrix = _matrix(correlation)
    aurocs = _checked(gap, rows, weak, pgr)
    covariance = auroc_covariance(aurocs, matrix) * (4 / rows)
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


@dataclass(frozen=True)
class Pilot:
    """What a finished run says of scorers like those that are planned."""

    correlations: tuple[float, float, float]  # of `PAIRS`, within a class
    weak: float  # AUROC of the supervisor, mean over tasks and seeds
    gap: float  # ceiling - weak
    runs: int  # tasks and seeds
    student: str


def pilot_of(tables: Sequence[pd.DataFrame], student: str) -> Pilot:
    """From the test scores of some tasks and seeds: tables with `truth`, `weak`, `ceiling` and the student's column.

    The correlation of two scorers is that of their normal scores, ranks within a class turned into normal quantiles,
    averaged over classes and tables: it is the binormal model's whatever the scale of the scores. InputError for a
    table that lacks a column or has one class.
    """
    correlations, weak, gaps = [], [], []
    for number, table in enumerate(tables):
        names = (*PILOT_COLUMNS[:1], student, *PILOT_COLUMNS[1:])
        if missing := [name for name in ("truth", *names) if name not in table]:
            raise InputError(f"the pilot's table {number + 1} has no column {missing[0]!r}")
        positive = table["truth"].to_numpy(dtype=np.float64) > 0.5
        scores = [table[name].to_numpy(dtype=np.float64) for name in names]
        aurocs = [auroc(positive, one) for one in scores]
        weak.append(aurocs[0])
        gaps.append(aurocs[2] - aurocs[0])
        for side in (positive, ~positive):
            normal = [norm.ppf((rankdata(one[side]) - 0.5) / side.sum()) for one in scores]
            if side.sum() > 2 and all(np.ptp(one) > 0 for one in normal):
                correlations.append([np.corrcoef(normal[i], normal[j])[0, 1] for i, j in PAIRS])
    if not correlations:
        raise InputError("the pilot's scores are constant within every class: nothing can be measured from them")
    first, second, third = np.mean(correlations, axis=0).tolist()
    return Pilot((first, second, third), float(np.mean(weak)), float(np.mean(gaps)), len(tables), student)


PILOT_COLUMNS = ("weak", "ceiling")


def auroc_covariance(aurocs: NDArray[np.float64], correlation: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance (m, m) of the AUROCs (m,) of binormal scorers, to be multiplied by 1/positives + 1/negatives.

    `correlation` is that of any two of them within a class, or a matrix (m, m).

    DeLong's leading term, Φ₂(a, b; r/2) - Φ(a)Φ(b) with Φ(a), Φ(b) the AUROCs: a row's score and its rivals' give
    half of the variance each, and the rivals of two scorers are independent. As Plackett's integral over the
    correlation it needs no bivariate distribution function.
    """
    a = norm.ppf(aurocs)
    m = len(a)
    upper = np.where(np.eye(m, dtype=bool), 0.5, np.asarray(correlation) / 2)
    nodes, weights = np.polynomial.legendre.leggauss(24)  # to 1e-12 up to r = ½, where the integrand is smooth
    t = upper[..., None] * (nodes + 1) / 2
    left, right = a[:, None, None], a[None, :, None]
    density = np.exp(-(left**2 - 2 * t * left * right + right**2) / (2 * (1 - t**2)))
    density /= 2 * np.pi * np.sqrt(1 - t**2)
    return np.asarray((density * weights).sum(axis=-1) * upper / 2)


def _matrix(correlation: float | tuple[float, float, float]) -> NDArray[np.float64]:
    """The correlations of supervisor, student and ceiling (3, 3)."""
    if not isinstance(correlation, tuple):
        if not 0 <= correlation < 1:
            raise InputError(f"correlation={correlation:g} must be in [0, 1)")
        correlation = (correlation,) * 3
    matrix = np.eye(3)
    for (i, j), value in zip(PAIRS, correlation, strict=True):
        matrix[i, j] = matrix[j, i] = value
    if not np.isfinite(matrix).all() or np.linalg.eigvalsh(matrix).min() < 0:
        raise InputError(f"correlations {', '.join(f'{one:g}' for one in correlation)}: no three scorers have these")
    return matrix


def _checked(gap: float, rows: int, weak: float, pgr: float) -> NDArray[np.float64]:
    """The AUROCs of weak supervisor, student and ceiling."""
    if not 0 < gap < 1:
        raise InputError(f"gap={gap:g} must be above 0 and below 1: it is the ceiling's AUROC less the supervisor's")
    if rows < LEAST_ROWS:
        raise InputError(f"{rows} test rows: give at least {LEAST_ROWS}")
    if not 0 < weak < 1 or not weak + gap < 1:
        raise InputError(
            f"a weak supervisor of AUROC {weak:g} and a gap of {gap:g} make a ceiling of {weak + gap:g}: "
            "both AUROCs must be between 0 and 1; lower the gap or --weak"
        )
    student = weak + pgr * gap
    if not 0 < student < 1:
        raise InputError(f"pgr={pgr:g} makes a student of AUROC {student:g}, which must be between 0 and 1")
    return np.array([weak, student, weak + gap])
