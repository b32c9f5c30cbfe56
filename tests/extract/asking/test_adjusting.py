"""Calibration, and probabilities within questions and pairs against a sum over every case."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from extract.asking.adjusting import bias, consistent
from w2s_probes import InputError

LOG_ODDS = st.lists(st.floats(-30, 30), min_size=2, max_size=5)


def by_cases(log_odds: list[float], allowed: set[int]) -> list[float]:
    """P(1) of each of independent answers, given that the number of true ones is allowed: over all 2**n cases."""
    p, total, sums = expit(np.array(log_odds)), 0.0, np.zeros(len(log_odds))
    for case in itertools.product((0, 1), repeat=len(log_odds)):
        if sum(case) in allowed:
            weight = np.prod(np.where(case, p, expit(-np.array(log_odds))))
            total += weight
            sums += weight * np.array(case)
    return list(sums / total)


@given(LOG_ODDS)
def test_of_a_questions_rows_one_is_true_at_most(log_odds: list[float]) -> None:
    rows = pd.DataFrame({"id": range(len(log_odds)), "question": "q"})
    p, together = consistent(np.array(log_odds), rows)
    assert p == pytest.approx(by_cases(log_odds, {0, 1}), abs=1e-9)
    assert together == 1
    assert p.sum() <= 1 + 1e-12


@given(st.floats(-15, 15), st.floats(-15, 15))
def test_of_a_pair_exactly_one_is_true(a: float, b: float) -> None:
    rows = pd.DataFrame({"id": ["ab", "ba"], "pair": ["x", "x"]})
    p, _ = consistent(np.array([a, b]), rows)
    assert p == pytest.approx(by_cases([a, b], {1}), abs=1e-9)
    assert p.sum() == pytest.approx(1)


def test_other_rows_stand_alone_whatever_the_order() -> None:
    rows = pd.DataFrame(
        {"id": list("abcde"), "question": ["q", None, "q", "r", None], "pair": [None, "x", None, None, "x"]}
    )
    log_odds = np.array([1.0, 2.0, 0.5, -1.0, 0.3])
    p, together = consistent(log_odds, rows)
    assert together == 2
    assert p[3] == pytest.approx(expit(-1.0))
    assert p[1] + p[4] == pytest.approx(1)
    back = consistent(log_odds[::-1], rows[::-1].reset_index(drop=True))[0]
    assert back[::-1] == pytest.approx(p)
    assert consistent(log_odds, rows[["id"]])[0] == pytest.approx(expit(log_odds))


def test_three_rows_are_no_pair_and_no_row_has_both() -> None:
    with pytest.raises(InputError, match="pair 'x' has 3 rows"):
        consistent(np.zeros(3), pd.DataFrame({"id": list("abc"), "pair": "x"}))
    with pytest.raises(InputError, match="row 'b' has a question and a pair"):
        consistent(np.zeros(2), pd.DataFrame({"id": ["a", "b"], "pair": ["x", "y"], "question": [None, "q"]}))


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=8))
def test_the_bias_is_that_of_the_mean_answer(log_odds: list[float]) -> None:
    assert bias(np.array(log_odds)) == pytest.approx(logit(expit(np.array(log_odds)).mean()), abs=1e-6)


def test_the_bias_is_finite_where_probabilities_are_not() -> None:
    assert bias(np.array([-800.0, -900.0])) == pytest.approx(-800 - np.log(2))
