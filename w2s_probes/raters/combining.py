"""Raters combined into one label set, with what is known of each rater and an interval for it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, did_you_mean
from ..labels.label_set import LabelSet
from ..metrics.resampling import drawn_counts, interval
from ..randomness import stream
from ..rows.groups import group_numbers
from ..ties import above_half
from .agreement_of_raters import rates_by_agreement, refuse_too_little_agreement
from .dawid_skene import DawidSkene, fit_patterns
from .ratings import Ratings
from .rules import RULES, SMALLEST, Combiner, CombiningRule
from .trusted_rates import FEW, fewest_trusted, rates_on_trusted, refuse_too_few_trusted
from .vote_patterns import VotePatterns

CombinedStatus = Literal["ok", "two raters", "not converged", "few trusted rows"]
MEANING: dict[CombinedStatus, str] = {
    "ok": "nothing speaks against the numbers, but for what the rule assumes",
    "two raters": "two raters agree equally well whichever of them is right: how accurate each is, is not known",
    "not converged": "the fit of Dawid and Skene's model has not settled: its rates are where it was stopped",
    "few trusted rows": f"some rater has judged fewer than {FEW} trusted rows of a class: its weight is hardly known",
}
DRAWS = 200  # of the bootstrap: the ends of a 95 % interval are known to a tenth of its width
LOOSE, FEWER = 1e-4, 200  # tolerance and iterations of a resample's fit, which begins where the whole one ended
RATES = ("weight", "sensitivity", "specificity")
Rates = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]  # the three of RATES, each (r,)


@dataclass(frozen=True, repr=False)
class Combined:
    """One label a row, made of several raters'.

    >>> a, b, c = (
    ...     LabelSet(np.array(list("wxyz"), dtype=object), np.array(p))
    ...     for p in ([0.9, 0.8, 0.2, 0.1], [0.7, 0.9, 0.4, 0.2], [0.6, 0.1, 0.3, 0.4])
    ... )
    >>> combined = combine(Ratings.of({"a": a, "b": b, "c": c}), "mean")
    >>> combined, combined.disagreement.round(2).tolist()
    (Combined(4 rows of 3 raters by mean: ok), [0.12, 0.36, 0.08, 0.12])
    """

    labels: LabelSet  # weak
    disagreement: NDArray[np.float64]  # (n,) see `raters.disagreement`; NaN where one rater alone has judged a row
    judged: NDArray[np.intp]  # (n,) how many raters have
    combiner: Combiner  # the rule with what it has learned, for further rows
    raters: pd.DataFrame  # a line a rater: see `combine`
    trusted: int  # rows whose truth was read
    status: CombinedStatus
    explained: float  # weights by agreement: share of the raters' covariance that one truth explains; else NaN

    @property
    def meaning(self) -> str:
        """The meaning of the status, as a clause."""
        return MEANING[self.status]

    def to_frame(self) -> pd.DataFrame:
        """One line a row: `id`, `label`, `disagreement`, and `raters`, the number that have judged it."""
        return self.labels.to_frame().assign(disagreement=self.disagreement, raters=self.judged)

    def __repr__(self) -> str:
        return f"Combined({len(self.labels)} rows of {len(self.raters)} raters by {self.combiner.by}: {self.status})"

    def _repr_html_(self) -> str:
        return f"<p>{self!r}</p>{self.raters.to_html(index=False, float_format='{:.3f}'.format, na_rep='')}"


def combine(
    ratings: Ratings,
    by: CombiningRule = "mean",
    *,
    trusted: LabelSet | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Combined:
    """Combine raters into one label a row by a rule (`Combiner`), fitted to the same rows without their truth.

    `trusted` labels of role truth, of some of the rows, teach weights, and hold the classes of these rows while Dawid
    and Skene's model is fitted; no row's truth becomes its label. Weights without them go by agreement
    (`rates_by_agreement`, three raters at least).

    `.raters` has `rater`, `rows` judged, `weight` and, where the rule estimates them, `sensitivity` (mean P(1) where
    the truth is 1) and `specificity` (mean P(0) where it is 0), each with `_low` and `_high`: the central 95 % of
    `draws` resamples of rows, or of whole groups. A weight is a share, by size; of dawid-skene it is the
    log-odds by which a sure 1 and a sure 0 of this rater differ. O(n r), and for dawid-skene of soft labels O(n 2^r),
    of up to eight raters.
    """
    if by not in RULES:
        raise InputError(f"by={by!r}: {did_you_mean(str(by), RULES)}")
    if trusted is not None and by in ("mean", "log-odds"):
        raise InputError(f"combining by {by} learns nothing, and takes no trusted rows: take weights or dawid-skene")
    if draws < 2:
        raise InputError(f"draws={draws} must be at least 2 ({DRAWS} is usual)")
    known = None if trusted is None else _known(ratings, trusted)
    fitted = _fitted(ratings, by, known)
    combiner, status = fitted.combiner, fitted.status
    drawn = [fitted.again(counts) for counts in _resamples(ratings, draws, seed)] if by in _LEARNED else []
    labels = LabelSet(ratings.ids, combiner.combine(ratings.p), "weak", {"raters": list(ratings.names), "by": by})
    return Combined(
        labels=labels,
        disagreement=ratings.disagreement,
        judged=ratings.judged,
        combiner=combiner,
        raters=_table(ratings, fitted.rates, drawn),
        trusted=0 if known is None else int((~np.isnan(known)).sum()),
        status=status,
        explained=fitted.explained,
    )


_LEARNED = ("dawid-skene", "weights")


@dataclass(frozen=True)
class _Fit:
    """A rule as fitted, and how to fit it to a resample."""

    combiner: Combiner
    rates: Rates
    again: Callable[[NDArray[np.float64]], Rates]  # of counts (n,)
    status: CombinedStatus = "ok"
    explained: float = float("nan")


def _fitted(ratings: Ratings, by: CombiningRule, known: NDArray[np.float64] | None) -> _Fit:
    p, names = ratings.p, ratings.names
    if by == "dawid-skene":
        return _by_dawid_skene(p, known)
    if by == "weights" and known is not None:
        refuse_too_few_trusted(names, p, known)
        rows = ~np.isnan(known)

        def again(counts: NDArray[np.float64]) -> Rates:
            return _weighed(*rates_on_trusted(p[rows], known[rows], counts[rows]))

        rates = again(np.ones(len(p)))
        few = fewest_trusted(p, known) < FEW
        return _Fit(Combiner(by, *rates), rates, again, "few trusted rows" if few else "ok")
    if by == "weights":
        refuse_too_little_agreement(names, p)

        def by_agreement(counts: NDArray[np.float64] | None) -> Rates:
            found = rates_by_agreement(p, counts)
            return found.weights, found.sensitivity, found.specificity

        rates, whole = by_agreement(None), rates_by_agreement(p)
        return _Fit(Combiner(by, *rates, prior=whole.prior), rates, by_agreement, explained=whole.explained)
    equal, none = np.full(len(names), 1 / len(names)), np.full(len(names), np.nan)
    return _Fit(Combiner(by, equal), (equal, none, none), lambda counts: (equal, none, none))


def _by_dawid_skene(p: NDArray[np.float64], known: NDArray[np.float64] | None) -> _Fit:
    patterns = VotePatterns.of(p, known)
    whole = fit_patterns(patterns, np.ones(len(p)))

    def again(counts: NDArray[np.float64]) -> Rates:
        return _evidence(fit_patterns(patterns, counts, start=whole, tolerance=LOOSE, most=FEWER))

    rates = _evidence(whole)
    combiner = Combiner("dawid-skene", *rates, prior=whole.prior)
    two = p.shape[1] == 2 and known is None
    return _Fit(combiner, rates, again, "two raters" if two else "ok" if whole.converged else "not converged")


def _evidence(fit: DawidSkene) -> Rates:
    """The log-odds between a sure 1 and a sure 0 of each rater, and its rates."""
    a, b = (np.clip(rates, SMALLEST, 1 - SMALLEST) for rates in (fit.sensitivity, fit.specificity))
    return np.log(a / (1 - a)) + np.log(b / (1 - b)), fit.sensitivity, fit.specificity


def _weighed(sensitivity: NDArray[np.float64], specificity: NDArray[np.float64]) -> Rates:
    """Weights in proportion to sensitivity + specificity - 1, as by agreement; all NaN where one is not known."""
    informed = sensitivity + specificity - 1
    return informed / max(float(np.abs(informed).sum()), 1e-300), sensitivity, specificity


def _known(ratings: Ratings, trusted: LabelSet) -> NDArray[np.float64]:
    """The true class (n,) of the rows, NaN where it is not known; InputError where none of the rows is trusted."""
    if trusted.role != "truth":
        raise InputError("trusted rows are labels of role truth, not another rater's: read them with role='truth'")
    of_id = dict(zip(trusted.ids.tolist(), above_half(trusted.p).astype(np.float64).tolist(), strict=True))
    known = np.array([of_id.get(row, np.nan) for row in ratings.ids.tolist()], dtype=np.float64)
    if np.isnan(known).all():
        where = str(trusted.provenance.get("file", "the trusted rows"))
        raise InputError(f"{where}: no trusted row is one that the raters have judged: they are joined by `id`")
    return known


def _resamples(ratings: Ratings, draws: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Counts (n,) of each resample of rows, or of groups."""
    groups = group_numbers(ratings.groups, len(ratings.ids))
    rng = stream(seed, "raters")
    for _ in range(draws):
        yield drawn_counts(rng, len(ratings.ids), 1, groups)[0]


def _table(ratings: Ratings, rates: Rates, drawn: list[Rates]) -> pd.DataFrame:
    table = pd.DataFrame({"rater": list(ratings.names), "rows": (~np.isnan(ratings.p)).sum(axis=0)})
    for at, name in enumerate(RATES):
        table[name] = rates[at]
        ends = np.full((len(ratings.names), 2), np.nan)
        if drawn:
            of_draws = np.stack([one[at] for one in drawn])  # (draws, r)
            for rater in range(len(ratings.names)):
                valid = of_draws[~np.isnan(of_draws[:, rater]), rater]
                if len(valid) > 1:
                    ends[rater] = interval(valid)
        table[f"{name}_low"], table[f"{name}_high"] = ends[:, 0], ends[:, 1]
    return table
