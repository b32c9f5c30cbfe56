"""Paired tests, Holm's correction and agreement against brute force, scipy and published numbers."""

import itertools
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import PermutationMethod, binom, ttest_rel
from scipy.stats import wilcoxon as scipy_wilcoxon

from w2s_probes import InputError
from w2s_probes.stats import agreement, holm, paired_tests, wilcoxon
from w2s_probes.stats.paired import EXACT, Zeros

FIGURES = json.loads((Path(__file__).parents[2] / "golden" / "blog_figures_digitised.json").read_text())
few = st.lists(st.integers(-4, 4), min_size=1, max_size=9)


def column(figure: str, name: str) -> dict[str, float]:
    return {task: values[name] for task, values in FIGURES[figure].items()}


def by_enumeration(d: list[int], zeros: Zeros) -> tuple[float, float]:
    """W+ and its tail by flipping every sign."""
    kept = [abs(x) for x in d if x or zeros == "pratt"]
    rank = [sum(y < x for y in kept) + (sum(y == x for y in kept) + 1) / 2 for x in kept]
    signed = [r for r, x in zip(rank, kept, strict=True) if x]
    w = sum(r for r, x in zip(signed, [x for x in d if x], strict=True) if x > 0)
    sums = [
        sum(r for r, up in zip(signed, ups, strict=True) if up) for ups in itertools.product([0, 1], repeat=len(signed))
    ]
    return w, sum(total >= w - 1e-9 for total in sums) / len(sums)


@given(few, st.sampled_from(["drop", "pratt"]))
def test_wilcoxon_equals_the_enumeration_of_all_signs_with_ties_and_zeros(d: list[int], zeros: Zeros) -> None:
    assert wilcoxon(np.array(d, float), zeros=zeros) == pytest.approx(by_enumeration(d, zeros))


@settings(max_examples=25)
@given(few, st.sampled_from(["drop", "pratt"]))
def test_wilcoxon_equals_scipys_exact_permutations(d: list[int], zeros: Zeros) -> None:
    assume(sum(x != 0 for x in d) >= 2)  # scipy permutes no single difference
    method = PermutationMethod(n_resamples=1 << 10)  # above 2⁹: scipy then takes all
    spelled = {"drop": "wilcox", "pratt": "pratt"}[zeros]
    expected = scipy_wilcoxon(np.array(d, float), zero_method=spelled, alternative="greater", method=method)
    assert wilcoxon(np.array(d, float), zeros=zeros) == pytest.approx((expected.statistic, expected.pvalue))


@pytest.mark.parametrize("n", [1, 2, 21, 60, EXACT])
def test_without_ties_both_tests_equal_scipy(n: int) -> None:
    rng = np.random.default_rng(n)
    b = rng.normal(size=n)
    a = b + rng.normal(0.2, 1, size=n)
    found = paired_tests(a, b)
    expected = scipy_wilcoxon(a, b, alternative="greater", method="exact")
    assert (found.w, found.p_wilcoxon) == pytest.approx((expected.statistic, expected.pvalue))
    assert (found.better, found.worse, found.n) == ((a > b).sum(), (a < b).sum(), n)
    if n > 1:
        t = ttest_rel(a, b, alternative="greater")
        ends = ttest_rel(a, b).confidence_interval(0.95)
        assert (found.t, found.p_t) == pytest.approx((t.statistic, t.pvalue))
        assert (found.low, found.difference, found.high) == pytest.approx((ends.low, (a - b).mean(), ends.high))


def test_beyond_the_exact_size_p_changes_by_no_more_than_is_said() -> None:
    for shift in (0.0, 0.05, 0.1):
        d = np.random.default_rng(1).normal(shift, 1, size=EXACT + 1)
        exact = scipy_wilcoxon(d, alternative="greater", method="exact").pvalue
        assert wilcoxon(d)[1] == pytest.approx(exact, abs=2e-4)


def test_the_published_comparison_of_two_losses_is_found_again() -> None:
    """Log-confidence against cross-entropy, PGR of 21 tasks read off the figures of EleutherAI's report."""
    found = paired_tests(column("loss", "logconf"), column("loss", "xent"))
    assert (found.better, found.n, found.dropped) == (16, 21, 0)
    assert found.t == pytest.approx(1.132, abs=0.01)
    assert found.p_t == pytest.approx(0.1355, abs=1e-3)
    assert found.w == 157
    # Reading off pixels makes ties that the report's own numbers do not have. Without, W+ = 157 is its .0785670:
    signs = np.where(np.isin(np.arange(1, 22), [21, 20, 13, 11, 9]), -1, 1)
    assert wilcoxon(signs * np.arange(1.0, 22.0)) == pytest.approx((157, 0.0785670), abs=1e-7)
    assert found.p_wilcoxon == pytest.approx(0.0771, abs=1e-4)
    back = paired_tests(column("loss", "xent"), column("loss", "logconf"))
    assert back.t == -found.t
    assert back.p_t == pytest.approx(1 - found.p_t)


def test_rounding_neither_breaks_ties_nor_makes_differences() -> None:
    a, b = [0.3, 0.2, 0.1 + 0.2, 0.9], [0.2, 0.1, 0.3, 0.7]  # 0.3 - 0.2 < 0.2 - 0.1; 0.1 + 0.2 > 0.3
    found = paired_tests(a, b)
    assert (found.better, found.worse, found.n) == (3, 0, 4)
    assert (found.w, found.p_wilcoxon) == (6, 1 / 8)
    tiny = paired_tests(np.array(a) * 1e-9, np.array(b) * 1e-9)
    assert (tiny.w, tiny.better) == (6, 3)


