"""Agreement of filters with one another, over layers, seeds or probes: what can be said without ground truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from ..errors import InputError
from ..ties import above_half, levels
from .disagreement import FilterResult
from .overlap import overlap, refuse_other_rows


@dataclass(frozen=True)
class Stability:
    """Filters of the same rows, one by one and pair by pair. No ground truth was read.

    >>> from w2s_probes.filtering import disagreement_filter
    >>> y, p, q = [0.9, 0.8, 0.1, 0.2], [0.8, 0.1, 0.2, 0.3], [0.7, 0.2, 0.1, 0.4]
    >>> stability([disagreement_filter(y, scores, 0.25) for scores in (p, q)]).jaccard
    1.0
    """

    filters: pd.DataFrame  # a row a filter: see `stability`
    pairs: pd.DataFrame  # a row a pair: see `stability`

    @property
    def jaccard(self) -> float:
        """Mean over pairs; pairs that remove nothing are left out."""
        return float(self.pairs["jaccard"].mean())

    @property
    def by_chance(self) -> float:
        """Mean over pairs of what independent filters would give."""
        return float(self.pairs["by_chance"].mean())

    @property
    def rank_correlation(self) -> float:
        """Mean over pairs; constant scores are left out."""
        return float(self.pairs["rank_correlation"].mean())

    def __repr__(self) -> str:
        return (
            f"Stability({len(self.filters)} filters: Jaccard {self.jaccard:.3f} "
            f"({self.by_chance:.3f} by chance), rank correlation {self.rank_correlation:.3f})"
        )

    def _repr_html_(self) -> str:
        tables = (self.filters, self.pairs)
        return "".join(table.to_html(index=False, float_format="{:.3f}".format, na_rep="") for table in tables)


def stability(results: Mapping[str, FilterResult] | Sequence[FilterResult]) -> Stability:
    """Compare filters of the same rows; a sequence is named "0", "1", ...

    `filters`: `filter`, `n`, `requested`, `removed`, `overshoot`, `in_sample`,
    `positive_before`, `positive_after` (share of positive labels), `agreement` (share of rows whose label is on the
    probe's side of ½; NaN where soft labels and distances do not tell the side), `mean_score` (mean distance of
    label and probe).
    `pairs`: `first`, `second`, `both` (rows that both remove), `jaccard`, `by_chance` with `low` and `high` (mean
    and central 95 % where each removes as many rows of each class at random), `rank_correlation` (Spearman, of the
    scores; NaN where constant).

    Filters of neighbouring layers or of the same labels are never independent: an overlap above chance says that
    they see the same thing, not that it is right. InputError for fewer than two, or other rows.
    """
    if not isinstance(results, Mapping):
        results = {str(number): result for number, result in enumerate(results)}
    if len(results) < 2:
        raise InputError(f"stability compares filters: give at least 2 results, got {len(results)}")
    refuse_other_rows(results)
    positive = above_half(next(iter(results.values())).labels)
    ranks = {name: _ranks(result.scores) for name, result in results.items()}
    pairs = []
    for first, other in combinations(results, 2):
        gone, too = ~results[first].mask, ~results[other].mask
        shared = overlap(gone, too, positive)
        pairs.append(
            {
                "first": first,
                "second": other,
                "both": int((gone & too).sum()),
                "jaccard": shared.jaccard,
                "by_chance": shared.expected,
                "low": shared.low,
                "high": shared.high,
                "rank_correlation": _correlation(ranks[first], ranks[other]),
            }
        )
    return Stability(pd.DataFrame([_line(n, r) for n, r in results.items()]), pd.DataFrame(pairs))


def _line(name: str, result: FilterResult) -> dict[str, object]:
    positive, kept = above_half(result.labels), result.mask
    return {
        "filter": name,
        "n": len(kept),
        "requested": result.requested,
        "removed": len(result.removed),
        "overshoot": result.overshoot,
        "in_sample": result.in_sample,
        "positive_before": float(positive.mean()),
        "positive_after": float(positive[kept].mean()) if kept.any() else float("nan"),
        "agreement": agreement(result),
        "mean_score": float(result.scores.mean()),
    }


def agreement(result: FilterResult) -> float:
    """The share of rows whose label is on the probe's side of ½; NaN where the result holds no probe's scores."""
    if result.p is None:
        return float("nan")
    return float((above_half(result.p) == above_half(result.labels)).mean())


def _ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks (n,), equal where rounding alone parts the scores; NaN where a result has none."""
    return np.asarray(rankdata(np.where(np.isnan(scores), np.nan, levels(scores))))


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    if len(first) < 2 or not first.std() or not second.std():
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
