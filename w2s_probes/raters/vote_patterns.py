"""The votes of raters, counted by pattern: what Dawid and Skene's model needs to know of any number of rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from ..randomness import stream
from ..tensors import as_numpy

MOST_EXACT = 8  # soft raters whose 2^r votes a row are all counted; of more, some are drawn
DRAWN = 16  # votes drawn of each row then


@dataclass(frozen=True)
class VotePatterns:
    """The m different patterns of votes, and how much of each row is of each.

    A soft label p is a rater who says 1 with probability p: a row of soft labels is spread over the votes that its
    raters may cast, which they cast independently. Votes so drawn are right as often as the label's mean says, so that
    the model of hard votes holds for them whatever the spread of the soft labels. (Splitting one vote into p and 1 - p
    inside the likelihood, as is done too, does not: it takes labels near ½ for raters that know nothing, and may end
    where no rater is informative.)

    >>> patterns = VotePatterns.of(np.array([[1.0, 0.5], [1.0, np.nan]]))
    >>> weights = patterns.counted(np.ones(2)).tolist()
    >>> [(ones.tolist(), weight) for ones, weight in zip(patterns.ones, weights, strict=True) if weight]
    [([1.0, 0.0], 1.0), ([1.0, 0.0], 0.5), ([1.0, 1.0], 0.5)]
    """

    ones: NDArray[np.float64]  # (m, r) 1 where the rater says 1
    zeros: NDArray[np.float64]  # (m, r) 1 where it says 0; both 0 where it says nothing
    known: NDArray[np.float64]  # (m,) the true class of these rows, NaN where it is not known
    share: Any  # sparse (m, n): of each row

    @classmethod
    def of(cls, p: NDArray[np.float64], known: NDArray[np.float64] | None = None) -> "VotePatterns":
        """Of labels p (n, r), P(1), NaN where a rater has not judged a row, and `known` classes (n,).

        O(n 2^r) at most.
        """
        p = np.asarray(as_numpy(p), dtype=np.float64)
        truth = np.full(len(p), np.nan) if known is None else np.asarray(as_numpy(known), dtype=np.float64)
        rows = np.flatnonzero(~np.isnan(p).all(axis=1))  # others say nothing
        hard = bool((np.isnan(p) | (p == 0) | (p == 1)).all())
        if not hard and p.shape[1] <= MOST_EXACT:
            return cls._spread(p, truth, rows)
        times = 1 if hard else DRAWN
        order = rows[np.lexsort(p[rows].T)]  # so that the order of the rows changes no vote
        of_rows = np.repeat(order, times)
        drawn = stream(0, "votes").random((len(of_rows), p.shape[1])) < p[of_rows]  # False for NaN
        votes = np.where(np.isnan(p[of_rows]), 2.0, drawn.astype(np.float64))
        keyed = np.column_stack([votes, np.nan_to_num(truth[of_rows], nan=2.0)])
        patterns, place = np.unique(keyed, axis=0, return_inverse=True)
        weights = np.full(len(of_rows), 1 / times)
        share = coo_array((weights, (place.ravel(), of_rows)), shape=(len(patterns), len(p))).tocsr()
        of_pattern, held = patterns[:, :-1], patterns[:, -1]
        return cls((of_pattern == 1) * 1.0, (of_pattern == 0) * 1.0, np.where(held == 2, np.nan, held), share)

    @classmethod
    def _spread(cls, p: NDArray[np.float64], truth: NDArray[np.float64], rows: NDArray[np.intp]) -> "VotePatterns":
        """Every vote that soft raters may cast, with its probability; rows of one set of raters and class together."""
        keyed = np.column_stack([~np.isnan(p[rows]), np.nan_to_num(truth[rows], nan=2.0)])
        kinds, kind_of = np.unique(keyed, axis=0, return_inverse=True)
        ones, zeros, weights, patterns, of_rows = [], [], [], [], []
        known: list[NDArray[np.float64]] = []
        for number, kind in enumerate(kinds):
            own, judged = rows[kind_of.ravel() == number], np.flatnonzero(kind[:-1])
            votes = (np.arange(2 ** len(judged))[:, None] >> np.arange(len(judged))) & 1  # (2^k, k)
            share = np.ones((len(own), len(votes)))
            for at, rater in enumerate(judged):
                label = p[own, rater][:, None]
                share *= np.where(votes[:, at] == 1, label, 1 - label)
            filled = np.zeros((len(votes), p.shape[1]))
            filled[:, judged] = votes
            there = np.zeros_like(filled)
            there[:, judged] = 1
            begin = sum(len(one) for one in known)
            ones.append(filled)
            zeros.append(there - filled)
            known.append(np.full(len(votes), np.nan if kind[-1] == 2 else kind[-1]))
            weights.append(share.ravel())
            of_rows.append(np.repeat(own, len(votes)))
            patterns.append(np.tile(np.arange(begin, begin + len(votes)), len(own)))
        places = (np.concatenate(patterns), np.concatenate(of_rows))
        share_of = coo_array((np.concatenate(weights), places), shape=(sum(len(one) for one in known), len(p))).tocsr()
        return cls(np.concatenate(ones), np.concatenate(zeros), np.concatenate(known), share_of)

    def counted(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """The weight (m,) of each pattern where each row counts so often (n,)."""
        return np.asarray(self.share @ counts, dtype=np.float64)
