"""What is said of several layers at once, and how many wrong rows a sample finds: beside brute force."""

from itertools import pairwise, product

import numpy as np
import pytest

from extract.examining.candidates import Candidate
from extract.examining.layer_finding import LayerFinding, all_in_words
from extract.examining.sampling import drawn_places, least_found, stretches


def held(layer: int, holds: int) -> LayerFinding:
    fault = () if layer == holds else (f"holds layer {holds}",)
    return LayerFinding(layer, fault, 0.5, 0.1, Candidate(holds, "last"))


def other(layer: int, fault: str) -> LayerFinding:
    return LayerFinding(layer, (fault,), 0.5, 0.1)


@pytest.mark.parametrize(
    ("findings", "words"),
    [
        ([held(1, 1)], ""),
        ([held(1, 2), held(2, 2)], "layer 1 holds layer 2"),
        ([held(1, 2), held(2, 1)], "layers 1 and 2 are exchanged"),
        ([held(1, 2), held(2, 3), held(3, 1)], "layers 1, 2 and 3 hold layers 2, 3 and 1"),
        ([held(1, 2), held(2, 1), held(4, 5)], "layers 1 and 2 are exchanged; layer 4 holds layer 5"),
        (
            [held(0, 3), held(1, 2), held(2, 1), held(3, 0)],
            "layers 0 and 3 are exchanged; layers 1 and 2 are exchanged",
        ),
        ([held(0, 0), other(1, "rows in another order")], "layer 1: rows in another order"),
        (
            [other(1, "a"), held(2, 3), other(3, "a"), other(4, "b"), other(5, "c")],
            "layer 2 holds layer 3; layers 1 and 3: a; layer 4: b; layer 5: c",
        ),
        ([other(at, f"fault {at}") for at in range(4)], "layer 0: fault 0; layer 1: fault 1; layer 2: fault 2; "
         "layer 3: another fault"),
        ([other(at, f"{at}") for at in range(5)], "layer 0: 0; layer 1: 1; layer 2: 2; layers 3 and 4: other faults"),
    ],
)  # fmt: skip
def test_several_faults_are_one_sentence(findings: list[LayerFinding], words: str) -> None:
    assert all_in_words(findings) == words


def test_a_layer_that_holds_another_and_more_is_told_apart_from_a_mere_exchange() -> None:
    both = LayerFinding(1, ("holds layer 2", "position first, not last"), 0.5, 0.1, Candidate(2, "first"))
    assert all_in_words([both, held(2, 1)]) == "layer 2 holds layer 1; layer 1: holds layer 2; position first, not last"


def test_one_row_of_each_stretch_is_drawn_and_all_where_there_are_no_more() -> None:
    for rows, count in ((7, 3), (40, 12), (5, 9), (1000, 32)):
        ends = stretches(rows, count)
        assert (ends[0], ends[-1], len(ends)) == (0, rows, min(rows, count) + 1)
        assert np.ptp(np.diff(ends)) <= 1
        for seed in range(5):
            places = drawn_places(rows, count, seed)
            assert ((ends[:-1] <= places) & (places < ends[1:])).all()
    assert drawn_places(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert {tuple(drawn_places(4, 2, seed)) for seed in range(60)} == set(product((0, 1), (2, 3)))


def test_as_many_wrong_rows_as_said_are_found_wherever_they_stand() -> None:
    assert [least_found(rows, 32) for rows in (20, 32)] == [1, 1]
    assert least_found(900, 32) == 83  # 32 stretches of 29 rows at most: 928 (1 - .05^(1/32)) = 82.9
    assert least_found(100_000, 32) == 8937  # 8.94 %
    rng = np.random.default_rng(0)
    rows, count = 300, 20
    least, ends = least_found(rows, count), stretches(300, 20)
    patterns = {
        "every so many": np.arange(0, rows, rows / least).astype(int)[:least],
        "at random": rng.permutation(rows)[:least],
        "a block": np.arange(50, 50 + least),
        "alike in all": np.concatenate([start + np.arange(3) for start in ends[:-1]])[:least],
    }
    for name, wrong in patterns.items():
        assert len(set(wrong.tolist())) == least, name
        inside = [np.isin(np.arange(a, b), wrong).mean() for a, b in pairwise(ends)]
        exact = 1 - np.prod(1 - np.array(inside))
        assert exact >= 0.95, name
        hits = np.mean(
            [bool(set(drawn_places(rows, count, seed).tolist()) & set(wrong.tolist())) for seed in range(400)]
        )
        assert hits == pytest.approx(exact, abs=0.04), name
    fewer = np.concatenate([start + np.arange(2) for start in ends[:-1]])[: least - 4]
    inside = [np.isin(np.arange(a, b), fewer).mean() for a, b in pairwise(ends)]
    assert 1 - np.prod(1 - np.array(inside)) < 0.95  # and no fewer would do, when spread evenly
