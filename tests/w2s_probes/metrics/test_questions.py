"""Accuracy by question against a loop over questions, and against what guessing gets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2s_probes import InputError
from w2s_probes.metrics.question_accuracy import question_accuracy, question_hits

QUESTIONS = st.lists(
    st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=5).filter(
        lambda candidates: len({right for right, _ in candidates}) == 2
    ),
    min_size=1,
    max_size=8,
)


@given(QUESTIONS, st.randoms(use_true_random=False))
def test_hits_are_those_of_a_loop_over_questions_in_any_order_of_rows(questions, random) -> None:  # type: ignore[no-untyped-def]
    expected = {}
    for number, candidates in enumerate(questions):
        top = max(score for _, score in candidates)
        tied = [right for right, score in candidates if score == top]
        expected[f"q{number}"] = sum(tied) / len(tied)
    rows = [(f"q{number}", *c) for number, candidates in enumerate(questions) for c in candidates]
    random.shuffle(rows)
    ids, right, scores = zip(*rows, strict=True)
    names, hits = question_hits(ids, right, scores)
    assert names.tolist() == list(dict.fromkeys(ids))
    assert dict(zip(names, hits, strict=True)) == pytest.approx(expected)
    assert question_accuracy(ids, right, scores) == pytest.approx(np.mean(list(expected.values())))


def test_constant_scores_get_what_guessing_gets_and_perfect_ones_everything() -> None:
    ids = np.repeat(np.array([f"q{i}" for i in range(50)], dtype=object), 4)
    right = np.tile([0, 0, 1, 0], 50)
    assert question_accuracy(ids, right, np.zeros(200)) == pytest.approx(0.25)
    assert question_accuracy(ids, right, right) == 1
    assert question_accuracy(ids, right, -right) == 0


@pytest.mark.parametrize(
    ("ids", "right", "scores", "message"),
    [
        (["a", "a"], [1, 0], [0.5, np.nan], "score of candidate 2 is not a finite number"),
        (["a", "a", "b", "b"], [1, 0, 0, 0], [1, 2, 3, 4], r"1 of 2 questions have no right or no wrong .*: 'b'"),
        (["a", "b"], [1, 1], [1, 2], r"2 of 2 questions have no right or no wrong candidate: 'a', 'b'"),
        (["a", None], [1, 0], [1, 2], "candidate 2 has no question id"),
        (["a", "a"], [1, 0, 0], [1, 2], r"of one length, a candidate each, but are \(2,\), \(3,\) and \(2,\)"),
        ([], [], [], "no candidates"),
    ],
)
def test_scores_that_decide_nothing_are_refused(
    ids: list[str], right: list[int], scores: list[float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        question_accuracy(ids, right, scores)
