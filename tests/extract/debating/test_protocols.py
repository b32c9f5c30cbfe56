"""Who argues for what: by id and seed alone."""

import numpy as np
import pytest

from extract.debating.protocols import (
    a_argues_for,
    naive_beliefs,
    refuse_equal_members,
    refuse_names,
    refuse_protocol,
    sides_of,
    speaker_of,
)
from w2s_probes import InputError


def test_sides_are_those_worked_out_by_hand_and_balanced() -> None:
    assert [a_argues_for(f"a{i}") for i in range(1, 9)] == [1, 0, 1, 0, 0, 1, 0, 0]
    assert np.mean([a_argues_for(f"r{i}") for i in range(10_000)]) == pytest.approx(0.5007, abs=1e-9)
    assert [a_argues_for(f"a{i}", seed=1) for i in range(1, 9)] != [a_argues_for(f"a{i}") for i in range(1, 9)]


def test_each_protocol_has_its_sides_and_speakers() -> None:
    assert sides_of("debate", "a1") == {"A": 1, "B": 0}
    assert sides_of("consultancy", "a1") == {"A": 1}
    assert sides_of("no-sides", "a1") == {}
    assert [sides_of("market-making", "a1", naive=p)["A"] for p in (0.0, 0.5, 0.51, 1.0)] == [1, 1, 0, 0]
    assert "".join(speaker_of("no-sides", turn) for turn in range(1, 6)) == "ABABA"
    assert {speaker_of("market-making", turn) for turn in range(1, 4)} == {"A"}


@pytest.mark.parametrize(
    ("protocol", "turns", "members", "says"),
    [
        ("debat", 3, 4, "protocol 'debat': did you mean 'debate'"),
        ("debate", 1, 4, "turns=1: a debate needs at least 2"),
        ("consultancy", 0, 4, "turns=0: at least 1"),
        ("debate", 3, 0, "members=0: at least 1"),
    ],
)
def test_debates_that_cannot_be_held_are_refused(protocol: str, turns: int, members: int, says: str) -> None:
    with pytest.raises(InputError, match=says):
        refuse_protocol(protocol, turns, members)
    assert refuse_protocol("consultancy", 1, 1) == "consultancy"


@pytest.mark.parametrize("names", [("no",), ("no", " "), ("no", "no "), ("a", "b", "c")])
def test_names_are_two_and_different(names: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="give two, those of labels 0 and 1"):
        refuse_names(names)


def test_market_making_needs_the_naive_label_of_each_row() -> None:
    assert naive_beliefs("market-making", ["a"], {"a": 0.5, "z": 1}) == {"a": 0.5, "z": 1}
    with pytest.raises(InputError, match="give its labels, P"):
        naive_beliefs("market-making", ["a"], None)
    with pytest.raises(InputError, match="have none of 1 of 2 rows: 'b'"):
        naive_beliefs("market-making", ["a", "b"], {"a": 1})
    for p in (1.5, float("nan")):
        with pytest.raises(InputError, match="the naive label of row 'a' is"):
            naive_beliefs("market-making", ["a"], {"a": p})
    with pytest.raises(InputError, match="and the protocol is debate"):
        naive_beliefs("debate", ["a"], {"a": 1})
    assert naive_beliefs("debate", ["a"], None) == {}


def test_members_that_draw_nothing_are_one() -> None:
    refuse_equal_members(0, 1)
    refuse_equal_members(0.1, 4)
    with pytest.raises(InputError, match="temperature=0 gives all 4 members the same transcripts"):
        refuse_equal_members(0, 4)
