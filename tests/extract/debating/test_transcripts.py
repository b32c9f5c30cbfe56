"""Transcripts in files, by models and by people; what is refused; rows first and whole where one is attached."""

import json
from pathlib import Path
from typing import Any

import pytest

from extract.debating import Transcript, Turn, attach, read_transcripts, write_transcripts
from w2s_probes import InputError

IDS = ["a", "b", "c"]


def transcript(row: str, member: int = 0, text: str = "so it is", **fields: Any) -> Transcript:
    turns = (Turn("A", 1, text, 3, True), Turn("B", 0, "no, never", 2, False))
    return Transcript(row, member, "debate", {"A": 1, "B": 0}, turns, **fields)


def lines(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.gz"])
def test_what_is_written_is_read_in_the_order_of_members_and_rows_asked_for(name: str, tmp_path: Path) -> None:
    every = [transcript(row, member, f"{row} {member}", key="k") for row in IDS for member in (1, 0)]
    write_transcripts(every, tmp_path / name)
    found = read_transcripts(tmp_path / name, ["c", "a"], protocol="debate")
    assert [(t.member, t.id) for t in found] == [(0, "c"), (0, "a"), (1, "c"), (1, "a")]
    assert all(read in every for read in found)
    assert (found[0].a_side, found[0].tokens, found[0].key) == (1, 5, "k")
    assert len(read_transcripts(tmp_path / name, IDS, members=1)) == 3


def test_people_need_not_count_tokens_nor_say_who_speaks(tmp_path: Path) -> None:
    path = lines(tmp_path / "people.jsonl", {"id": 7, "sides": {"A": 0, "B": 1}, "turns": [{"text": "x"}] * 3})
    (read,) = read_transcripts(path, ["7"], protocol="debate")
    assert [(turn.speaker, turn.side) for turn in read.turns] == [("A", 0), ("B", 1), ("A", 0)]
    assert read.tokens is None
    path = lines(
        path, {"id": "7", "turns": [{"speaker": "Ann", "side": 1, "text": "x"}, {"speaker": "Ben", "text": ""}]}
    )
    with pytest.raises(InputError, match=r"1 of 2 turns are empty, more than 5%: rows '7'"):
        read_transcripts(path, ["7"])
    path = lines(path, {"id": "7", "protocol": "no-sides", "turns": [{"speaker": "Ann", "text": "x"}]})
    assert read_transcripts(path, ["7"])[0].sides == {}


@pytest.mark.parametrize(
    ("protocol", "speakers"),
    [("debate", "ABA"), ("no-sides", "ABA"), ("consultancy", "AAA"), ("market-making", "AAA")],
)
def test_who_speaks_is_who_does_under_the_protocol(protocol: str, speakers: str, tmp_path: Path) -> None:
    path = lines(tmp_path / "t.jsonl", {"id": "a", "sides": {"A": 1}, "turns": [{"text": "x"}] * 3})
    (read,) = read_transcripts(path, ["a"], protocol=protocol)
    assert "".join(turn.speaker for turn in read.turns) == speakers


def test_a_debate_in_which_one_speaks_is_refused_by_its_first_row(tmp_path: Path) -> None:
    short = [{"id": row, "sides": {"A": 1, "B": 0}, "turns": [{"text": "x"}]} for row in IDS]
    path = lines(tmp_path / "t.jsonl", *short[:2], {**short[2], "turns": [{"text": "x"}] * 2})
    with pytest.raises(InputError, match="in 2 of 3 debates, fewer than two speak: rows 'a', 'b'") as error:
        read_transcripts(path, IDS)
    assert "\n" not in str(error.value)
    assert len(read_transcripts(path, ["c"])) == 1
    assert len(read_transcripts(path, IDS, protocol="consultancy")) == 3


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"turns": [{"text": "x"}]}, "transcript 1: no id"),
        ({"id": "a"}, "transcript 1 of row 'a': no turns"),
        ({"id": "a", "turns": ["x"]}, "turn 1: an object with `text` was expected, not x"),
        ({"id": "a", "turns": [{"text": "x", "side": 2}]}, "side '2': give the label argued for"),
        ({"id": "a", "turns": [{"text": "x", "tokens": -1}]}, "tokens '-1': give a count"),
        ({"id": "a", "turns": [{"text": "x", "cut": 1}]}, "cut '1': give true"),
        ({"id": "a", "turns": [{"text": "x", "speaker": 1}]}, "speaker 1: give a name"),
        ({"id": "a", "member": True, "turns": [{"text": "x"}]}, "member True: give a whole number"),
        ({"id": "a", "sides": [1], "turns": [{"text": "x"}]}, r"sides \[1\]: give each speaker"),
        ({"id": "a", "sides": {"A": 1}, "turns": [{"text": "x", "side": 0}]}, "A argues for 0 here, and for 1"),
        ({"id": "a", "protocol": "debat", "turns": [{"text": "x"}]}, "did you mean 'debate'"),
        ({"id": "a", "protocol": "no-sides", "turns": [{"text": "x"}]}, "is no-sides, and debate was asked for"),
        ({"id": "a", "member": 1, "turns": [{"text": "x"}]}, "member 0 has no transcript of 1 of 1 rows: 'a'"),
        ({"id": "z", "turns": [{"text": "x"}]}, "has no transcript of 1 of 1 rows: 'a' .none of them match"),
    ],
)
def test_lines_that_cannot_be_used_are_refused_by_name(record: Any, says: str, tmp_path: Path) -> None:
    path = lines(tmp_path / "t.jsonl", record)
    with pytest.raises(InputError, match=says):
        read_transcripts(path, ["a"], protocol="debate")


