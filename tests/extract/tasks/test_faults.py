"""Faults in task files and in their tables: one line that names the place, the key and the remedy."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from extract.tasks import TASKS, Task, find_task, read_task
from w2s_probes import InputError
from w2s_probes.io.validated import validated

LABEL = 'label = { field = "y", positive = [1] }\n'
CHOICES = 'choices = ["a", "b"]\nanswer = { field = "right", base = 0 }\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('text = "{a}"\n', r"give one of label, choices and pair; none is there"),
        ('text = "{choice}"\n' + LABEL + CHOICES, r"one of label, choices and pair; label and choices contradict"),
        ('text = "{choice}"\npair = ["a", "b"]\n' + CHOICES, r"choices and pair contradict each other"),
        ('text = ""\n' + LABEL, r"text: no \{field\} in it"),
        ('text = "plain"\n' + LABEL, r"text: no \{field\} in it"),
        ('text = "{} {a}"\n' + LABEL, r"\{\} names no field"),
        ('text = "{a}"\n' + CHOICES, r"text: \{choice\} must stand where a choice goes"),
        ('text = "{first}"\npair = ["a", "b"]\n', r"give \{choice\} for one of the two, or \{first\} and \{second\}"),
        ('text = "{choice}{first}{second}"\npair = ["a", "b"]\n', r"give \{choice\} for one of the two, or"),
        ('text = "{choice}"\npair = ["a"]\n', r"pair: list should have at least 2 items"),
        ('text = "{choice}"\nchoices = ["a", "b"]\n', r"choices and answer belong together"),
        ('text = "{a}"\nanswer = { field = "x" }\n' + LABEL, r"choices and answer belong together"),
        ('text = "{choice}"\nchoices = ["a"]\nanswer = { field = "x" }\n', r"choices: two fields at least"),
        ('text = "{choice}"\nchoices = 3\nanswer = { field = "x" }\n', r"choices: a list of fields' names, or"),
        ('text = "{a}"\nshared = "x"\n' + LABEL, r"shared is what the two texts of a pair share"),
        ('text = "{a}"\nlabel = { field = "y" }\n', r"label: give one rule: positive and/or negative, or contains"),
        ('text = "{a}"\nlabel = { field = "y", positive = [1], above = 2 }\n', r"label: give one rule"),
        ('text = "{a}"\nlabel = { field = "y", positive = [1], negative = ["1"] }\n', r"both name '1'"),
        (
            'text = "{a}"\nlabel = { field = "y", positve = [1] }\n',
            r"unknown key 'label.positve'; did you mean 'positive'\?",
        ),
        ('text = "{choice}"\nchoices = ["a", "b"]\nanswer = { field = "x", bas = 1 }\n', r"did you mean 'base'\?"),
        (
            'text = "{choice}"\nchoices = ["a", "b"]\nanswer = { field = "x", base = 2 }\n',
            r"answer.base: input should be 0 or 1",
        ),
        (
            'text = "{choice}"\nchoices = ["a", "b"]\nanswer = { field = "x", base = 1, kind = "text" }\n',
            r"base = 1 makes it an index, and kind = 'text' does not",
        ),
        ('text = "{a}"\nhub = { id = "a/b", revison = "x" }\n' + LABEL, r"'hub.revison'; did you mean 'revision'\?"),
        ('text = "{a}"\nhub = { id = "a/b" }\n' + LABEL, r"hub.revision: field required"),
        ('text = "{a}"\nhub = { id = "a/b", revision = "x", splits = { test = [] } }\n' + LABEL, r"or give n_test"),
        ('text = "{a}"\ngroup = [{ field = "a", befor = "x" }]\n' + LABEL, r"'group.befor'; did you mean 'before'\?"),
        ('text = "{a}"\nlocal = { grup = ["a"] }\n' + LABEL, r"unknown key 'local.grup'; did you mean 'group'\?"),
        ('text = "{a}"\nlocal = { pair = ["a", "b"] }\n' + LABEL, r"local: text: of a pair, give \{choice\}"),
        ('text = "{a}"\nlable = 1\n', r"unknown key 'lable'; did you mean 'label'\?"),
        (
            'text = "{a}"\nhub = { id = "a/b", revision = "x", splits = { tst = "v" } }\n' + LABEL,
            r"'hub.splits.tst'; did",
        ),
        ('text = "{a}"\ncontrast = ["{text} Yes"]\n' + LABEL, r"contrast: list should have at least 2 items"),
        ('text = "{a}"\ncontrast = ["{text} Yes", "No"]\n' + LABEL, r"contrast: no \{text\} in 'No': every row would"),
        (
            'text = "{a}"\ncontrast = ["{text} {b}", "{text} No"]\n' + LABEL,
            r"contrast: \{b\} is no field of a finished",
        ),
        ('text = "{a}"\ncontrast = ["{text} {}", "{text} No"]\n' + LABEL, r"\{\} names no field"),
        ('text = "{a}"\ncontrast = ["{text} Yes", "{text} Yes "]\n' + LABEL, r"contrast: both are '\{text\} Yes'"),
        ('text = "{a}\n', r"not valid TOML"),
    ],
)
def test_faults_of_a_task_file_are_named_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "t.toml").write_text(content)
    with pytest.raises(InputError, match=message) as raised:
        find_task(str(tmp_path / "t.toml"))
    assert str(raised.value).startswith(str(tmp_path / "t.toml"))
    assert "\n" not in str(raised.value)


def choice(answer: dict[str, Any], right: Any, choices: Any = ("x", "y")) -> None:
    """Good rows around the one in question, which is the second, through a multiple-choice task."""
    task = validated(Task, {"text": "{q} {choice}", "choices": "c", "answer": {"field": "r", **answer}}, "task")
    good = {0: 0, 1: 1}.get(answer.get("base", -1), "x" if answer.get("kind") != "letter" else "A")
    rows = [{"q": f"{i}", "c": ["x", "y"], "r": good} for i in range(30)]
    rows[1] = {"q": "1", "c": list(choices) if isinstance(choices, tuple) else choices, "r": right}
    table = pd.DataFrame(rows, dtype=object)
    task.rows(table, "file")


@pytest.mark.parametrize(
    ("answer", "right", "message"),
    [
        ({"base": 0}, 2, r"'r' is 2: with answer.base = 0 the 2 choices are 0 to 1"),
        ({"base": 0}, -1, r"'r' is -1: with answer.base = 0"),
        ({"base": 1}, "0", r"'r' is '0': with answer.base = 1 the 2 choices are 1 to 2"),
        ({"base": 1}, "B", r"'r' is 'B', not a number: answer.base = 1 means an index from 1 to 2"),
        ({"base": 0}, 0.5, r"'r' is 0.5, not a number"),
        ({}, "C", r"'r' is 'C', neither a letter nor the text of one of the 2 choices 'x', 'y'"),
        ({"kind": "letter"}, "x", r"no letter of the 2 choices"),
        ({"kind": "text"}, "A", r"none of the 2 choices"),
        ({}, "z z", r"neither a letter nor the text of one of the 2 choices 'x', 'y'"),
        ({}, 1, r"'r' is 1, neither a letter nor .*; for an index give answer.base"),
        ({}, None, r"field 'r' has no value"),
    ],
)
def test_an_answer_that_is_no_choice_is_named(answer: dict[str, Any], right: Any, message: str) -> None:
    with pytest.raises(InputError, match=r"^file, row 2: .*" + message):
        choice(answer, right)


def test_a_letter_that_is_another_choices_text_is_refused_until_the_kind_is_said() -> None:
    with pytest.raises(InputError, match=r"say answer.kind = 'letter' or 'text'"):
        choice({}, "B", ["B", "A"])
    choice({}, "A", ["A", "C"])  # both mean the first


def test_choices_that_are_no_list_are_named() -> None:
    with pytest.raises(InputError, match=r"row 2: field 'c' is 'xy', but choices needs a list of two or more"):
        choice({"base": 0}, 0, "xy")
    with pytest.raises(InputError, match=r"row 2: field 'c' is \['x'\], but choices needs a list"):
        choice({"base": 0}, 0, ["x"])


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"t": "a"}, r"file, row 2: field 'y' has no value"),
        ({"y": 1}, r"file, row 2: field 't' has no value"),
        ({"t": "a", "y": None}, r"file, row 2: field 'y' has no value"),
        ({"t": {"b": "c"}, "y": 1}, r"file, row 2: field 't' holds fields itself: name one, for example t.b"),
        ({"t": [{"content": "c"}], "y": 1}, r"'t' holds fields itself: name one, for example t.content"),
    ],
)
def test_a_row_that_lacks_a_field_is_named(record: dict[str, Any], message: str) -> None:
    task = validated(Task, {"text": "{t}", "label": {"field": "y", "positive": [1]}}, "task")
    with pytest.raises(InputError, match=message):
        task.rows(pd.DataFrame([{"t": "b", "y": 0}, record]), "file")


def test_missing_fields_one_class_and_no_rows_are_named() -> None:
    rule = {"field": "y", "positive": [1], "negative": [0]}
    task = validated(Task, {"text": "{t.u}", "label": rule}, "task")
    table = pd.DataFrame([{"t": {"u": "a"}, "y": 1}, {"t": {"u": "b"}, "y": 1}])
    with pytest.raises(InputError, match=r"file: every label is 1: does `label.positive` name values of field 'y'"):
        task.rows(table, "file")
    with pytest.raises(InputError, match=r"file, row 1: no field 'y'; it has 't'"):
        task.rows(table[["t"]], "file")
    with pytest.raises(InputError, match=r"file, row 1: no field 't.u'; t has 'v'"):
        task.rows(pd.DataFrame([{"t": {"v": "a"}, "y": 1}]), "file")
    with pytest.raises(InputError, match=r"file: no row is left"):
        task.rows(table.assign(y=7), "file")
    pair = validated(Task, {"text": "{first}{second}", "pair": ["a", "b"]}, "task")
    with pytest.raises(InputError, match=r"file: every label drawn is [01]: 1 rows are too few"):
        pair.rows(pd.DataFrame([{"a": "x", "b": "y"}]), "file")
    above = validated(Task, {"text": "{t}", "label": {"field": "t", "above": 1}}, "task")
    with pytest.raises(InputError, match=r"row 1: field 't' is 'abc', but label.above needs a number"):
        above.rows(pd.DataFrame([{"t": "abc"}]), "file")


def test_a_task_without_file_or_dataset_says_what_would_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"task 'cosmosqa': no file .*; did you mean 'cosmos_qa'\?"):
        find_task("cosmosqa")
    with pytest.raises(
        InputError,
        match=r"piqa/train.jsonl.gz: no such file; put .* there, or leave data.folder out to read ybisk/piqa",
    ):
        read_task("piqa", tmp_path)
    with pytest.raises(
        InputError, match=r"'miniature_mood' has no hub dataset: set data.folder to a folder that holds"
    ):
        read_task("miniature_mood", None)


def test_every_task_that_comes_along_says_its_source_and_where_it_is_documented() -> None:
    readme = (TASKS.parent / "README.md").read_text()
    for path in TASKS.glob("*.toml"):
        schema, first = path.read_text().splitlines()[:2]
        assert schema == "#:schema ../schemas/task.json"
        assert first.startswith("# "), path
        name, task = find_task(path.stem)
        assert f"`{name}`" in readme or (name.startswith("miniature_") and "`miniature_*`" in readme), name
        assert name.startswith("miniature_") or task.hub is not None, name
