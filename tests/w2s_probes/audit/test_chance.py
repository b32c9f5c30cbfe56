"""Chance: the exact null beside permutations, and whole groups beside groups that are moved row by row."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import hypergeom

from w2s_probes.audit import conflict_audit
from w2s_probes.audit.chance import permuted_counts, upper_tail

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


def test_the_excess_of_a_tax_of_few_rows_is_not_taken_for_sure() -> None:
    """All three rows that became wrong lie where most rows do: resamples of them would all say the same."""
    truth = np.tile([1.0, 0.0], 50)
    right, wrong = np.where(truth, 0.9, 0.1), np.where(truth, 0.1, 0.9)
    weak = np.where(np.arange(100) < 80, 0.5, right)
    found = conflict_audit(truth, weak, right, right, np.where(np.arange(100) < 3, wrong, right))
    assert (found.score, found.expected, found.tax) == (1.0, 0.8, 3)
    assert found.p == pytest.approx(0.508, abs=1e-3)
    assert found.excess_low < -0.3
    assert found.excess_high == pytest.approx(
        0.2 + (97 / 103) ** 0.5 * (0.8 - 0.711), abs=2e-3
    )  # Wilson's of 80 of 100


@pytest.mark.parametrize("taxed", [12, 60, 110])
def test_the_excess_covers_as_often_as_it_says_however_many_rows_are_taxed(taxed: int) -> None:
    """Of rows that chance taxes it is 0."""
    truth = np.tile([1.0, 0.0], 60)
    right, wrong = np.where(truth, 0.9, 0.1), np.where(truth, 0.1, 0.9)
    weak, held, wide = np.where(np.arange(120) < 60, 0.5, right), 0, []
    for seed in range(200):
        which = np.random.default_rng(seed).permutation(120) < taxed
        found = conflict_audit(truth, weak, right, right, np.where(which, wrong, right), n_boot=2)
        held += found.excess_low <= 0 <= found.excess_high
        wide.append((found.excess_high - found.excess_low, found.excess))
    assert held >= 178  # 190 ± 3, but counts of few rows jump
    assert np.mean([width for width, _ in wide]) < 5.5 * np.std([excess for _, excess in wide])  # 3.9 of a normal one


def test_where_all_that_was_right_is_taxed_there_is_no_excess_at_all() -> None:
    truth = np.tile([1.0, 0.0], 60)
    right = np.where(truth, 0.9, 0.1)
    found = conflict_audit(truth, np.where(np.arange(120) < 60, 0.5, right), right, right, 1 - right, n_boot=2)
    assert (found.excess, found.excess_low, found.excess_high) == (0, 0, 0)


def test_every_permutation_of_four_rows_counts_alike() -> None:
    inside = np.array([True, True, False, False])
    every = [sum(inside[list(places)]) for places in itertools.combinations(range(4), 2)]
    assert upper_tail(2, 4, 2, 2) == pytest.approx(np.mean([count >= 2 for count in every]))
