"""Layers that a model does not have are refused before anything is trained, by a run and by its plan."""

from collections.abc import Callable
from pathlib import Path

import pytest

from analyses.costs import plan_recipe
from analyses.experiment.task_models import Sources
from analyses.recipe.layer_checks import refuse_layers
from analyses.recipe.read import RECIPES
from analyses.recipe.schema import Recipe
from tests.worlds.experiments import SMALL, small_recipe
from w2s_probes import InputError

BETWEEN = "intermediate=[{model='./data/miniature/weak'}, {model='./data/miniature/weak', layer=77}]"
MEMBERS = "weak={kind='ensemble', members=[{kind='text'}, {kind='head', model='./data/miniature/weak', layer='up'}]}"
BAD = {
    "beyond the last block": (
        "strong.layer=99",
        r"strong\.layer of .*: layer 99 is outside 0\.\.\d+: 0 is the embedding",
    ),
    "below the first": ("strong.layer=-99", r"strong\.layer of .*: layer -99 is outside"),
    "no layer at all": ("strong.layer='x'", r"strong\.layer of .*: layer 'x' is not an index"),
    "several": ("strong.layer='0-2'", r"strong\.layer of .*: '0-2' names 3 layers where one is needed"),
    "of the supervisor": ("weak.layer=99", r"weak\.layer of .*: layer 99 is outside"),
    "of a member of the supervisor": (MEMBERS, r"weak\.members\[1\]\.layer of .*: layer 'up' is not an index"),
    "of a model between": (BETWEEN, r"intermediate\[1\]\.layer of .*: layer 77 is outside"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_layer_that_is_not_there_is_refused_by_name(name: str) -> None:
    setting, message = BAD[name]
    with pytest.raises(InputError, match=message):
        refuse_layers(small_recipe(setting), Sources().find)


@pytest.mark.parametrize(
    "setting", ["strong.layer=0", "strong.layer='-1'", "weak={kind='text'}", "weak.layer='middle'"]
)
def test_a_layer_that_is_there_is_not_refused(setting: str) -> None:
    refuse_layers(small_recipe(setting), Sources().find)


def test_the_plan_of_a_run_refuses_what_the_run_would() -> None:
    recipe: Recipe = small_recipe("strong.layer='0-2'")
    with pytest.raises(InputError, match="names 3 layers where one is needed"):
        plan_recipe(recipe)


def test_a_run_with_such_a_layer_leaves_nothing_behind(tmp_path: Path, fails: Callable[..., str]) -> None:
    settings = [part for one in (*SMALL, "strong.layer=0-2") for part in ("--set", one)]
    said = fails("run", RECIPES / "demo.toml", "--out", tmp_path / "out", *settings)
    assert "'0-2' names 3 layers" in said
    assert list(tmp_path.iterdir()) == []
