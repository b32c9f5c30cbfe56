"""The PGR interval and status that a gap will usually get on a number of test rows, before any run.

The scorers are three normal variables within each class, correlated as assumed or as `pilot_of` measured, so that the
covariance of their AUROCs has a closed form; experiments are then drawn from it and judged by `metrics.gap_recovered`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from ..errors import InputError
from ..randomness import stream
from ..ties import above_half
from .recovery import Status, auroc, gap_recovered, hard_labels

GAPS = (0.02, 0.05, 0.1, 0.2)
WEAK, PGR, CORRELATION = 0.7, 0.5, 0.5  # of the assumed scorers
CORRELATIONS = (0.2, 0.5)  # where nothing was measured: real runs had .12 to .59
PAIRS = ((0, 1), (0, 2), (1, 2))  # supervisor and student, supervisor and ceiling, student and ceiling
Correlations = tuple[float, float, float]  # of `PAIRS`
EXPERIMENTS = 400  # simulated: a share of them is known to ± .05, a median end of an interval to a tenth of its width
DRAWS = 2000  # of each experiment's bootstrap, as in a real one
LEAST_ROWS = 10  # below, AUROCs are too coarse to be called normal
LEAST_CLASS = 3  # rows of a class whose correlation counts: two rows always have one of ±1
ROUNDING = 1e-9  # of a correlation matrix, and of covariances, which equal scorers make singular


@dataclass(frozen=True)
class ExpectedPGR:
    """The PGR interval and status to expect for one gap.

    >>> expected_pgr(gap=0.2, rows=2000).status
    'ok'
    >>> expected_pgr(gap=0.02, rows=100).status == "ok"
    False
    """

    gap: float  # true ceiling - weak
    weak: float  # the supervisor's true AUROC
    rows: int  # of the test set
    low: float  # 95 % interval: medians of both ends over the simulated experiments whose PGR is defined
    high: float
    status: Status  # the most frequent
    shares: dict[Status, float]  # of the experiments with each status

    @property
    def width(self) -> float:
        """The width of the interval."""
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
    covariance[np.diag_indices(3)] *= 1 + ROUNDING
    rng = stream(seed, "expected pgr")
    points = rng.multivariate_normal(aurocs, covariance, size=EXPERIMENTS, method="cholesky")
    noise = rng.multivariate_normal(np.zeros(3), covariance, size=DRAWS, method="cholesky")
    # A bootstrap scatters around its experiment's own values as those do around the true ones.
    results = [gap_recovered(w, s, c, *(np.array([w, s, c]) + noise).T) for w, s, c in points.tolist()]
    counts = Counter(result.status for result in results)
    defined = [result for result in results if result.status != "undefined"]
    low, high = np.median([(result.low, result.high) for result in defined], axis=0) if defined else (np.nan, np.nan)
    shares = {status: counts[status] / EXPERIMENTS for status in get_args(Status)}
    return ExpectedPGR(gap, weak, rows, float(low), float(high), max(shares, key=shares.__getitem__), shares)


@dataclass(frozen=True)
class Pilot:
    """The correlations, supervisor and gap of a finished run, from which the next one is planned.

    >>> truth = np.tile([0, 1], 50)
    >>> noise = np.random.default_rng(0).normal(size=(100, 3))
    >>> table = pd.DataFrame(truth[:, None] * [1, 2, 3] + noise, columns=["weak", "student", "ceiling"])
    >>> pilot = pilot_of({"task, seed 0": table.assign(truth=truth)}, "student")
    >>> pilot.runs, pilot.gap > 0
    (1, True)
    """

    correlations: Correlations  # within a class
    weak: float  # AUROC of the supervisor, mean over the runs
    gap: float  # ceiling - weak
    runs: int  # a task and seed each
    student: str


def pilot_of(tables: Mapping[str, pd.DataFrame], student: str) -> Pilot:
    """Correlations, supervisor and gap of a run's test scores.

    `tables` holds one table per task and seed, under the name for errors, with `truth`, `weak`, `ceiling` and
    the column `student`. The correlation of two scorers is that of their normal scores (ranks within a class, as
    normal quantiles), averaged over classes and tables: the binormal model's, whatever the scale of the scores. Ties
    weaken it.

    Raises InputError for a table that lacks a column, holds no numbers, has one class, or a supervisor of hard labels.
    """
    correlations, weak, gaps = [], [], []
    for name, table in tables.items():
        try:
            positive, scores = _scores(table, ("weak", student, "ceiling"))
            aurocs = [auroc(positive, column) for column in scores]
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        weak.append(aurocs[0])
        gaps.append(aurocs[2] - aurocs[0])
        for side in (positive, ~positive):
            normal = [norm.ppf((rankdata(column[side]) - 0.5) / side.sum()) for column in scores]
            if side.sum() >= LEAST_CLASS and all(np.ptp(column) > 0 for column in normal):
                correlations.append([np.corrcoef(normal[i], normal[j])[0, 1] for i, j in PAIRS])
    if not correlations:
        raise InputError("no class has three rows and scores that vary: no correlation can be measured")
    first, second, third = np.mean(correlations, axis=0).tolist()
    return Pilot((first, second, third), float(np.mean(weak)), float(np.mean(gaps)), len(tables), student)


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


def _scores(table: pd.DataFrame, names: tuple[str, ...]) -> tuple[NDArray[np.bool_], list[NDArray[np.float64]]]:
    """Which rows are positive, and the scores under each name."""
    columns = []
    for name in ("truth", *names):
        if name not in table:
            raise InputError(f"no column {name!r}")
        try:
            columns.append(table[name].to_numpy(dtype=np.float64))
        except (TypeError, ValueError):
            raise InputError(f"column {name!r} holds something that is no number") from None
        if not np.isfinite(columns[-1]).all():
            raise InputError(f"column {name!r} has an empty or infinite value")
    truth, *scores = columns
    if not ((truth >= 0) & (truth <= 1)).all():
        raise InputError("column 'truth' must be within 0 and 1")
    if hard_labels(scores[0]):
        raise InputError(f"column {names[0]!r} holds hard labels, to which no correlation of scores belongs")
    return above_half(truth), scores


def _matrix(correlation: float | Correlations) -> NDArray[np.float64]:
    """The correlations of supervisor, student and ceiling (3, 3)."""
    values = np.asarray(correlation, dtype=np.float64)
    if values.ndim == 0 and not 0 <= values < 1:
        raise InputError(f"correlation={values:g} must be in [0, 1): of two models' scores within a class")
    if values.shape not in ((), (3,)):
        raise InputError(f"correlation has shape {values.shape}: give one number, or three as in PAIRS")
    matrix = np.eye(3)
    for (i, j), value in zip(PAIRS, np.broadcast_to(values, 3), strict=True):
        matrix[i, j] = matrix[j, i] = value
    if not np.isfinite(matrix).all() or np.linalg.eigvalsh(matrix).min() < -ROUNDING:
        named = ", ".join(f"{value:g}" for value in values)
        raise InputError(f"correlations {named}: no three scorers have these; give those of one correlation matrix")
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
