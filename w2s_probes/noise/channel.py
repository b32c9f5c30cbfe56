"""The noise of weak labels as a channel: two rates with intervals, and labels that take them into account."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..devices import PROCESSOR
from ..errors import InputError
from ..metrics.intervals import NO_ESTIMATE, Estimate
from ..metrics.resampling import drawn_counts, interval
from ..probes.device_design import design_on
from ..probes.problems import checked_penalties
from ..probes.validation import soft_labels
from ..randomness import stream
from ..rows.folds import fold_numbers
from ..rows.groups import group_ids
from ..ties import above_half
from .channel_em import Curve, likeliest_of_all, most_likely_curve, probe_and_rates

ChannelStatus = Literal["assumption not checked", "at the border", "few rows"]
LEAST_ROWS = 20  # groups of distinct rows of each weak class: below, a bootstrap is no guide
LARGEST_SUM = 0.95  # of both rates: from there on a label says hardly anything of the class
LEAST_RATE = 1e-3  # below, the likelihood has its top where a class is never flipped
FLATTEST = 1e-3  # slope of the standardised score: below, the scores say nothing of the labels

MEANING: dict[ChannelStatus, str] = {
    "assumption not checked": "rates that are the same for all rows of a class are assumed, which labels cannot show",
    "at the border": "the labels are likeliest if a class is never flipped, as they are where a probe shares the "
    "supervisor's mistakes, or if they say nothing of the classes: the rates are no estimate",
    "few rows": "fewer than 20 distinct rows of a class are too few for intervals",
}


@dataclass(frozen=True, eq=False)
class ChannelEstimate:
    """The noisy channel of n weak labels, and what it makes of each row.

    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(600, 2)) + 4 * rng.integers(2, size=(600, 1))
    >>> y = (X[:, 0] > 2) ^ (rng.random(600) < 0.2)
    >>> estimate = channel_model(X, y.astype(float), draws=20)
    >>> estimate.status, estimate.rate_01.low < 0.2 < estimate.rate_01.high
    ('assumption not checked', True)
    """

    status: ChannelStatus
    rate_01: Estimate  # P(weak = 1 | true = 0)
    rate_10: Estimate  # P(weak = 0 | true = 1)
    p: NDArray[np.float64]  # (n,) P(true = 1) without the row's own label
    posterior: NDArray[np.float64]  # (n,) P(true = 1) with it
    labels: NDArray[np.float64]  # (n,) as given
    folds: NDArray[np.intp]  # (n,) in which each row was held out

    @property
    def meaning(self) -> str:
        """The meaning of the status, as a clause."""
        return MEANING[self.status]

    @property
    def notes(self) -> dict[str, float]:
        """The rates and their ends, by names fit for a record; what is not known is left out."""
        found: dict[str, float] = {}
        for name, rate in (("rate_01", self.rate_01), ("rate_10", self.rate_10)):
            found |= {name: rate.value, f"{name}_low": rate.low, f"{name}_high": rate.high}
        return {name: value for name, value in found.items() if np.isfinite(value)} | {
            "at_border": float(self.status == "at the border")
        }

    def __repr__(self) -> str:
        rates = f"P(weak 1 | true 0) {self.rate_01:.3f}, P(weak 0 | true 1) {self.rate_10:.3f}"
        return f"ChannelEstimate({self.status}: {rates}; {len(self.p)} rows)"


def channel_model(
    X: ArrayLike,
    y: ArrayLike,
    *,
    l2: float = 1e-2,
    groups: ArrayLike | None = None,
    folds: int = 5,
    draws: int = 200,
    seed: int = 0,
    device: str = PROCESSOR,
) -> ChannelEstimate:
    """Find the channel of weak labels y (n,), P(label = 1), on activations X (n, d), and P(true = 1) of each row.

    For each fold EM learns a logistic probe (penalty l2) together with two rates from the other folds' rows
    (`channel_em`), which keep groups (n,) and exact duplicates together. These probes' log-odds of the rows held out,
    which a penalty has flattened, become p = σ(a z + b); a, b and the rates that are returned are likeliest of all rows
    together: of its own label a row's p knows four numbers of n rows. `posterior` ∝ p · P(label | true class).

    A soft label y counts as y of a label 1 and 1 - y of a 0, so that a supervisor's doubt is noise, too: the rates of
    the classes that it names are those of `y > 0.5`. Intervals are of `draws` bootstrap resamples of rows, or whole
    groups, with the probes held still: of the choice of rows, not of the model. The rates are where P(label = 1) levels
    off at both ends of the scores; where classes overlap so far that it does not, they rest on the logistic shape.

    The logistic fits are done on `device`, as those of `LogisticProbe`. InputError for labels of one class, lengths
    that differ, or too few distinct rows of a class for the folds.
    """
    penalty = float(checked_penalties(l2)[0])
    if draws < 2:
        raise InputError(f"draws={draws} must be at least 2 (200 is usual)")
    design = design_on(X, device)
    labels, _ = soft_labels(y, len(design.X))
    fold = fold_numbers(design.X, labels, groups=groups, folds=folds, seed=seed)
    taught = (fold[None] != np.arange(folds)[:, None]).astype(np.float64)
    log_odds, _ = probe_and_rates(design, labels, taught, penalty)
    own = log_odds[fold, np.arange(len(fold))]
    score = (own - own.mean()) / max(float(own.std()), np.finfo(np.float64).tiny)
    curve = likeliest_of_all(score, labels)
    together = np.unique(group_ids(design.X, groups), return_inverse=True)[1]
    positive = above_half(labels)
    status: ChannelStatus = "assumption not checked"
    if min(len(np.unique(together[side])) for side in (positive, ~positive)) < LEAST_ROWS:
        status = "few rows"
    elif _is_at_the_border(curve):
        status = "at the border"
    ends = (NO_ESTIMATE, NO_ESTIMATE) if status == "few rows" else _ends(score, labels, together, curve, draws, seed)
    p = curve.prior(score)
    return ChannelEstimate(
        status,
        _around(float(curve.rates.of_0), ends[0]),
        _around(float(curve.rates.of_1), ends[1]),
        p,
        curve.rates.posterior(p, labels),
        labels,
        fold,
    )


def _around(value: float, ends: Estimate) -> Estimate:
    """A rate and its interval, which holds it: resamples may all have climbed another top of the likelihood."""
    return (
        Estimate(value, min(value, ends.low), max(value, ends.high))
        if np.isfinite(ends.low)
        else Estimate(value, ends.low, ends.high)
    )


def _is_at_the_border(curve: Curve) -> bool:
    rates = float(curve.rates.of_0), float(curve.rates.of_1)
    return min(rates) < LEAST_RATE or sum(rates) > LARGEST_SUM or curve.slope < FLATTEST


def _ends(
    score: NDArray[np.float64],
    labels: NDArray[np.float64],
    groups: NDArray[np.intp],
    curve: Curve,
    draws: int,
    seed: int,
) -> tuple[Estimate, Estimate]:
    """The ends of both rates' percentile intervals, each resample's likelihood climbed from where that of all ends."""
    counts = drawn_counts(stream(seed, "noise channel"), len(score), draws, groups)
    rates = [most_likely_curve(score, labels, weights, curve.inside()).rates for weights in counts]
    of_0, of_1 = (np.array([getattr(one, name) for one in rates]) for name in ("of_0", "of_1"))
    return tuple(Estimate(float("nan"), *interval(values)) for values in (of_0, of_1))  # type: ignore[return-value]
