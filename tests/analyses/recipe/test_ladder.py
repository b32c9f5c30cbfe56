"""Ladders of models: every pair is an experiment, and all of them share what they have in common."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from analyses.recipe.read import read_recipe, read_recipes
from extract.extractor import Extraction
from tests.conftest import ROOT
from w2s_probes import InputError

MINIATURE = ROOT / "data" / "miniature"
LADDER = """
methods = ["student-xent", "probe-logistic"]
n_boot = 100
seeds = [0]
[ladder]
models = ["a", "b", "c"]
[data]
tasks = ["miniature_price"]
n_train = 200
n_val = 60
n_test = 150
[weak]
kind = "head"
n_truth = 80
epochs = 10
layer = "middle"
position = "mean"
[strong]
layer = "middle"
position = "mean"
[student]
epochs = 10
[probes]
knn_k = 20
topo_k = 20
"""


@pytest.fixture
def ladder(tmp_path: Path) -> Path:
    path = tmp_path / "ladder.toml"
    path.write_text(LADDER)
    return path


def test_every_pair_is_an_experiment_with_the_weaker_model_as_supervisor(ladder: Path) -> None:
    recipes = read_recipes(ladder)
    assert list(recipes) == ["a--b", "a--c", "b--c"]
    assert [(r.weak.model, r.strong.model) for r in recipes.values()] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert all(r.weak.n_truth == 80 and r.strong.position == "mean" for r in recipes.values())


def test_the_rungs_are_named_by_the_last_part_of_their_paths(ladder: Path) -> None:
    recipes = read_recipes(ladder, [f'ladder.models=["org/tiny", "{ladder.parent}"]'])
    assert list(recipes) == [f"tiny--{ladder.parent.name}"]
    (recipe,) = recipes.values()
    assert (recipe.weak.model, recipe.strong.model) == ("org/tiny", str(ladder.parent))
    assert read_recipe(ladder, ['ladder.models=["x", "y"]']).strong.model == "y"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("weak.model=org/other", r"weak\.model and a ladder exclude each other: leave weak\.model out"),
        ("strong.model=org/other", r"strong\.model and a ladder exclude each other: leave strong\.model out"),
        ('ladder.models=["x/a", "b", "y/a"]', r"ladder\.models names something twice: a, b, a"),
        ('ladder.models=["a"]', r"ladder: models: list should have at least 2 items"),
        ('ladder.modles=["a", "b"]', r"ladder: unknown key 'modles'; did you mean 'models'\?"),
        ('ladder=["a", "b"]', r"ladder must be a table: \[ladder\] models = "),
        ("data.n_trian=5", r"unknown key 'data\.n_trian'; did you mean 'data\.n_train'\?"),
        ("lader.models=[1]", r"unknown key 'lader'"),
        ("weak.kind=text", r"weak: kind = 'text' takes no `epochs`"),
    ],
)
def test_a_ladder_that_does_not_fit_is_refused_in_one_line(ladder: Path, setting: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        read_recipes(ladder, [setting])
    assert "\n" not in str(refused.value)


def test_a_ladder_is_refused_where_one_pair_is_wanted(ladder: Path) -> None:
    with pytest.raises(InputError, match="3 recipes, of a ladder or of variants; one is wanted here"):
        read_recipe(ladder)


@pytest.fixture
def three(ladder: Path, miniature_like: Path) -> list[str]:
    """Settings that put three real checkpoints on the ladder, the middle one made here."""
    models = ", ".join(f'"{path}"' for path in (MINIATURE / "weak", miniature_like, MINIATURE / "strong"))
    return [f"ladder.models=[{models}]", f"data.folder={MINIATURE / 'rows'}"]


@pytest.fixture
def miniature_like(tmp_path: Path) -> Path:
    """An untrained checkpoint of a third size, with the miniature's tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path / "untrained"
    config = AutoConfig.from_pretrained(MINIATURE / "weak", num_hidden_layers=3, hidden_size=32, intermediate_size=48)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(MINIATURE / "weak").save_pretrained(folder)
    return folder


def test_a_ladder_of_three_is_run_pair_by_pair_with_one_cache(
    ladder: Path,
    three: list[str],
    tmp_path: Path,
    w2s: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    extracted: list[tuple[str, str]] = []
    real = Extraction.run

    def counting(self: Extraction, *arguments: object, **options: object) -> object:
        extracted.extend((self.source.folder.name, row) for row in self.rows["id"])
        return real(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Extraction, "run", counting)
    out = tmp_path / "out"
    settings = [part for setting in three for part in ("--set", setting)]
    w2s("run", ladder, "--out", out, *settings)
    pairs = ["weak--untrained", "weak--strong", "untrained--strong"]
    assert sorted(path.name for path in out.iterdir()) == sorted([*pairs, "activations", "kept", "results.csv"])
    joint = pd.read_csv(out / "results.csv")
    assert joint["pair"].unique().tolist() == pairs
    for pair in pairs:
        own = pd.read_csv(out / pair / "results.csv")
        pd.testing.assert_frame_equal(joint[joint["pair"] == pair].drop(columns="pair").reset_index(drop=True), own)
        assert {"comparisons.csv", "run.json", "labels", "predictions"} <= {p.name for p in (out / pair).iterdir()}
    assert len(extracted) == len(set(extracted))  # no row is read twice by a model, whichever part it plays
    assert {model for model, _ in extracted} == {"weak", "untrained", "strong"}
    assert sum(model == "untrained" for model, _ in extracted) == 80 + 200 + 60 + 150

    # One supervisor, two students; one ceiling, two supervisors.
    value = joint[joint["metric"] == "auroc"].set_index(["pair", "method"])["value"]
    assert value["weak--untrained", "weak"] == value["weak--strong", "weak"] != value["untrained--strong", "weak"]
    assert value["weak--strong", "ceiling"] == value["untrained--strong", "ceiling"]
    assert len(list((out / "kept" / "weak").iterdir())) == 2
    assert len(list((out / "kept" / "trained").iterdir())) == 2 + 2 + 3  # supervisors, ceilings, students

    capsys.readouterr()
    before = sorted(path for path in out.rglob("*"))
    w2s("run", ladder, "--out", out, *settings, "--dry-run")
    said = capsys.readouterr().out
    assert all(pair in said for pair in pairs)
    assert said.count("to do nothing") == 6  # activations and methods of each pair
    assert sorted(path for path in out.rglob("*")) == before
