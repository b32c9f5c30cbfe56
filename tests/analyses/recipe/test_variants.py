"""Variants: several runs of one recipe that differ in some tables, each with a folder of its own."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from analyses.recipe.read import OF_RUNS, read_recipe, read_recipes
from analyses.report.load.places import OWN
from tests.conftest import ROOT
from w2s_probes import InputError

MINIATURE = ROOT / "data" / "miniature"
RECIPE = f"""
seeds = [0]
methods = ["student-xent"]
[data]
tasks = ["miniature_mood"]
folder = "{MINIATURE}/rows"
n_train = 100
n_val = 60
n_test = 100
[strong]
model = "{MINIATURE}/strong"
[student]
epochs = 2
[probes]
knn_k = 9
topo_k = 9
[variants.words.weak]
kind = "text"
n_truth = 60
[variants.first.weak]
kind = "head"
model = "{MINIATURE}/weak"
n_truth = 80
[variants.first.student]
epochs = 3
"""


def recipe_file(folder: Path, text: str = RECIPE) -> Path:
    (folder / "recipe.toml").write_text(text)
    return folder / "recipe.toml"


def test_a_variant_puts_its_tables_in_place_of_the_recipes(tmp_path: Path) -> None:
    recipes = read_recipes(recipe_file(tmp_path), ["variants.words.methods=s2s-1,s2s-2", "n_boot=50"])
    assert list(recipes) == ["words", "first"]
    assert [one.weak.kind for one in recipes.values()] == ["text", "head"]
    assert [one.student.epochs for one in recipes.values()] == [2, 3]
    assert [one.methods for one in recipes.values()] == [["s2s-1", "s2s-2"], ["student-xent"]]
    assert {one.n_boot for one in recipes.values()} == {50}
    with pytest.raises(InputError, match=r"recipe\.toml: 2 recipes, of a ladder or of variants; one is wanted here"):
        read_recipe(recipe_file(tmp_path))


def test_a_setting_of_the_recipe_holds_in_every_variant_that_has_none_of_its_own(tmp_path: Path) -> None:
    settings = ["weak.n_truth=50", "student.epochs=7", "variants.first.student.epochs=9", "seeds=0-1"]
    recipes = read_recipes(recipe_file(tmp_path), settings)
    assert [one.weak.n_truth for one in recipes.values()] == [50, 50]
    assert [one.weak.kind for one in recipes.values()] == ["text", "head"]
    assert [one.student.epochs for one in recipes.values()] == [7, 9]
    assert [one.seeds for one in recipes.values()] == [[0, 1], [0, 1]]


def test_no_variant_is_called_as_a_runs_own_folders() -> None:
    assert set(OF_RUNS) == OWN


def test_files_of_a_variant_are_beside_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hard.jsonl").write_text("")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "hard.jsonl").write_text("")
    data = RECIPE.partition("[data]\n")[2].partition("[strong]")[0]
    text = RECIPE + "[variants.first.data]\n" + data + 'tests = { hard = "hard.jsonl" }\n'
    recipes = read_recipes(recipe_file(tmp_path, text))
    assert recipes["first"].data.tests == {"hard": str(tmp_path / "hard.jsonl")}


@pytest.mark.parametrize("seeds", ['["9-0", 1]', '["0-5000"]', '"3-2"'])
def test_a_range_of_no_seeds_or_too_many_is_refused(seeds: str, tmp_path: Path) -> None:
    text = RECIPE.replace("seeds = [0]", f"seeds = {seeds}")
    with pytest.raises(InputError, match="give a range of 1 to 1,000 seeds, such as 0-9"):
        read_recipes(recipe_file(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("variants = 1\n" + RECIPE.partition("[variants")[0], "variants must be tables"),
        (RECIPE + "[variants.'a/b'.weak]\n", r"variants\.'a/b': a variant is a folder: name it by letters"),
        (RECIPE + "[variants.kept.weak]\n", r"variants\.kept: a run has a folder of that name: give another one"),
        (RECIPE + "[variants.odd]\nweak = {}\nsed = 1\n", r"recipe\.toml: variant 'odd': .*sed"),
    ],
)
def test_variants_that_cannot_be_run_are_refused_by_name(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_recipes(recipe_file(tmp_path, text))


def test_each_variant_is_run_into_its_folder_and_one_table_holds_all(tmp_path: Path, w2s: Callable[..., None]) -> None:
    w2s("run", recipe_file(tmp_path), "--out", tmp_path / "out")
    every = pd.read_csv(tmp_path / "out" / "results.csv")
    assert list(every["pair"].unique()) == ["words", "first"]
    for name in ("words", "first"):
        alone = pd.read_csv(tmp_path / "out" / name / "results.csv")
        pd.testing.assert_frame_equal(every[every["pair"] == name].drop(columns="pair").reset_index(drop=True), alone)
