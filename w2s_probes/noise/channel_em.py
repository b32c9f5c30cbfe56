"""A probe and two rates of flipped labels, found together: labels seen are the truth through a noisy channel.

P(weak = 1 | x) = p (1 - ρ10) + (1 - p) ρ01 with p = P(true = 1 | x), ρ01 the rate at which a true 0 is labelled 1 and
ρ10 that of a true 1 labelled 0, the same for all rows of a class. Bootkrajang & Kabán 2012, "Label-Noise Robust
Logistic Regression and Its Applications", ECML PKDD, eq. 1-7; with a network for p, Bekker & Goldberger 2016. A soft
label y counts as y of a label 1 and 1 - y of a label 0: what is maximised is the expected log-likelihood.

Exchanging the classes, ρ01 and ρ10 become 1 - ρ10 and 1 - ρ01 and nothing that is seen changes: the rates are found
only if they add up to less than 1, as they do here by construction.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize as minimize_few
from scipy.special import expit

from ..probes.design import Design
from ..probes.minimize import minimize
from ..probes.problems import Problems

Floats = NDArray[np.float64]
START = 0.1  # both rates, at first
MOST_STEPS = 100  # of EM; the rates move by less than CLOSE a step long before in all that was tried
CLOSE = 1e-4
SMALLEST = 1e-6  # of a rate within EM: at 0, a label that a sure probe contradicts would have no posterior
LEAST, MOST = -14.0, 5.0  # of log-ratios of rates: rates of 1e-6 and more that add up to .993 at most
FARTHEST = (-3.0, 2.0)  # of the same, of a place to climb from
STEEPEST = 50.0  # slope of standardised log-odds, above which they part the classes


@dataclass(frozen=True)
class Rates:
    """How often the channel flips a label of each true class; numbers, or arrays (F, 1) for F fits."""

    of_0: Floats | float  # ρ01, of true class 0: labelled 1
    of_1: Floats | float  # ρ10, of true class 1: labelled 0

    def seen(self, p: Floats) -> Floats:
        """P(weak = 1) of rows whose P(true = 1) is p."""
        return np.asarray(p * (1 - self.of_1) + (1 - p) * self.of_0)

    def of_true_1(self, p: Floats, y: Floats) -> tuple[Floats, Floats]:
        """P(label 1 and true 1), P(label 0 and true 1) of rows with prior p, of whose label y is a 1."""
        seen = self.seen(p)
        return np.asarray(y * p * (1 - self.of_1) / seen), np.asarray((1 - y) * p * self.of_1 / (1 - seen))

    def posterior(self, p: Floats, y: Floats) -> Floats:
        """P(true = 1) of rows with prior p and seen labels y: that of both labels, weighted by a soft one."""
        of_label_1, of_label_0 = self.of_true_1(p, y)
        return np.minimum(of_label_1 + of_label_0, 1)  # parts of 1, which rounding may lift above it


def probe_and_rates(design: Design, y: Floats, weights: Floats, l2: float) -> tuple[Floats, Rates]:
    """Log-odds (F, n) of all rows by F probes, each learned with rates (F, 1) of its own on rows of weights (F, n).

    EM. E: the posterior of each row. M: a logistic fit of it with penalty l2, as `LogisticProbe`, and the rates,
    which are shares of posteriors. Each step raises the penalised likelihood. With rates of 0 it is the logistic probe.
    """
    fits = np.arange(len(weights))
    penalties = np.full(len(fits), l2)
    weights = weights / weights.sum(axis=1, keepdims=True)

    def fitted(labels: Floats, theta: Floats | None) -> tuple[Floats, Floats]:
        solved = minimize(design, Problems(labels, weights, fits, fits, penalties), theta).theta
        return solved, np.asarray(solved[:, :-1] @ design.matrix.T + solved[:, -1:])

    theta, log_odds = fitted(np.broadcast_to(y, weights.shape).copy(), None)
    rates = Rates(np.full((len(fits), 1), START), np.full((len(fits), 1), START))
    for _ in range(MOST_STEPS):
        right, flipped = rates.of_true_1(expit(log_odds), y)
        q = right + flipped
        of_0 = np.sum(weights * (y - right), axis=1, keepdims=True) / np.sum(weights * (1 - q), axis=1, keepdims=True)
        of_1 = np.sum(weights * flipped, axis=1, keepdims=True) / np.sum(weights * q, axis=1, keepdims=True)
        new = Rates(of_0.clip(SMALLEST, 1 - SMALLEST), of_1.clip(SMALLEST, 1 - SMALLEST))
        moved = max(float(np.abs(new.of_0 - rates.of_0).max()), float(np.abs(new.of_1 - rates.of_1).max()))
        rates = new
        theta, log_odds = fitted(q, theta)
        if moved < CLOSE:
            break
    return log_odds, rates


@dataclass(frozen=True)
class Curve:
    """P(weak = 1) as a curve of one score: the channel's two rates, and a logistic curve between them."""

    slope: float  # of the standardised score, at least 0
    offset: float
    log_of_0: float  # log ρ01 / (1 - ρ01 - ρ10)
    log_of_1: float

    @property
    def rates(self) -> Rates:
        """The rates, which add up to less than 1."""
        a, b = np.exp(self.log_of_0), np.exp(self.log_of_1)
        return Rates(float(a / (1 + a + b)), float(b / (1 + a + b)))

    def prior(self, score: Floats) -> Floats:
        """P(true = 1) of standardised scores."""
        return np.asarray(expit(self.slope * score + self.offset))

    @property
    def parameters(self) -> Floats:
        """The four numbers, in the order of the fields."""
        return np.array([self.slope, self.offset, self.log_of_0, self.log_of_1])

    def inside(self) -> "Curve":
        """The curve away from the border, where the logarithm of a rate has no slope: a place to climb from."""
        logs = (min(max(log, FARTHEST[0]), FARTHEST[1]) for log in (self.log_of_0, self.log_of_1))
        return Curve(min(max(self.slope, 0.1), 10.0), min(max(self.offset, -10.0), 10.0), *logs)


