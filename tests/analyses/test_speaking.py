"""Supervisors and students that say labels: what they learn, what is kept of them, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyses.experiment import Experiment, Method, Outcome
from analyses.experiment.splits import split_task
from analyses.experiment.task_models import Sources
from analyses.lessons.clock import Clock
from analyses.lessons.engine import Here, conduct
from analyses.recipe.read import RECIPES, read_recipe
from analyses.recipe.schema import Recipe
from analyses.trial import LabelledTrial, trials
from extract.asking import Asking
from tests.conftest import ROOT
from w2s_probes import auroc

TASK = "miniature_price"
MODELS = ROOT / "data" / "miniature"
WORDS: dict[str, Any] = {"answers": ("costly", "cheap"), "prompt": "{text}"}
SMALL = ["seeds=[0]", f'data.tasks=["{TASK}"]', "data.n_train=120", "data.n_val=60", "data.n_test=200", "n_boot=20"]
SMALL += ['methods=["prior-zeroshot"]', "asking.n_shots=2"]
TUNED = "finetuning={kind='full', epochs=2, learning_rate=1e-3, eval_every=5, batch_size=16}"
WEAK = f"weak={{kind='lm', model='{MODELS / 'weak'}', n_truth=100, {TUNED}}}"


def recipe_of(*settings: str) -> Recipe:
    return read_recipe(RECIPES / "prior.toml", [*SMALL, WEAK, *settings])


def labelled(recipe: Recipe, cache: Path, methods: dict[str, Method]) -> LabelledTrial:
    splits = split_task(recipe, recipe.data.tasks[0])
    (trial,) = trials(recipe, TASK, splits, methods, cache, Sources(), Clock())
    (found,) = conduct(iter([trial.supervised()]), Here(Clock()), 1)
    return found


def asks(experiment: Experiment) -> Outcome:
    assert experiment.tuned is not None
    return Outcome(experiment.tuned.of({"train": experiment.rows["train"], **experiment.evaluation_rows})[0])


ASKS = {"asks": Method(asks, activations=False, students=0, tuned=True)}


def test_a_supervisor_is_taught_to_say_labels_and_its_model_is_asked_again(tmp_path: Path) -> None:
    recipe = recipe_of()
    made = labelled(recipe, tmp_path, ASKS)
    view, test = made.view, made.sets.test
    assert view.tuned is not None
    assert view.base is not None
    sets = {"test": test[["id", "text"]], "train": made.sets.train[["id", "text"]]}
    tuned, base = view.tuned.logits(sets), view.base.logits(sets)
    for name in sets:
        p = 1 / (1 + np.exp(-tuned[name].log_odds))
        assert p == pytest.approx(made.labels[name], abs=1e-5)
    by_hand = Asking.plan(str(MODELS / "weak"), sets["test"], **WORDS).run()
    assert base["test"].logit_1 == pytest.approx(by_hand.logit_1, abs=1e-5)
    assert base["test"].log_total == pytest.approx(by_hand.log_total, abs=1e-5)
    assert np.abs(tuned["test"].log_odds - base["test"].log_odds).mean() > 0.3
    assert auroc(test["label"], tuned["test"].log_odds) > 0.85


def test_logits_of_the_whole_vocabulary_come_in_blocks_and_hold_the_words(tmp_path: Path) -> None:
    view = labelled(recipe_of(), tmp_path, ASKS).view
    assert view.tuned is not None
    rows = view.rows["test"][["id", "text"]]
    blocks = list(view.tuned.vocabulary(rows, at_once=64))
    assert [len(block) for block in blocks] == [64, 64, 64, 8]
    every, words = np.concatenate(blocks).astype(float), view.tuned.plan(rows).words
    own = view.tuned.logits({"test": rows})["test"]
    assert every[:, words[0].token] == pytest.approx(own.logit_0, abs=1e-5)
    assert every[:, words[1].token] == pytest.approx(own.logit_1, abs=1e-5)
    assert np.log(np.exp(every).sum(axis=1)) == pytest.approx(own.log_total, abs=1e-5)


def test_a_model_that_was_thrown_away_is_trained_again_where_a_method_asks_it(tmp_path: Path) -> None:
    recipe = recipe_of()
    plain = labelled(recipe, tmp_path, {})
    assert plain.view.tuned is None
    assert plain.trial.tuned is None
    asked = labelled(recipe, tmp_path, ASKS)
    assert asked.trial.tuned is not None
    assert asked.trial.tuned.is_dir()
    assert asked.labels["test"] == pytest.approx(plain.labels["test"], abs=1e-6)
