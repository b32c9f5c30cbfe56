"""The schemas of recipes and task files: ours fit, planted faults do not, and the committed files are current."""

import json
import tomllib
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from pydantic import Field

from analyses.methods import METHODS
from analyses.recipe.read import RECIPES
from analyses.recipe.schema import Recipe
from analyses.recipe.section import Section
from analyses.recipe_schema import recipe_json_schema
from extract.tasks import TASKS
from extract.tasks.json_schema import task_json_schema
from tests.conftest import ROOT
from tools.schemas import made_files
from w2s_probes.io.field_comments import field_comments

RECIPE_FILES, TASK_FILES = sorted(RECIPES.glob("*.toml")), sorted(TASKS.glob("*.toml"))
RECIPE = jsonschema.Draft202012Validator(recipe_json_schema())
TASK = jsonschema.Draft202012Validator(task_json_schema())


def faults(validator: jsonschema.Draft202012Validator, text: str) -> list[str]:
    return [error.message for error in validator.iter_errors(tomllib.loads(text))]


def test_every_recipe_and_task_file_fits_its_schema_and_names_it() -> None:
    assert len(RECIPE_FILES) > 5
    assert len(TASK_FILES) > 30
    for validator, files, name in ((RECIPE, RECIPE_FILES, "recipe"), (TASK, TASK_FILES, "task")):
        validator.check_schema(validator.schema)
        for file in files:
            assert faults(validator, file.read_text()) == [], file
            line = file.read_text().splitlines()[0]
            assert line.startswith("#:schema ")
            named = file.parent / line.removeprefix("#:schema ")
            assert named.resolve() == ROOT / "data" / "schemas" / f"{name}.json"


