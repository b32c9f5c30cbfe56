"""`--set table.key=value` as people type it: lists without brackets, keys without their table."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError

from analyses.recipe.read import RECIPES, read_recipe
from analyses.recipe.schema import Recipe
from w2s_probes import InputError

DEMO = RECIPES / "demo.toml"


@pytest.mark.parametrize(
    ("setting", "field", "wanted"),
    [
        ("methods=student-xent", "methods", ["student-xent"]),
        ("methods=student-xent, relabel-knn", "methods", ["student-xent", "relabel-knn"]),
        ('methods=["student-xent"]', "methods", ["student-xent"]),
        ('methods="student-xent"', "methods", ["student-xent"]),
        ("seeds=3", "seeds", [3]),
        ("seeds=0,1", "seeds", [0, 1]),
        ("data.tasks=boolq,quail", "data.tasks", ["boolq", "quail"]),
        ("student.finetuning.lora_targets=q_proj,v_proj", "student.finetuning.lora_targets", ["q_proj", "v_proj"]),
        ("probes.contamination=0.2", "probes.contamination", 0.2),
        ("strong.model=a,b", "strong.model", "a,b"),  # no list: a name with a comma in it
    ],
)
def test_a_setting_is_understood(setting: str, field: str, wanted: Any) -> None:
    found: Any = read_recipe(DEMO, [setting])
    for part in field.split("."):
        found = getattr(found, part)
    assert found == wanted


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("contamination=.2", "unknown key 'contamination'; it belongs to a table: probes.contamination$"),
        ("n_train=20", r"it belongs to a table: data\.n_train$"),
        ("batch_size=4", r"weak\.finetuning\.batch_size or student\.finetuning\.batch_size$"),
        ("probes.contaminaton=.2", r"did you mean 'probes\.contamination'\?$"),
        ("probe.knn_k=5", r"did you mean 'probes'\?$"),
        (
            "probes=0.2",
            r"probes is a table of its own: give one of its keys \(probes\.knn_k, .*\.attention, …\)$",
        ),
        ("weak=text", r"give one of its keys \(weak\.kind, .*, …\)$"),
        ("methods={a=1}", r'methods: must be a list: methods = \["one", "two"\]$'),
        ("intermediate=3", r"intermediate: must be a list of tables: \[\[intermediate\]\]$"),
        ('methods=["student-xent"', "write a list as methods=one,two$"),
    ],
)
def test_what_is_not_understood_is_answered_with_what_to_write(setting: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        read_recipe(DEMO, [setting])
    assert "\n" not in str(refused.value)


def test_a_list_of_one_needs_no_brackets_in_a_file_either(tmp_path: Path) -> None:
    text = 'methods = "student-xent"\nseeds = 1\n[data]\ntasks = "boolq"\n[weak]\n[strong]\nmodel = "org/name"\n'
    (tmp_path / "recipe.toml").write_text(text)
    recipe = read_recipe(tmp_path / "recipe.toml")
    assert (recipe.methods, recipe.seeds, recipe.data.tasks) == (["student-xent"], [1], ["boolq"])


def test_heads_which_cost_little_have_ten_seeds_and_fine_tunings_three(tmp_path: Path) -> None:
    """A recipe that says how many keeps them; a range is written as 0-9."""
    path = tmp_path / "recipe.toml"
    body = 'methods = ["student-xent"]\ndata = { tasks = ["miniature_mood"] }\nweak = {}\nstrong = { model = "m" }\n'
    path.write_text(body)
    assert read_recipe(path).seeds == list(range(10))
    assert read_recipe(path, ["student.kind=lora"]).seeds == [0, 1, 2]
    assert read_recipe(path, ["student.kind=lora", "seeds=7"]).seeds == [7]
    for text in ("seeds=2-4,9", 'seeds=["2-4", 9]'):
        assert read_recipe(path, [text]).seeds == [2, 3, 4, 9]
    for text in ("seeds=4-2", "seeds=0-3,3", "seeds=0-x", "seeds=-1", "seeds=[]"):
        with pytest.raises(InputError, match="seeds"):
            read_recipe(path, [text])


def numbers_of(model: type[BaseModel], seen: set[type]) -> Iterator[tuple[type[BaseModel], str]]:
    """Every field of a table, and of those in it, that takes a number with a fraction."""
    seen.add(model)
    for name, field in model.model_fields.items():
        inner = list(parts(field.annotation))
        if float in inner:
            yield model, name
        for one in inner:
            if isinstance(one, type) and issubclass(one, BaseModel) and one not in seen:
                yield from numbers_of(one, seen)


def parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    inner = get_args(annotation)
    for one in inner[:1] if get_origin(annotation) is Annotated else inner:
        yield from parts(one)


NUMBERS = list(numbers_of(Recipe, set()))


def test_no_number_of_a_recipe_is_infinite() -> None:
    assert len(NUMBERS) >= 15
    assert {"alpha", "share", "delta", "rates", "held_out", "l2", "logistic_l2", "prior", "beta2"} <= {
        name for _, name in NUMBERS
    }
    for model, name in NUMBERS:
        for number in (float("inf"), float("-inf"), float("nan")):
            for value in (number, [number]):
                with pytest.raises(ValidationError) as refused:
                    model.model_validate({name: value})
                found = {error["loc"][0] for error in refused.value.errors()}
                assert name in found, (model.__name__, name, value)


@pytest.mark.parametrize(
    "setting", ["conflict.share=inf", "robustness.delta=inf", "conflict.alpha=inf", "probes.attention.l2=inf"]
)
def test_an_infinite_setting_is_refused_by_name(setting: str) -> None:
    with pytest.raises(
        InputError, match=rf"{setting.partition('=')[0].replace('.', '[.]')}: .*finite number"
    ) as refused:
        read_recipe(DEMO, [setting])
    assert "\n" not in str(refused.value)