# The likelihood may have several tops: one where flips explain the labels, another where the scores do.
STARTS = tuple(Curve(1.0, 0.0, first, second) for first, second in ((-2.0, -2.0), (0.0, 0.0), (0.0, -3.0), (-3.0, 0.0)))


def likeliest_of_all(score: Floats, y: Floats) -> Curve:
    """The highest of the tops that are climbed from `STARTS`, all rows counting the same."""
    weights = np.ones(len(y))
    tops = [most_likely_curve(score, y, weights, start) for start in STARTS]

    def likelihood(curve: Curve) -> float:
        seen = np.clip(curve.rates.seen(curve.prior(score)), 1e-12, 1 - 1e-12)
        return float(np.mean(y * np.log(seen) + (1 - y) * np.log1p(-seen)))

    return max(tops, key=likelihood)


def most_likely_curve(score: Floats, y: Floats, weights: Floats, start: Curve = STARTS[0]) -> Curve:
    """The curve of standardised scores (n,) under which labels y (n,) with these weights are likeliest.

    Where EM of the same four numbers would end, by L-BFGS: EM takes hundreds of steps to move rates that the scores
    say little of.
    """
    weights = weights / weights.sum()

    def loss(parameters: Floats) -> tuple[float, Floats]:
        curve = Curve(*parameters)
        rates, p = curve.rates, curve.prior(score)
        seen = np.clip(rates.seen(p), 1e-12, 1 - 1e-12)
        value = -float(weights @ (y * np.log(seen) + (1 - y) * np.log1p(-seen)))
        by_seen = weights * (seen - y) / (seen * (1 - seen))
        right = 1 - rates.of_0 - rates.of_1
        by_odds = by_seen * right * p * (1 - p)
        by_0, by_1 = by_seen @ (1 - p), -(by_seen @ p)  # by ρ01 and ρ10
        mean = rates.of_0 * by_0 + rates.of_1 * by_1
        slopes = [by_odds @ score, by_odds.sum(), rates.of_0 * (by_0 - mean), rates.of_1 * (by_1 - mean)]
        return value, np.array(slopes, dtype=np.float64)

    bounds = [(0.0, STEEPEST), (-STEEPEST, STEEPEST), (LEAST, MOST), (LEAST, MOST)]
    options = {"maxiter": 500, "ftol": 1e-12, "gtol": 1e-8}
    found = minimize_few(loss, start.parameters, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return Curve(*(float(value) for value in found.x))