def test_the_committed_files_are_what_the_code_says_and_the_verb_prints(
    w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    for path, text in made_files().items():
        assert path.read_text() == text, f"{path}: not as the code has it: make schema"
    for name in ("recipe", "task"):
        w2s("schema", name)
        assert capsys.readouterr().out == (ROOT / "data" / "schemas" / f"{name}.json").read_text()


SOUND: dict[str, Any] = {
    "methods": ["student-xent", "control-random:filter-topo"],
    "data": {"tasks": ["boolq", "mine/own.toml"], "folder": "$DATA/real"},
    "weak": {"kind": "head", "model": "m", "layer": -1},
    "strong": {"model": "m", "layer": "middle"},
    "student": {"kind": "lora", "loss": "logconf", "finetuning": {"epochs": 2}},
}
OTHERS: dict[str, Any] = {
    "methods": ["mine"],
    "baseline": "mine",
    "student": {"loss": "my-loss"},
    "probes": {"mine_l2": 0.5, "my_own_k": 3},
}
LADDER = {**SOUND, "ladder": {"models": ["a", "b"]}, "weak": {"kind": "finetune"}, "strong": {"layer": 3}}


@pytest.mark.parametrize(
    "sound",
    [
        SOUND,
        LADDER,
        {**SOUND, "methods": "student-xent", "seeds": 3, "data": {"tasks": "boolq"}},  # lists of one without brackets
        {**SOUND, "weak": {"n_truth": 50}},  # kind text is the one that need not be named
        {**SOUND, **OTHERS, "plugins": ["mine.py"]},
        {**SOUND, "variants": {"a": {**OTHERS, "plugins": ["mine.py"]}}},
        {**SOUND, "weak": {"kind": "ensemble", "members": [{"kind": "text"}, {"kind": "head", "model": "m"}]}},
    ],
    ids=["pair", "ladder", "bare", "text", "plugins", "plugins-of-a-variant", "ensemble"],
)
def test_sound_recipes_fit(sound: dict[str, Any]) -> None:
    assert [error.message for error in RECIPE.iter_errors(sound)] == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"colour": 1}, "'colour' was unexpected"),
        ({"methods": ["student-xnt"]}, "['student-xnt'] is not valid"),
        ({"methods": ["control-random:student-xent"]}, "is not valid"),  # a student is no filter
        ({"baseline": "student-xnt"}, "'student-xnt' is not one of"),
        ({"data": {"tasks": ["boolqq"]}}, "['boolqq'] is not valid"),
        ({"data": {"tasks": ["boolq"], "n_train": 1}}, "1 is less than the minimum of 2"),
        ({"data": {}}, "'tasks' is a required property"),
        ({"weak": {"kind": "labels"}}, "'file' is a required property"),
        ({"weak": {"kind": "text", "model": "m"}}, "'model' is not one of"),
        ({"weak": {"file": "f"}}, "'file' is not one of"),
        ({"weak": {"kind": "head"}}, "'model' is a required property"),
        ({"strong": {"layer": 3}}, "'model' is a required property"),
        ({"strong": {"model": "m", "position": "all"}}, "'all' does not match '^(last|"),
        ({"student": {"kind": "heads"}}, "'heads' is not one of"),
        ({"student": {"loss": "xnt"}}, "'xnt' is not one of"),
        ({"student": {"finetuning": {"dtype": "float8"}}}, "'float8' is not one of"),
        ({"probes": {"connectivity": "stronk"}}, "'stronk' is not one of"),
        ({"ladder": {"models": ["a", "b"]}}, "should not be valid under"),  # beside weak.model
        ({"ladder": {"models": ["a"]}, "weak": {}, "strong": {}}, "too short"),
        ({"variants": {"a": {"weeak": {}}}}, "'weeak' was unexpected"),
        ({"variants": {}}, "non-empty"),
        ({"variants": {"a": {"baseline": "mine"}}}, "'mine' is not one of"),
        ({"probes": {"mine_l2": 0.5}}, "'mine_l2' is not one of"),
        ({"plugins": ["mine.py"], "probes": {"mine": 1}}, "'mine' does not match any of the regexes"),
        ({"plugins": "mine.py", "probes": {"mine_k": "5"}}, "'5' is not of type 'number'"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_planted_faults_of_a_recipe_are_found(fault: dict[str, Any], said: str) -> None:
    messages = [error.message for error in RECIPE.iter_errors({**SOUND, **fault})]
    assert any(said in message for message in messages), messages


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('text = "{a}"\nlable = { field = "b", positive = [1] }', "'lable' was unexpected"),
        ('text = "{a}"', "is not valid under any"),
        ('text = "{a}"\nlabel = { field = "b" }', "is not valid under any"),
        ('text = "{a}"\nlabel = { field = "b", positive = [1] }\npair = ["c", "d"]', "is valid under each of"),
        ('text = "{choice}"\nchoices = ["a", "b"]', "'answer' is a dependency of 'choices'"),
        ('text = "{choice}"\nchoices = "a"\nanswer = { field = "b", base = 2 }', "2 is not one of [0, 1]"),
        ('text = "{choice}"\npair = ["a"]', "too short"),
        ('text = "{a}"\nlabel = { field = "b", positive = [1] }\nhub = { id = "o/n" }', "'revision' is a required"),
    ],
)
def test_planted_faults_of_a_task_are_found(text: str, said: str) -> None:
    messages = [error.message for error in TASK.iter_errors(tomllib.loads(text))]
    assert any(said in message for message in messages), messages


def test_closed_choices_and_descriptions_are_there_to_be_completed() -> None:
    schema = recipe_json_schema()
    assert {*METHODS, "control-random:filter-knn"} <= set(schema["$defs"]["Method"]["enum"])
    assert "boolq" in schema["$defs"]["TaskName"]["anyOf"][0]["enum"]
    assert schema["$defs"]["Student"]["properties"]["loss"]["anyOf"][0]["enum"]
    assert schema["$defs"]["Data"]["properties"]["n_val"]["description"] == "rows with weak labels, for early stopping"
    assert set(schema["properties"]) == {*Recipe.model_fields, "ladder", "variants"}
    assert '"null"' not in json.dumps(schema)  # TOML has none


class _Some(Section):
    beside: int = 1  # beside the field
    # above the field,
    # in two lines
    above: int = 2
    bare: int = 3
    several: int = Field(4)  # after the bracket

    def method(self) -> int:
        number = 5  # no field's
        return number


class _More(_Some):
    bare: int = 6  # said by the child


def test_the_comments_of_fields_are_found_wherever_they_stand() -> None:
    expected = {"beside": "beside the field", "above": "above the field, in two lines", "several": "after the bracket"}
    assert field_comments(_Some) == expected
    assert field_comments(_More) == {**expected, "bare": "said by the child"}
