"""Shuffled transcripts: of another row of the same split, whose A argued for the same, groups as wholes."""

import pandas as pd
import pytest

from extract.debating import Transcript, Turn
from extract.debating.protocols import a_argues_for
from extract.debating.shuffling import shuffled
from w2s_probes import InputError


def debated(rows: pd.DataFrame, members: int = 2) -> list[Transcript]:
    sides = {row: {"A": a_argues_for(row), "B": 1 - a_argues_for(row)} for row in rows["id"]}
    return [
        Transcript(row, member, "debate", sides[row], (Turn("A", sides[row]["A"], row),))
        for member in range(members)
        for row in rows["id"]
    ]


def table(n: int, size: int = 1) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [f"r{i}" for i in range(n)],
            "group": [f"g{i // size}" for i in range(n)],
            "split": ["train" if i < n // 2 else "test" for i in range(n)],
        }
    )


@pytest.mark.parametrize("size", [1, 2, 4])
def test_each_row_gets_the_transcript_of_another_group_of_its_split_on_the_same_side(size: int) -> None:
    rows = table(160, size)
    moved, unmoved = shuffled(debated(rows), rows)
    assert [(t.member, t.id) for t in moved] == [(t.member, t.id) for t in debated(rows)]
    by_id = rows.set_index("id")
    for transcript in moved:
        donor = transcript.turns[0].text
        assert by_id["split"][donor] == by_id["split"][transcript.id]
        assert by_id["group"][donor] != by_id["group"][transcript.id]
        assert transcript.a_side == a_argues_for(transcript.id) == a_argues_for(donor)
    assert unmoved == 0
    assert sorted(t.turns[0].text for t in moved if t.member == 1) == sorted(rows["id"])
    assert {(t.id, t.turns[0].text) for t in moved if t.member} == {
        (t.id, t.turns[0].text) for t in moved if not t.member
    }


def test_groups_that_are_alike_go_as_wholes() -> None:
    rows = table(400, 2)
    moved, _ = shuffled(debated(rows, 1), rows)
    donors = {t.id: int(t.turns[0].text[1:]) // 2 for t in moved}
    assert all(donors[f"r{i}"] == donors[f"r{i + 1}"] for i in range(0, 400, 2))


def test_the_order_of_rows_does_not_matter_and_the_seed_does() -> None:
    rows = table(80, 2)
    one = {t.id: t.turns[0].text for t in shuffled(debated(rows), rows)[0]}
    turned = rows[::-1].reset_index(drop=True)
    assert {t.id: t.turns[0].text for t in shuffled(debated(turned), turned)[0]} == one
    assert {t.id: t.turns[0].text for t in shuffled(debated(rows), rows, seed=1)[0]} != one


def test_a_row_without_another_keeps_its_own_and_is_counted() -> None:
    rows = pd.DataFrame({"id": ["a1", "a2"]})  # one on either side
    moved, unmoved = shuffled(debated(rows, 1), rows)
    assert [t.turns[0].text for t in moved] == ["a1", "a2"]
    assert unmoved == 2
    with pytest.raises(InputError, match="rows without a transcript to shuffle: 'a3'"):
        shuffled(debated(rows), pd.DataFrame({"id": ["a1", "a3"]}))


def test_every_members_sides_are_kept_where_they_differ() -> None:
    rows = table(160)
    said = [
        Transcript(row, member, "debate", {"A": a_argues_for(f"{row} {member}")}, (Turn("A", None, row),))
        for member in range(2)
        for row in rows["id"]
    ]
    moved, unmoved = shuffled(said, rows)
    assert unmoved == 0
    assert all(each.a_side == a_argues_for(f"{each.id} {each.member}") for each in moved)