@pytest.mark.parametrize(
    ("a", "b", "t", "p_t", "p_wilcoxon"),
    [
        ([], [], np.nan, np.nan, np.nan),
        ([0.5], [0.4], np.nan, np.nan, 0.5),
        ([0.5, 0.7], [0.5, 0.7], np.nan, np.nan, 1.0),
        ([0.5, 0.7, 0.9], [0.4, 0.6, 0.8], np.inf, 0.0, 0.125),
        ([0.4, 0.6, 0.8], [0.5, 0.7, 0.9], -np.inf, 1.0, 1.0),
    ],
)
def test_what_is_not_defined_is_nan_without_a_warning(
    a: list[float], b: list[float], t: float, p_t: float, p_wilcoxon: float
) -> None:
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        found = paired_tests(a, b)
    assert (found.t, found.p_t, found.p_wilcoxon) == pytest.approx((t, p_t, p_wilcoxon), nan_ok=True)
    assert np.isnan(found.low) == (len(a) < 2)


def test_tasks_are_joined_by_name_and_those_without_a_value_are_counted() -> None:
    a, b = {"x": 0.9, "y": 0.8, "z": np.nan, "u": 0.3}, {"u": 0.2, "z": 0.1, "y": 0.9, "x": 0.5}
    found = paired_tests(a, b)
    assert (found.better, found.worse, found.n, found.dropped) == (2, 1, 3, 1)
    assert found == paired_tests(pd.Series(a), pd.Series(b))
    in_order = paired_tests([0.9, 0.8, 0.3], [0.5, 0.9, 0.2])
    assert (found.t, found.p_wilcoxon) == (in_order.t, in_order.p_wilcoxon)
    with pytest.raises(InputError, match="not the same tasks"):
        paired_tests(a, {"u": 0.2, "z": 0.1, "y": 0.9})
    with pytest.raises(InputError, match="in the same way"):
        paired_tests(a, [1, 2, 3, 4])
    with pytest.raises(InputError, match="one number a task"):
        paired_tests([1, 2], [1])
    with pytest.raises(InputError, match="infinite"):
        paired_tests([1, np.inf], [1, 2])
    with pytest.raises(InputError, match="twice"):
        paired_tests(pd.Series([1.0, 2.0], index=["x", "x"]), pd.Series([1.0, 2.0], index=["x", "y"]))


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_equals_its_definition(p: list[float]) -> None:
    """Adjusted is the smallest level at which stepping down from the smallest p rejects the hypothesis."""
    adjusted = holm({str(i): value for i, value in enumerate(p)})
    for i, value in enumerate(p):
        needed = [min(1.0, max(sum(w >= v for w in p) * v for v in p if v <= value))]
        assert adjusted[str(i)] == pytest.approx(needed[0])


def test_holm_passes_nan_by_and_refuses_what_is_no_probability() -> None:
    adjusted = holm({"a": 0.01, "b": 0.04, "none": float("nan"), "c": 0.03})
    assert adjusted == pytest.approx({"a": 0.03, "b": 0.06, "none": float("nan"), "c": 0.06}, nan_ok=True)
    assert holm({}) == {}
    with pytest.raises(InputError, match="'b' is 1"):
        holm({"a": 0.5, "b": 1.2})


def test_holm_keeps_the_chance_of_any_false_rejection_where_plain_p_values_do_not() -> None:
    p = np.random.default_rng(0).random((2000, 10))
    corrected = np.mean([min(holm(dict(zip("abcdefghij", row, strict=True))).values()) < 0.05 for row in p])
    assert corrected == pytest.approx(0.05, abs=0.015)
    assert (p.min(axis=1) < 0.05).mean() > 0.3


def test_agreement_counts_equal_sides_of_one_half_and_tells_errors_apart() -> None:
    weak, student, truth = [0.9, 0.8, 0.1, 0.2, 0.6], [0.6, 0.1, 0.3, 0.9, 0.7], [1, 0, 0, 1, 0]
    plain = agreement(student, weak)
    assert (plain.share.value, plain.n, plain.on_errors, plain.oracle) == (0.6, 5, None, False)
    known = agreement(student, weak, truth)
    assert known.oracle
    assert known.errors == 3  # rows 1, 3 and 4
    assert known.on_errors is not None
    assert known.on_right is not None
    assert (known.on_errors.value, known.on_right.value) == pytest.approx((1 / 3, 1))
    assert known.share == plain.share
    faultless = agreement(student, weak, [1, 1, 0, 0, 1])
    assert faultless.on_errors is not None
    assert np.isnan(faultless.on_errors.value)
    with pytest.raises(InputError, match="one a row"):
        agreement([0.5], weak)
    with pytest.raises(InputError, match="at least one"):
        agreement([], [])


@pytest.mark.parametrize(("n", "p"), [(12, 0.95), (40, 0.5), (60, 0.98), (400, 0.9)])
def test_the_interval_of_agreement_covers_where_a_bootstrap_of_rows_does_not(n: int, p: float) -> None:
    """Exactly, by summing over every number of rows that may agree."""
    hits = np.arange(n + 1)
    chance = binom.pmf(hits, n, p)
    ours = [agreement([0.9] * n, [0.9] * k + [0.1] * (n - k)).share for k in hits]
    covered = np.array([one.low <= p <= one.high for one in ours])
    resampled = (binom.ppf(0.025, n, hits / n) / n <= p) & (p <= binom.ppf(0.975, n, hits / n) / n)
    assert 0.87 < chance @ covered < 0.99
    if p > 0.9:
        assert chance @ resampled < 0.8
