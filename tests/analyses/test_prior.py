"""The prior recipe: a model's own opinion as supervisor and beside students; what it reads, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.costs import plan_recipe
from analyses.experiment.kept_methods import method_description
from analyses.experiment.opinions import Opinions, asked_in
from analyses.experiment.row_sets import RowSets
from analyses.lessons.result_cache import ResultCache
from analyses.methods import find_methods
from analyses.methods.priors import drawn_from
from analyses.protocol import run
from analyses.recipe.asking import AskedAs
from analyses.recipe.read import RECIPES, read_recipe
from analyses.results.names import predictions_file
from analyses.trial import SUPERVISED
from extract.asking import Asking
from extract.asking.adjusting import bias
from extract.asking.speaker import Speaker
from extract.models.source import ModelSource
from tests.conftest import ROOT
from tests.worlds.experiments import experiment, outcome_by, trusted_of_planted
from tests.worlds.supervising import labels_by, recipe_with
from w2s_probes import InputError
from w2s_probes.io.json_files import read_json
from w2s_probes.store.manifest import identity_key

TASK = "miniature_price"
SMALL = ["seeds=[0]", f'data.tasks=["{TASK}"]', "data.n_train=300", "data.n_val=100", "data.n_test=300"]
SMALL += ["weak.n_truth=150", "n_boot=50", "student.epochs=30", "probes.knn_k=20", "probes.topo_k=20"]
MODELS = ROOT / "data" / "miniature"
PRIOR = {"kind": "prior", "model": str(MODELS / "weak")}


def result(folder: Path, *settings: str) -> pd.DataFrame:
    return run(read_recipe(RECIPES / "prior.toml", [*SMALL, *settings]), folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("prior")
    result(place, 'methods=["student-xent", "prior-zeroshot", "prior-fewshot"]')
    return place


def test_the_strong_model_says_it_itself_and_shots_are_counted_as_trusted(folder: Path) -> None:
    results = pd.read_csv(folder / "results.csv")
    auroc = results[results["metric"] == "auroc"].set_index("method")
    value = auroc["value"].to_dict()
    assert value["prior-zeroshot"] > 0.98
    assert value["weak"] < 0.93
    assert value["weak"] < value["student-xent"]
    assert not auroc["oracle"].drop("ceiling").any()
    assert float(auroc["trusted"]["prior-fewshot"]) >= 2
    assert (auroc["trusted"].drop(["prior-fewshot", "ceiling"]).fillna(0) == 0).all()
    (made,) = read_json(folder / "run.json")["runs"].values()
    assert made["methods"]["prior-fewshot"]["shots"] == 2
    assert 0 < made["methods"]["prior-zeroshot"]["said"] < 1


def test_its_scores_are_those_of_asking_calibrated_by_the_training_rows(folder: Path) -> None:
    written = pd.read_csv(folder / predictions_file(TASK, 0))
    recipe = read_recipe(RECIPES / "prior.toml", SMALL)
    from analyses.experiment.splits import split_task

    sets = split_task(recipe, TASK)[0]
    for column, model in (("prior-zeroshot", "strong"), ("weak", "weak")):
        words: dict[str, Any] = {"answers": ("costly", "cheap"), "prompt": "{text}"}
        test, train = (
            Asking.plan(str(MODELS / model), rows[["id", "text"]], **words).run() for rows in (sets.test, sets.train)
        )
        expected = pd.Series(1 / (1 + np.exp(bias(train.log_odds) - test.log_odds)), index=sets.test["id"])
        assert written[column].to_numpy() == pytest.approx(expected[written["id"]].to_numpy(), abs=1e-4)


def test_a_prior_supervisor_needs_no_truth_and_shots_read_that_of_weak_train(tmp_path: Path) -> None:
    words = 'asking={prompt="{text}", answers=["costly", "cheap"]}'
    _, plain = labels_by(recipe_with(tmp_path / "a", PRIOR, words), tmp_path / "cache")
    _, shown = labels_by(recipe_with(tmp_path / "b", PRIOR | {"n_shots": 2}, words), tmp_path / "cache")
    _, free = labels_by(
        recipe_with(tmp_path / "c", PRIOR, words[:-1] + ', calibrate="content-free"}'), tmp_path / "cache"
    )
    assert set(plain) == {"train", "val", "test"}
    assert np.corrcoef(plain["test"], shown["test"])[0, 1] < 0.999
    shift = np.log(plain["test"] / (1 - plain["test"])) - np.log(free["test"] / (1 - free["test"]))
    assert shift == pytest.approx(np.full(len(shift), shift[0]), abs=1e-4)
    assert abs(shift[0]) > 1e-3


def test_answers_are_kept_under_what_decides_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pd.read_json(MODELS / "rows" / TASK / "test.jsonl.gz", lines=True)[:20]
    sets = {"train": rows.assign(id=[f"r{i}" for i in range(20)])}
    asked = AskedAs(prompt="{text}", answers=["costly", "cheap"])
    source = ModelSource.find(str(MODELS / "weak"))
    first, said = Opinions(source, asked, ResultCache(tmp_path)).of(sets)

    def never(*_: object, **__: object) -> Any:
        raise AssertionError

    monkeypatch.setattr(Asking, "run", never)
    again, _ = Opinions(source, asked, ResultCache(tmp_path)).of({"train": sets["train"][::-1]})
    assert np.array_equal(again["train"][::-1], first["train"])
    assert 0 < said < 1
    with pytest.raises(AssertionError):
        Opinions(source, asked.model_copy(update={"prompt": "{text} not"}), ResultCache(tmp_path)).of(sets)


def test_what_is_kept_of_answers_goes_by_what_a_chat_template_says(tmp_path: Path) -> None:
    template = tmp_path / "t.jinja"
    template.write_text("{% for message in messages %}{{ message['content'] }}{% endfor %}")
    words = f'asking={{prompt="{{text}}", answers=["costly", "cheap"], chat_template="{template}", n_shots=4}}'
    _, plain = labels_by(recipe_with(tmp_path, PRIOR, words), tmp_path / "cache")
    _, other_shots = labels_by(
        recipe_with(tmp_path, PRIOR, words.replace("n_shots=4", "n_shots=6")), tmp_path / "cache"
    )
    template.write_text("{% for message in messages %}{{ message['content'] }} noisy{% endfor %}")
    _, edited = labels_by(recipe_with(tmp_path, PRIOR, words), tmp_path / "cache")
    assert np.array_equal(plain["test"], other_shots["test"])
    assert not np.allclose(plain["test"], edited["test"], atol=1e-3)
    assert len(list((tmp_path / "cache" / "kept" / SUPERVISED).iterdir())) == 2


def test_only_shown_methods_are_kept_under_the_number_of_shots(tmp_path: Path) -> None:
    made, keys = experiment(tmp_path), dict[tuple[str, int], str]()
    tables = {name: made.rows[name].assign(label=0) for name in ("train", "val", "test")}
    sets = RowSets(tables["train"][:0], tables["train"], tables["val"], tables["test"])
    source, cache = ModelSource.find(str(MODELS / "weak")), ResultCache(tmp_path)
    for n_shots in (4, 6):
        asked = AskedAs(prompt="{text}", answers=["costly", "cheap"], n_shots=n_shots)
        view = replace(made, opinions=Opinions(source, asked, cache))
        for name, method in find_methods(["prior-zeroshot", "prior-fewshot"]).items():
            described = method_description(name, method, view, sets)
            keys[name, n_shots] = identity_key(described["asked"])
    assert keys["prior-zeroshot", 4] == keys["prior-zeroshot", 6]
    assert keys["prior-fewshot", 4] != keys["prior-fewshot", 6]


def test_zero_shots_read_no_truth_and_shots_as_many_rows_as_it_takes(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    assert outcome_by("prior-zeroshot", made).trusted == 0
    few = outcome_by("prior-fewshot", made)
    assert 4 <= few.trusted < 30
    rows = trusted_of_planted()
    shots = drawn_from(rows, 4, 0)
    assert sorted(shot.label for shot in shots) == [0, 0, 1, 1]
    assert rows.read == few.trusted
    turned = drawn_from(trusted_of_planted(turned=True), 4, 0)
    assert {(shot.id, 1 - shot.label) for shot in turned} & {(shot.id, shot.label) for shot in shots}


def test_the_words_are_the_recipes_or_the_tasks_or_no_and_yes(tmp_path: Path) -> None:
    recipe = read_recipe(RECIPES / "prior.toml", SMALL)
    assert asked_in(recipe, TASK).answers == ["costly", "cheap"]
    by_task = read_recipe(RECIPES / "prior.toml", [*SMALL, f'asking.answers={{{TASK}=["steep", "modest"]}}'])
    assert asked_in(by_task, TASK).answers == ["steep", "modest"]
    with pytest.raises(InputError, match=r"asking\.answers\.boolq: no task is called so"):
        read_recipe(RECIPES / "prior.toml", [*SMALL, 'asking.answers={boolq=["no", "yes"]}'])
    for shots, fault in ((1, "a shot of each class"), (200, r"weak\.n_shots = 200 are rows of weak-train")):
        with pytest.raises(InputError, match=fault):
            read_recipe(RECIPES / "prior.toml", [*SMALL, f"weak.n_shots={shots}"])
    with pytest.raises(InputError, match=r"asking.n_shots = 200 are rows of weak-train"):
        read_recipe(RECIPES / "prior.toml", [*SMALL, "asking.n_shots=200"])


def test_models_and_words_that_cannot_answer_are_refused_before_anything_is_made(
    tmp_path: Path, checkpoint: Callable[..., Path]
) -> None:
    with pytest.raises(InputError, match="classifiers cannot answer"):
        result(tmp_path / "out", f"weak.model={checkpoint('bert')}")
    with pytest.raises(InputError, match="answer 'no': the tokenizer of"):
        result(tmp_path / "out", 'asking.answers=["no", "yes"]')
    assert not (tmp_path / "out").exists()


def test_a_plan_counts_what_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = [*SMALL, 'methods=["prior-zeroshot", "prior-fewshot"]', "student.epochs=2", "data.n_train=80"]
    settings += ["data.n_test=60", "data.n_val=40", "probes.knn_k=5", "probes.topo_k=5"]
    recipe, read, asked = read_recipe(RECIPES / "prior.toml", settings), Speaker.read, list[tuple[int, int]]()

    def counted(self: Speaker, tokens: Any, *more: Any) -> Any:
        asked.append((len(tokens), sum(map(len, tokens))))
        return read(self, tokens, *more)

    monkeypatch.setattr(Speaker, "read", counted)
    planned = plan_recipe(recipe).asked
    run(recipe, tmp_path)
    assert [one.what for one in planned] == ["the weak supervisor", "prior-zeroshot", "prior-fewshot"]
    assert [one.costs.rows for one in planned] == [rows for rows, _ in asked] == [180, 140, 140]
    for one, (_, tokens) in zip(planned, asked, strict=True):
        assert one.costs.tokens == pytest.approx(tokens, rel=0.2 if one.what == "prior-fewshot" else 0)
        assert one.flops > one.costs.flops
    assert [one.source.name for one in planned] == [str(MODELS / kind) for kind in ("weak", "strong", "strong")]
    without = plan_recipe(read_recipe(RECIPES / "prior.toml", [*settings, "data.folder=none"]), tokens_per_row=20)
    assert [one.costs.tokens for one in without.asked] == [180 * 20, 140 * 20, 140 * 60]
    told = read_recipe(RECIPES / "prior.toml", [*settings, "asking.prompt='" + "loud " * 120 + "{text}'"])
    with pytest.raises(InputError, match=r"with its prompt is \d+ tokens, and .* reads 128"):
        plan_recipe(told)
