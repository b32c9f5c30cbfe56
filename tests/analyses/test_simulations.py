"""Simulated supervisors inside a run: their error rates, where the errors are, and what a student can make of them."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from analyses.protocol import run
from analyses.recipe.read import RECIPES, read_recipe
from analyses.recipe.schema import ErrorKind
from analyses.results.names import LABELS
from tests.worlds.experiments import SMALL
from tests.worlds.supervising import HEAD, MINIATURE, labels_by, recipe_with
from w2s_probes.io.tables import read_table

KINDS = get_args(ErrorKind)
E2 = [kind for kind in KINDS if kind not in ("first-features", "imitation")]
METHODS = 'methods=["student-xent", "filter-logistic", "control-oracle-filter"]'


def simulated(errors: str, **more: Any) -> dict[str, Any]:
    return {"kind": "simulated", "errors": errors, "members": [HEAD], **more}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all kinds of errors: the member and the activations are the same."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def base(cache: Path) -> dict[str, Any]:
    """The rows that the real supervisor gets wrong in each set, and its labels."""
    sets, labels = labels_by(recipe_with(cache / "base", HEAD), cache)
    wrong = {name: (labels[name] > 0.5) != (sets.tables[name]["label"] == 1) for name in sets.labelled}
    assert all(0.02 < share.mean() < 0.45 for share in wrong.values())
    return {"sets": sets, "labels": labels, "wrong": wrong}


@pytest.mark.parametrize("errors", E2)
def test_labels_are_hard_and_as_often_wrong_as_those_of_the_real_supervisor(
    errors: str, cache: Path, base: dict[str, Any]
) -> None:
    sets, labels = labels_by(recipe_with(cache / errors, simulated(errors)), cache)
    for name, table in sets.labelled.items():
        assert table["id"].tolist() == base["sets"].tables[name]["id"].tolist()
        assert set(labels[name]) == {0.0, 1.0}
        wrong = labels[name] != table["label"]
        assert wrong.sum() == base["wrong"][name].sum()
        lengths = table["text"].str.len()
        if errors == "own":
            assert np.array_equal(wrong, base["wrong"][name])
        elif errors == "longest":
            assert lengths[wrong].min() >= lengths[~wrong].max()
        elif errors == "shortest":
            assert lengths[wrong].max() <= lengths[~wrong].min()
        else:
            assert not np.array_equal(wrong, base["wrong"][name])


def test_students_undo_random_errors_and_not_those_that_their_features_explain(cache: Path) -> None:
    pgr = {}
    for errors in ("first-features", "random"):
        weak = simulated(errors, features=8)
        results = run(recipe_with(cache / errors, weak, "n_boot=2"), cache / errors / "out", cache=cache)
        pgr[errors] = results.set_index(["method", "metric"])["value"]["student-xent", "pgr_accuracy"]
    assert pgr["random"] > pgr["first-features"] + 0.2


def test_nested_labels_are_as_hard_as_those_of_other_simulations_where_they_are_judged_too(cache: Path) -> None:
    recipe = recipe_with(cache / "nested", {"kind": "simulated", "errors": "first-features", "features": 8})
    _, labels = labels_by(recipe, cache)
    assert set(labels["train"]) == set(labels["val"]) == set(labels["test"]) == {0.0, 1.0}
    more = recipe_with(cache / "wide", {"kind": "simulated", "errors": "first-features", "features": 32})
    assert not np.array_equal(labels_by(more, cache)[1]["test"], labels["test"])


@pytest.mark.parametrize("errors", KINDS)
def test_the_recipe_that_comes_along_runs_with_every_kind_of_errors(errors: str, tmp_path: Path, cache: Path) -> None:
    settings = [*SMALL, METHODS, f"weak.errors={errors}"]
    results = run(read_recipe(RECIPES / "nested_errors.toml", settings), tmp_path, cache=cache / "shipped")
    assert set(results["method"]) == {"weak", "ceiling", "student-xent", "filter-logistic", "control-oracle-filter"}
    oracle = results[results["oracle"] & (results["metric"] == "auroc")]
    assert set(oracle["method"]) == {"ceiling", "control-oracle-filter"}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The strong miniature with words of the sentence that tells the label in its vocabulary."""
    folder = tmp_path_factory.mktemp("reader")
    known = AutoTokenizer.from_pretrained(MINIATURE / "strong").get_vocab()
    words = [*sorted(known, key=known.__getitem__), "I", "think", "this", "is", "correct.", "incorrect."]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", model_max_length=128
    )
    fast.save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(MINIATURE / "strong")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model.resize_token_embeddings(len(words), mean_resizing=False)
        with torch.no_grad():
            model.get_input_embeddings().weight[len(known) :].normal_()
    model.save_pretrained(folder)
    return folder


def test_a_student_that_reads_its_supervisors_label_in_the_text_copies_it(reader: Path, tmp_path: Path) -> None:
    seen: dict[str, pd.Series] = {}
    places = [
        f"strong.model={reader}",
        "strong.layer=0",
        "strong.position=mean",
        "weak.n_truth=40",
        "student.epochs=80",
    ]
    for errors in ("imitation", "own"):
        weak = simulated(errors)
        recipe = recipe_with(tmp_path / errors, weak, *places)
        seen[errors] = run(recipe, tmp_path / errors / "out").set_index(["method", "metric"])["value"]
    told, untold = seen["imitation"], seen["own"]
    assert told["weak", "accuracy"] == untold["weak", "accuracy"] < 0.9
    assert told["student-xent", "agreement"] > 0.97
    assert told["student-xent", "agreement"] > untold["student-xent", "agreement"] + 0.03
    # Nothing is gained, PGR or not: the ceiling reads the label too, and may end no higher than the supervisor.
    assert told["student-xent", "accuracy"] == pytest.approx(told["weak", "accuracy"], abs=0.02)

    plain = read_table(tmp_path / "own" / "out" / LABELS / "miniature_price-0-test.jsonl")
    changed = read_table(tmp_path / "imitation" / "out" / LABELS / "miniature_price-0-test.jsonl")
    assert changed["truth"].tolist() == plain["truth"].tolist()
    words = np.where(changed["label"] > 0.5, "correct", "incorrect")
    told_texts = [
        f"{text} I think this is {word}. What do you think?" for text, word in zip(plain["text"], words, strict=True)
    ]
    assert changed["text"].tolist() == told_texts
    assert not set(changed["id"]) & set(plain["id"])
    assert changed["id"].is_unique