def test_rows_and_members_that_are_lacking_or_doubled_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    write_transcripts([transcript("a"), transcript("b"), transcript("a", 1)], path)
    with pytest.raises(InputError, match="no transcript of 1 of 3 rows: 'c'"):
        read_transcripts(path, IDS)
    with pytest.raises(InputError, match="member 1 has no transcript of 1 of 2 rows: 'b'"):
        read_transcripts(path, ["a", "b"])
    with pytest.raises(InputError, match="member 2 has no transcript"):
        read_transcripts(path, ["a"], members=3)
    write_transcripts([transcript("a"), transcript("a")], path)
    with pytest.raises(InputError, match="member 0 has two transcripts of row 'a'"):
        read_transcripts(path, ["a"])


def test_files_that_are_no_transcripts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in \.jsonl or \.jsonl\.gz"):
        read_transcripts(tmp_path / "t.csv", IDS)
    with pytest.raises(InputError, match="no such file"):
        read_transcripts(tmp_path / "t.jsonl", IDS)
    (tmp_path / "t.jsonl").write_text("")
    with pytest.raises(InputError, match="holds no transcripts"):
        read_transcripts(tmp_path / "t.jsonl", IDS)
    (tmp_path / "t.jsonl.gz").write_text("plain")
    with pytest.raises(InputError, match="not a readable file"):
        read_transcripts(tmp_path / "t.jsonl.gz", IDS)
    with pytest.raises(InputError, match="must end in"):
        write_transcripts([transcript("a")], tmp_path / "t.csv")


def test_a_few_empty_turns_are_kept(tmp_path: Path) -> None:
    every = [transcript(f"r{i}", text="" if i < 2 else "so") for i in range(20)]
    write_transcripts(every, tmp_path / "t.jsonl")
    assert len(read_transcripts(tmp_path / "t.jsonl", [t.id for t in every])) == 20
    write_transcripts([transcript(f"r{i}", text="" if i < 3 else "so") for i in range(20)], tmp_path / "t.jsonl")
    with pytest.raises(InputError, match=r"3 of 40 turns are empty, more than 5%: rows 'r0', 'r1', 'r2'"):
        read_transcripts(tmp_path / "t.jsonl", [t.id for t in every])


def test_a_transcript_stands_after_the_row_and_is_cut_from_its_end() -> None:
    whole = attach("the row", transcript("a"), names=("no", "yes"))
    assert whole.text == "the row\n\nA (yes): so it is\nB (no): no, never"
    assert (whole.row_tokens, whole.transcript_tokens, whole.kept_tokens, whole.cut) == (2, 9, 9, False)
    assert attach("the row", transcript("a")).text == "the row\n\nA: so it is\nB: no, never"
    for window, kept in ((5, 3), (2, 0), (1, 0), (10, 7), (11, 7)):
        cut = attach("the row", transcript("a"), None, window)
        assert "the row\n\nA: so it is\nB: no, never".startswith(cut.text)
        assert (cut.row_tokens, cut.kept_tokens, cut.cut) == (2, kept, kept < 7)
        assert cut.text.startswith("the row")
    assert attach("the row", Transcript("a", 0, "debate", {}, (Turn("A", 1, " "),))).text == "the row"


def test_tokens_of_the_tokenizer_are_counted_with_its_special_ones() -> None:
    class Letters:
        """A token a letter, after one that begins the text."""

        def __call__(self, text: str, verbose: bool = True) -> dict[str, list[int]]:
            return {"input_ids": [0, *map(ord, text)]}

    found = attach("row", transcript("a"), Letters(), 15)
    assert (found.text, found.row_tokens, found.kept_tokens) == ("row\n\nA: so it", 4, 10)
    assert found.transcript_tokens == len("\n\nA: so it is\nB: no, never")
