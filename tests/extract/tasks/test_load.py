"""Tasks: label rules, multiple choice, pairs, groups and candidates, from tables made here."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.tasks import Task
from extract.tasks.contrast import contrast_rows
from w2s_probes.io.validated import validated
from w2s_probes.rows.ids import content_id

CHOICES = {
    "text": "Q: {question} A: {choice}",
    "choices": ["a", "b", "c"],
    "answer": {"field": "right", "base": 0},
}
PAIR = {"text": "1: {first} 2: {second}", "pair": ["good", "bad"]}


def task(**content: Any) -> Task:
    return validated(Task, content, "task")


def quiz(n: int = 400) -> pd.DataFrame:
    """n questions, the right choice in turn at each place."""
    rows = [{"question": f"q{i}", "a": f"x{i}", "b": f"y{i}", "c": f"z{i}", "right": i % 3} for i in range(n)]
    return pd.DataFrame(rows)


def labels(rule: dict[str, Any], *values: Any) -> dict[str, int]:
    """What label each value, used as the text too, gets."""
    table = pd.DataFrame({"text": [f"t{i}" for i in range(len(values))], "value": pd.Series(values, dtype=object)})
    rows = task(text="{text}", label={"field": "value", **rule}).rows(table, "file")
    return dict(zip(rows["text"], rows["label"], strict=True))


def test_a_label_is_the_same_value_however_the_file_writes_it() -> None:
    assert labels({"positive": [1]}, 1, "1", 1.0, np.int64(1), 0, "0", 0.0) == {
        **{f"t{i}": 1 for i in range(4)},
        **{f"t{i}": 0 for i in range(4, 7)},
    }
    assert list(labels({"positive": [True]}, True, "true", False, np.bool_(True)).values()) == [1, 1, 0, 1]


def test_rules_by_negative_values_words_and_thresholds() -> None:
    assert list(labels({"negative": [42]}, 42, 7, "42").values()) == [0, 1, 0]
    assert labels({"positive": [0], "negative": [2]}, 0, 1, 2, -1) == {"t0": 1, "t2": 0}  # others are left out
    tags = labels({"contains": ["mate"]}, "mate mateIn2", "mateIn2 long", ["long", "mate"], np.array(["mateIn1"]))
    assert list(tags.values()) == [1, 0, 1, 0]  # whole words
    assert list(labels({"above": 2.5}, 2.5, 3, "4.1", -1).values()) == [0, 1, 1, 0]


def test_each_question_gives_its_right_answer_or_one_distractor_with_equal_probability() -> None:
    table = quiz(3000)
    rows = task(**CHOICES).rows(table, "file")
    assert len(rows) == 3000
    assert rows["label"].mean() == pytest.approx(0.5, abs=0.03)  # 3.3 standard errors
    drawn = []
    for text, label, (_, record) in zip(rows["text"], rows["label"], table.iterrows(), strict=True):
        place = next(at for at, name in enumerate("abc") if text == f"Q: {record['question']} A: {record[name]}")
        assert (place == record["right"]) == bool(label)
        drawn.append((place - record["right"]) % 3)
    assert Counter(drawn)[1] == pytest.approx(750, abs=90)  # both distractors alike
    assert Counter(drawn)[2] == pytest.approx(750, abs=90)


def test_the_draw_is_the_contents_alone_not_the_rows_place_nor_the_order_of_the_choices() -> None:
    table = quiz()
    rows = task(**CHOICES).rows(table, "file")
    shuffled = task(**CHOICES).rows(table.sample(frac=1, random_state=1), "file")
    assert dict(zip(rows["text"], rows["label"], strict=True)) == dict(
        zip(shuffled["text"], shuffled["label"], strict=True)
    )
    turned = table.rename(columns={"a": "b", "b": "a"}).assign(right=table["right"].map({0: 1, 1: 0, 2: 2}))
    assert task(**CHOICES).rows(turned, "file").equals(rows)
    other = table.assign(question=table["question"] + "?")
    assert (task(**CHOICES).rows(other, "file")["label"] != rows["label"]).mean() == pytest.approx(0.5, abs=0.1)


def test_every_way_to_give_choices_and_answer_means_the_same() -> None:
    table = quiz()
    expected = task(**CHOICES).rows(table, "file")
    right = table["right"]
    listed = pd.DataFrame(
        {
            "question": table["question"],
            "nested": [{"text": np.array(row)} for row in table[["a", "b", "c"]].to_numpy().tolist()],
            "entries": [[{"text": t} for t in row] for row in table[["a", "b", "c"]].to_numpy().tolist()],
            "index": right,
            "number": (right + 1).astype(str),
            "letter": right.map({0: "A", 1: "b", 2: "C"}),
            "solution": [row["abc"[row["right"]]] for _, row in table.iterrows()],
        }
    )
    for choices in ("nested.text", "entries.text"):
        for answer in (
            {"field": "index", "base": 0},
            {"field": "number", "base": 1},
            {"field": "letter"},
            {"field": "letter", "kind": "letter"},
            {"field": "solution"},
            {"field": "solution", "kind": "text"},
        ):
            found = task(text=CHOICES["text"], choices=choices, answer=answer).rows(listed, "file")
            assert found.equals(expected), (choices, answer)


def test_candidates_are_all_choices_once_each_with_the_right_one_marked() -> None:
    table = quiz(60)
    rows, candidates = task(**CHOICES).with_candidates(table, "file")
    assert candidates is not None
    assert candidates.columns.tolist() == ["id", "text", "label", "group", "question", "row"]
    assert len(candidates) == 180
    assert (candidates.groupby("question")["label"].sum() == 1).all()
    right = {f"Q: {r['question']} A: {r['abc'[r['right']]]}" for _, r in table.iterrows()}
    assert set(candidates["text"][candidates["label"] == 1]) == right
    drawn = rows.merge(candidates, on="id", suffixes=("", "_c"))
    assert len(drawn) == 60  # each row is one of its candidates, with the same label and group
    assert (drawn["label"] == drawn["label_c"]).all()
    assert (drawn["group"] == drawn["group_c"]).all()
    assert set(candidates["row"]) == set(rows["id"])
    # Neither the order of the candidates nor their number tells which is right.
    assert candidates.groupby("question")["label"].apply(lambda c: int(c.to_numpy().argmax())).nunique() == 3


def test_questions_group_by_themselves_and_choices_equal_to_the_right_one_are_none() -> None:
    table = pd.concat([quiz(50), quiz(50).assign(a=lambda t: t["a"] + "!")])  # the same questions, other choices
    rows, candidates = task(**CHOICES).with_candidates(table, "file")
    assert candidates is not None
    assert rows["group"].nunique() == 50
    assert candidates["question"].nunique() == 100
    same = pd.DataFrame([{"question": f"q{i}", "a": "x", "b": "x", "c": "xy"[i % 2], "right": 0} for i in range(60)])
    rows = task(**CHOICES).rows(same, "file")
    assert rows["text"].str.startswith("Q: q").all()
    assert len(rows) == 30  # the others have nothing but the right answer


def test_pairs_come_in_either_order_by_content_and_their_candidates_are_both_orders() -> None:
    table = pd.DataFrame([{"good": f"nice {i}", "bad": f"vile {i}"} for i in range(2000)])
    rows, candidates = task(**PAIR).with_candidates(table, "file")
    assert rows["label"].mean() == pytest.approx(0.5, abs=0.035)
    assert ((rows["text"].str.startswith("1: nice")) == rows["label"].astype(bool)).all()
    assert task(**PAIR).rows(table[::-1].reset_index(drop=True), "file")["text"].tolist() == rows["text"].tolist()[::-1]
    assert candidates is not None
    assert len(candidates) == 4000
    assert set(candidates["text"][candidates["label"] == 0]) == {f"1: vile {i} 2: nice {i}" for i in range(2000)}
    assert rows["group"].nunique() == 2000
    equal = pd.concat([table, pd.DataFrame([{"good": "same", "bad": "same"}])])
    assert len(task(**PAIR).rows(equal, "file")) == 2000  # nobody can say which of two equal texts is better


def test_questions_that_contradict_each_other_are_left_out_whole() -> None:
    pairs = [{"good": f"nice {i}", "bad": f"vile {i}"} for i in range(40)]
    expected = task(**PAIR).rows(pd.DataFrame(pairs), "file")
    for template in (PAIR["text"], "{choice}"):
        reversed_one = pd.DataFrame([*pairs, {"good": "vile 7", "bad": "nice 7"}])
        rows, candidates = task(text=template, pair=PAIR["pair"]).with_candidates(reversed_one, "file")
        assert candidates is not None
        assert len(rows) == 39
        assert not pd.concat([rows["text"], candidates["text"]]).str.contains("(?:nice|vile) 7(?: |$)").any()
    twice = task(**PAIR).rows(pd.DataFrame([*pairs, pairs[7]]), "file")
    assert twice.equals(expected)
    choices = quiz(40)
    other = choices[3:4].assign(right=(choices["right"][3] + 1) % 3)
    assert len(task(**CHOICES).rows(pd.concat([choices, other]), "file")) == 39


def test_the_shared_beginning_of_a_pair_is_cut_at_its_mark_and_groups_it() -> None:
    table = pd.DataFrame(
        [
            {"good": f"H: hi {i // 2}\nA: Yes, {i}.", "bad": f"H: hi {i // 2}\nA: Yes, not {i}.\nA: more"}
            for i in range(80)
        ]
    )
    one = task(text="{shared}{choice}", pair=["good", "bad"], shared="\nA:").rows(table, "file")
    assert set(one["text"]) <= {*table["good"], *table["bad"]}
    assert ((one["text"].isin(table["good"])) == one["label"].astype(bool)).all()
    assert one["group"].nunique() == 40
    both = task(text="{shared}|{first}|{second}", pair=["good", "bad"], shared="\nA:").rows(table, "file")
    start, *replies = both["text"][0].split("|")
    assert start == "H: hi 0"
    assert sorted(replies) == ["\nA: Yes, 0.", "\nA: Yes, not 0.\nA: more"]
    assert both["group"].tolist()[0] == both["group"].tolist()[1] != both["group"].tolist()[2]
    none = pd.DataFrame([{"good": f"good {i}", "bad": f"bad {i}"} for i in range(20)])
    alone = task(text="{shared}{choice}", pair=["good", "bad"], shared="\nA:").rows(none, "file")
    assert alone["group"].nunique() == 20  # pairs that share nothing are not related for it


def test_groups_are_all_their_fields_jointly_or_a_part_of_one() -> None:
    table = pd.DataFrame(
        [{"s": f"{side}{space}[SEP] {trait}", "t": t, "y": i % 2} for i, (side, space, trait, t) in enumerate(
            [("kind", " ", "x", 1), ("kind", "", "y", 1), ("kin", " ", "x", 1), ("kind", " ", "z", 2)])]
    )  # fmt: skip
    base = {"text": "{s}", "label": {"field": "y", "positive": [1]}}
    part = task(**base, group=[{"field": "s", "before": "[SEP]"}]).rows(table, "file")["group"].tolist()
    assert part[0] == part[1] == part[3] == content_id("kind") != part[2]
    joint = task(**base, group=["t", {"field": "s", "before": "[SEP]"}]).rows(table, "file")["group"].tolist()
    assert joint[0] == joint[1] not in (joint[2], joint[3])


def test_lists_are_joined_line_by_line_and_rows_without_text_are_left_out() -> None:
    table = pd.DataFrame({"turns": [["a", "b"], np.array(["c"]), [" "]], "y": [1, 0, 1]})
    rows = task(text="{turns}", label={"field": "y", "positive": [1]}).rows(table, "file")
    assert rows["text"].tolist() == ["a\nb", "c"]


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), min_size=2, max_size=5, unique=True))
def test_choices_with_braces_and_any_characters_go_into_the_text_as_they_are(choices: list[str]) -> None:
    choices = [*choices, "{question}"] if "{question}" not in choices else choices
    table = pd.DataFrame([{"question": f"{{x}} {i}", "list": choices, "right": i % len(choices)} for i in range(40)])
    _, candidates = task(
        text="{question}|{choice}", choices="list", answer={"field": "right", "base": 0}
    ).with_candidates(table, "file")
    assert candidates is not None
    assert set(candidates["text"]) == {f"{{x}} {i}|{choice}" for i in range(40) for choice in choices}


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=9), min_size=1, max_size=4))
def test_sides_say_either_label_of_the_text_as_it_is_braces_and_all(texts: list[str]) -> None:
    texts = [*texts, "{text} {choice} \\1"]
    rows = pd.DataFrame({"id": [f"r{row}" for row in range(len(texts))], "text": texts})
    sides = contrast_rows(rows, ["{text} Yes", "No, not {text}"])
    plus, minus = [f"{text} Yes" for text in texts], [f"No, not {text}" for text in texts]
    assert dict(zip(sides["id"], sides["text"], strict=True)) == {
        **{f"r{row}+": text for row, text in enumerate(plus)},
        **{f"r{row}-": text for row, text in enumerate(minus)},
    }
