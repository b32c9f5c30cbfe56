"""The recipes that come along: valid, made of what exists, with the published numbers, and possible to plan."""

import tomllib
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest

from analyses.costs import plan_recipe
from analyses.methods import find_methods
from analyses.recipe.read import RECIPES, read_recipe, read_recipes
from analyses.results.names import with_ceilings
from extract.tasks import find_task
from w2s_probes import InputError

ALL = sorted(RECIPES.glob("*.toml"))
ON_THE_HUB = ("eleuther_blog", "eleuther_small", "burns_ladder")
SATURATED = {"ethics_deontology", "ethics_justice", "ethics_virtue", "openbookqa"}
REGISTRY = {"anli_r2", "cola", "dream", "ethics_utilitarianism", "mc_taco", "hellaswag", "multirc", "paws", "piqa"}
REGISTRY |= {"quail", "quartz", "social_i_qa", "sst2", "wic", "twitter_sentiment", "sciq", "sciq_with_support"}
REGISTRY |= {"anthropic_hh", "cosmos_qa", "boolq", "amazon_polarity"} | SATURATED
LORA = {"kind": "lora", "epochs": 3, "batch_size": 32, "warm_up": 40, "lora_rank": 8, "lora_alpha": 8}
LORA |= {"weight_decay": 0.1, "beta2": 0.95, "eval_every": 25, "head_scale": 0.01, "lora_targets": None}


@pytest.fixture(autouse=True)
def somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("W2S_DATA", "/somewhere")


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_recipe_names_tasks_and_methods_that_exist_and_a_baseline_that_it_runs(path: Path) -> None:
    for recipe in read_recipes(path).values():
        assert set(find_methods(recipe.methods)) == set(with_ceilings(recipe.methods))
        assert recipe.baseline in recipe.methods
        assert [find_task(name)[0] for name in recipe.data.tasks] == recipe.task_names
        needed = [find_task(name)[1].hub for name in recipe.data.tasks]
        assert recipe.data.folder is not None or all(hub is not None for hub in needed)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_recipe_begins_by_saying_what_it_is(path: Path) -> None:
    lines = path.read_text().splitlines()
    first_key = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    assert first_key >= 2  # after the line that names the schema


def test_eleutherais_blog_has_the_published_numbers() -> None:
    recipe = read_recipe(RECIPES / "eleuther_blog.toml")
    assert set(recipe.data.tasks) == REGISTRY - SATURATED
    assert len(recipe.data.tasks) == 21
    assert (recipe.weak.model, recipe.strong.model) == ("Qwen/Qwen1.5-0.5B", "meta-llama/Meta-Llama-3-8B")
    assert (recipe.strong.layer, recipe.strong.position) == (16, "last")
    assert recipe.weak.n_truth + recipe.data.n_train == 10_000
    assert recipe.weak.n_truth == recipe.data.n_train
    assert (recipe.data.n_val, recipe.data.n_test) == (1000, 5000)
    for settings, rate in ((recipe.weak.finetuning, 5e-4), (recipe.student.finetuning, 8e-5)):
        assert {name: getattr(settings, name) for name in LORA} == LORA
        assert settings.rate == rate
    assert (recipe.student.kind, recipe.student.loss) == ("lora", "logconf")
    assert (recipe.student.alpha, recipe.student.warm_up) == (0.5, 100)
    probes = recipe.probes
    assert (probes.knn_k, probes.topo_k, probes.logistic_l2, probes.contamination) == (50, 50, 1e-2, 0.1)
    assert probes.connectivity == "strong"
    assert recipe.baseline == "student-logconf"
    theirs = {"student-xent", "student-logconf", "student-entropy-detached", "student-window", "s2s-1", "s2s-2"}
    theirs |= {"probe-knn", "probe-logistic", "relabel-knn", "relabel-logistic"}
    theirs |= {"filter-knn", "filter-logistic", "filter-topo"}
    assert theirs <= set(recipe.methods)


def test_the_learning_rate_rises_for_forty_updates_and_falls_by_a_cosine() -> None:
    recipe = read_recipe(RECIPES / "eleuther_blog.toml")
    updates = 3 * -(-recipe.data.n_train // 32)
    settings = recipe.student.finetuning
    rates = [settings.rate_at(step, updates) for step in range(updates)]
    assert rates.index(max(rates)) == 40
    assert max(rates) == 8e-5
    assert rates[40 + (updates - 40) // 2] == pytest.approx(4e-5, rel=0.02)


def test_burns_ladder_is_every_pair_with_their_loss_and_schedule() -> None:
    path = RECIPES / "burns_ladder.toml"
    recipes = read_recipes(path)
    models = tomllib.loads(path.read_text())["ladder"]["models"]
    assert [(r.weak.model, r.strong.model) for r in recipes.values()] == list(combinations(models, 2))
    for recipe in recipes.values():
        assert recipe.baseline == "student-xent"
        assert "student-logconf-batch" in recipe.methods
        assert (recipe.student.alpha, recipe.student.warm_up) == (0.5, 0.2)
        for settings in (recipe.weak.finetuning, recipe.student.finetuning):
            assert (settings.epochs, settings.batch_size, settings.kind) == (2, 32, "full")
        nlp = set(recipe.data.tasks) - {"chess_themes", "anthropic_hh"}
        assert nlp == REGISTRY - {"anthropic_hh", "amazon_polarity", "sciq_with_support"}
        assert len(nlp) == 22


@pytest.mark.parametrize("name", ON_THE_HUB)
def test_a_recipe_on_the_hub_is_planned_without_it(name: str, checkpoint: Callable[..., Path]) -> None:
    weak, strong = checkpoint("gpt2"), checkpoint()
    models = [f"weak.model={weak}", f"strong.model={strong}", "strong.layer=1"]
    if name == "burns_ladder":
        models = [f'ladder.models=["{weak}", "{strong}"]']
    recipe = read_recipe(RECIPES / f"{name}.toml", models)
    few, many = (plan_recipe(recipe, tokens_per_row=tokens) for tokens in (10, 20))
    assert few.fits == len(recipe.data.tasks) * 3 * (2 + len(recipe.methods))
    assert few.flops is not None
    assert many.flops is not None
    assert 1.9 * few.flops < many.flops < 2.5 * few.flops
    if name == "burns_ladder":
        assert not few.models  # nothing reads activations
    else:
        by_seed = len(recipe.seeds) * (recipe.data.n_train + recipe.data.n_val)
        rows = len(recipe.data.tasks) * (by_seed + recipe.data.n_test)
        assert few.models["strong"].costs.rows == rows
    with pytest.raises(InputError, match="no text to count: give --tokens-per-row"):
        plan_recipe(recipe)


def test_the_offline_recipes_are_planned_with_their_own_rows() -> None:
    for name in ("demo", "nested_errors", "deception"):
        recipe = read_recipe(RECIPES / f"{name}.toml")
        plan = plan_recipe(recipe)
        assert not plan.models["strong"].at_most
        assert plan.flops is None
