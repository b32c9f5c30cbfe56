"""A planted world of two models: in its corner the supervisor alone sees what decides, elsewhere the student sees more.

z is normal and the truth Bernoulli(σ(5z)). In the corner, a quarter of the rows, the supervisor sees z and the student
noise; elsewhere the supervisor sees z with noise of 1.5, the student with noise of .1. Without the corner the student
knows better everywhere.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from w2s_probes import LogisticProbe, auroc

L2 = 1e-3
NOISE = 8  # features that say nothing


@dataclass(frozen=True)
class Seen:
    """Rows as both models see them."""

    weak: NDArray[np.float32]
    strong: NDArray[np.float32]
    truth: NDArray[np.float64]


@dataclass(frozen=True)
class GatedWorld:
    """Trained supervisor, student and ceiling, with their predictions of trusted and of test rows."""

    trusted: Seen
    test: Seen
    supervisor: LogisticProbe
    student: LogisticProbe
    ceiling: LogisticProbe

    def weak(self, rows: Seen) -> NDArray[np.float64]:
        return np.asarray(self.supervisor.predict_proba(rows.weak)[:, 1])

    def strong(self, rows: Seen) -> NDArray[np.float64]:
        return np.asarray(self.student.predict_proba(rows.strong)[:, 1])

    def auroc(self, p: NDArray[np.float64]) -> float:
        return auroc(self.test.truth, p)


def gated_world(seed: int, *, corner: bool, trusted: int = 80, tested: int = 4000) -> GatedWorld:
    """320 truths for the supervisor, 3,000 rows of its soft labels for the student."""
    rng = np.random.default_rng(seed)
    fit, taught, kept, test = (_rows(rng, n, corner=corner) for n in (320, 3000, trusted, tested))
    supervisor = LogisticProbe(L2).fit(fit.weak, fit.truth)
    student = LogisticProbe(L2).fit(taught.strong, supervisor.predict_proba(taught.weak)[:, 1])
    return GatedWorld(kept, test, supervisor, student, LogisticProbe(L2).fit(taught.strong, taught.truth))


def _rows(rng: np.random.Generator, n: int, *, corner: bool) -> Seen:
    z = rng.normal(size=n)
    truth = (rng.random(n) < expit(5 * z)).astype(np.float64)
    inside = (rng.random(n) < 0.25) & corner
    seen = np.where(inside, z, z + 1.5 * rng.normal(size=n))
    weak = np.column_stack([seen * inside, seen * ~inside, inside])
    clear = np.where(inside, 0, z) + 0.1 * rng.normal(size=n)
    return Seen(
        weak.astype(np.float32), np.column_stack([clear, rng.normal(size=(n, NOISE))]).astype(np.float32), truth
    )
