"""Chance: the exact null beside permutations, and whole groups beside groups that are moved row by row."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import hypergeom

from w2s_probes.audit import conflict_audit
from w2s_probes.audit.chance import permuted_counts, upper_tail
from w2s_probes.audit.resampled import resampled_counts
from w2s_probes.metrics.resampling import drawn_counts

from .test_conflict import ROWS


@pytest.mark.parametrize(("total", "members", "drawn"), [(11, 7, 6), (50_000, 20_000, 900), (5, 0, 3), (5, 5, 2)])
def test_the_tail_is_scipys(total: int, members: int, drawn: int) -> None:
    for inside in range(max(0, drawn + members - total), min(members, drawn) + 1, max(1, drawn // 7)):
        expected = hypergeom(total, members, drawn).sf(inside - 1)
        assert upper_tail(inside, total, members, drawn) == pytest.approx(expected, rel=1e-8)


def test_permuting_rows_agrees_with_the_exact_p() -> None:
    alone = np.arange(11)
    inside, marked = np.arange(11) < 7, np.isin(np.arange(11), [0, 1, 2, 3, 4, 9])
    counts = permuted_counts(inside, marked, alone, 20_000, np.random.default_rng(0))
    assert (counts >= 5).mean() == pytest.approx(91 / 462, abs=0.01)
    by_hand = [np.random.default_rng(seed).permutation(marked)[inside].sum() for seed in range(4000)]
    assert counts.mean() == pytest.approx(np.mean(by_hand), abs=0.05)


def moved(
    inside: NDArray[np.bool_], marked: NDArray[np.bool_], groups: NDArray[np.intp], rng: np.random.Generator
) -> int:
    """One permutation, row by row: groups of a size exchange what is marked in them, in random places."""
    rows_of = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    result = np.zeros_like(marked)
    for size in {len(rows) for rows in rows_of}:
        same = [rows for rows in rows_of if len(rows) == size]
        for place, source in zip(same, rng.permutation(len(same)), strict=True):
            result[place] = rng.permutation(marked[same[source]])
    return int((result & inside).sum())


@pytest.mark.parametrize("seed", range(2))
def test_whole_groups_are_permuted_as_rows_moved_by_hand_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(15), rng.integers(1, 4, size=15))
    inside, marked = rng.random(len(groups)) < 0.5, rng.random(len(groups)) < 0.4
    fast = permuted_counts(inside, marked, groups, 20_000, np.random.default_rng(1))
    slow = np.array([moved(inside, marked, groups, rng) for _ in range(2000)])
    for count in range(len(groups)):
        assert (fast >= count).mean() == pytest.approx((slow >= count).mean(), abs=0.04)


def test_groups_that_become_wrong_together_are_not_taken_for_rows() -> None:
    """Ten copies of each row say nothing more: the p of rows is far too small, that of groups hardly moves."""
    copies = [np.repeat(one, 10) for one in ROWS]
    groups = np.repeat(np.arange(12), 10)
    alone, by_rows, by_groups = conflict_audit(*ROWS), conflict_audit(*copies), conflict_audit(*copies, groups=groups)
    assert by_rows.p < 1e-4
    assert by_groups.p == pytest.approx(alone.p, abs=0.04)
    assert by_groups.high - by_groups.low == pytest.approx(alone.high - alone.low, abs=0.1)
    assert by_rows.high - by_rows.low < 0.2
    assert by_groups.excess_high - by_groups.excess_low == pytest.approx(alone.excess_high - alone.excess_low, abs=0.15)


def test_groups_of_one_row_are_rows() -> None:
    assert conflict_audit(*ROWS, groups=np.arange(12)).p == conflict_audit(*ROWS).p
    related = np.array(["a", "a", *[None] * 10], dtype=object)
    assert conflict_audit(*ROWS, groups=related).p == pytest.approx(conflict_audit(*ROWS).p, abs=0.15)


def test_p_of_groups_is_not_too_small_where_groups_lean_one_way() -> None:
    """Regions and errors gather in groups, independently of each other: p < .05 as often as that is by chance."""
    small, small_by_rows = 0, 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(60), 6)
        inside, marked = (rng.random(60)[groups] + 0.15 * rng.normal(size=360) < 0.4 for _ in range(2))
        counts = permuted_counts(inside, marked, groups, 300, rng)
        there = (inside & marked).sum()
        small += (1 + (counts >= there).sum()) / 301 < 0.05
        small_by_rows += upper_tail(int(there), 360, int(inside.sum()), int(marked.sum())) < 0.05
    assert small <= 13  # 6 ± 2.4 expected
    assert small_by_rows > 15


def test_resamples_of_kinds_are_resamples_of_rows_and_of_groups() -> None:
    rng = np.random.default_rng(0)
    marks = rng.random((200, 3)) < [0.2, 0.5, 0.8]
    for groups in (None, np.asarray(rng.permutation(np.repeat(np.arange(50), 4)), dtype=np.intp)):
        fast = resampled_counts(marks, groups, 4000, np.random.default_rng(1))
        slow = drawn_counts(np.random.default_rng(2), 200, 4000, groups) @ marks
        assert fast.mean(axis=0) == pytest.approx(slow.mean(axis=0), abs=0.8)
        assert np.cov(fast.T) == pytest.approx(np.cov(slow.T), rel=0.2, abs=3)


def test_every_permutation_of_four_rows_counts_alike() -> None:
    inside = np.array([True, True, False, False])
    every = [sum(inside[list(places)]) for places in itertools.combinations(range(4), 2)]
    assert upper_tail(2, 4, 2, 2) == pytest.approx(np.mean([count >= 2 for count in every]))
