"""Supervisors and students that say labels: what they learn, what is kept of them, and what is refused."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.costs import plan_recipe
from analyses.experiment import Experiment, Method, Outcome
from analyses.experiment.splits import split_task
from analyses.experiment.task_models import Sources
from analyses.lessons.clock import Clock
from analyses.lessons.engine import Here, conduct
from analyses.lessons.units import portable
from analyses.protocol import run
from analyses.recipe.read import RECIPES, read_recipe
from analyses.recipe.schema import Recipe
from analyses.results.names import predictions_file, student_folder
from analyses.supervisors.from_model import supervisor_lesson
from analyses.trial import LabelledTrial, trials
from extract.asking import Asking
from tests.conftest import ROOT
from w2s_probes import InputError, auroc
from w2s_probes.cli import main
from w2s_probes.store.manifest import identity_key

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


STUDENT = f"student={{kind='lm', {TUNED}}}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("speaking")
    methods = 'methods=["student-xent", "student-logconf", "prior-zeroshot"]'
    run(recipe_of(STUDENT, methods, "keep_students=true"), place)
    return place


def test_a_run_of_supervisor_and_students_that_say_labels(folder: Path) -> None:
    results = pd.read_csv(folder / "results.csv")
    value = results[results["metric"] == "auroc"].set_index("method")["value"]
    assert set(value.index) == {"weak", "ceiling", "student-xent", "student-logconf", "prior-zeroshot"}
    assert value["weak"] < 0.95 < value["student-xent"]
    assert value["ceiling"] > 0.98


def test_kept_students_are_checkpoints_that_score_rows_again(folder: Path, tmp_path: Path) -> None:
    written = pd.read_csv(folder / predictions_file(TASK, 0)).set_index("id")
    test = split_task(recipe_of(STUDENT), TASK)[0].test[["id", "text"]]
    test.to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    for method in ("weak", "ceiling", "student-xent"):
        place = folder / student_folder(TASK, 0, method)
        with pytest.raises(SystemExit, match="0"):
            main(["predict", str(place), "--rows", str(tmp_path / "rows.jsonl"), "--out", str(tmp_path / "p.jsonl")])
        p = pd.read_json(tmp_path / "p.jsonl", lines=True).set_index("id")["label"]
        assert p.to_numpy() == pytest.approx(written[method][p.index].to_numpy(), abs=1e-5)
        asked = Asking.plan(str(place / "model"), test[:5], **WORDS).run()
        assert asked.p == pytest.approx(p[test["id"][:5]].to_numpy(), abs=1e-5)


def test_what_is_kept_hangs_on_words_prompt_and_template(tmp_path: Path) -> None:
    def keys(*settings: str) -> tuple[str, str]:
        recipe = recipe_of(STUDENT, *settings)
        splits = split_task(recipe, TASK)
        (trial,) = trials(recipe, TASK, splits, {}, tmp_path, Sources(), Clock())
        learner = trial.students.learner(recipe.strong, recipe.student.training)
        return identity_key(trial.weak_description), identity_key(learner.description)

    template = tmp_path / "chat.jinja"
    template.write_text("{% for m in messages %}quiet {{ m['content'] }} {% endfor %}")
    plain = keys()
    assert plain == keys("asking.n_shots=3", "asking.calibrate='content-free'")
    others = [keys('asking.answers=["cheap", "costly"]'), keys("asking.prompt='not {text}'")]
    others += [keys(f"asking.chat_template='{template}'"), keys("student.finetuning.over='vocabulary'")]
    template.write_text("{% for m in messages %}loud {{ m['content'] }} {% endfor %}")
    others.append(keys(f"asking.chat_template='{template}'"))
    assert len({student for _, student in [plain, *others]}) == 6
    assert len({weak for weak, _ in [plain, *others]}) == 5  # the student's own loss is not the supervisor's


def test_an_ensemble_may_have_members_that_say_labels(tmp_path: Path) -> None:
    member = f"{{kind='lm', model='{MODELS / 'weak'}', n_truth=100, {TUNED}}}"
    recipe = recipe_of(f"weak={{kind='ensemble', n_truth=100, members=[{member}, {{kind='text', n_truth=100}}]}}")
    made = labelled(recipe, tmp_path, {})
    assert auroc(made.sets.test["label"], made.labels["test"]) > 0.8


def test_what_cannot_say_labels_is_refused_before_anything_is_trained(
    tmp_path: Path, checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bert = f"strong={{model='{checkpoint('bert')}'}}"
    refused = [
        (["asking.answers=['costly', 'fair']", STUDENT], "answer 'fair': the tokenizer of"),
        ([bert, STUDENT, "methods=['student-xent']"], "classifiers cannot answer: name a causal model"),
        (["asking.prompt='" + "loud " * 115 + "{text}'"], r"row '\w+' with its prompt is \d+ tokens, and .* reads 128"),
        (["student={kind='lm', finetuning={max_length=20}}"], "finetuning.max_length cuts texts"),
        (
            ["student={kind='lora', finetuning={over='vocabulary'}}"],
            "finetuning.over is of kind 'lm', and kind is 'lora'",
        ),
        (
            [f"weak={{kind='finetune', model='{MODELS / 'weak'}', finetuning={{over='vocabulary'}}}}"],
            "finetuning.over is of kind 'lm', and kind is 'lora'",
        ),
        ([f"weak={{kind='lm', model='{MODELS / 'weak'}', n_truth=20}}"], "batch_size = 32 needs at least as many rows"),
        (["weak={kind='lm'}"], "kind = 'lm' needs `model`"),
    ]
    for settings, fault in refused:
        with pytest.raises(InputError, match=fault):
            run(recipe_of(*settings), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr("analyses.checked_recipe.find_methods", lambda _: ASKS)
    with pytest.raises(InputError, match=r"method 'asks' asks the supervisor's model before and after .* weak.kind lm"):
        run(recipe_of("weak={kind='text'}"), tmp_path / "out")


def test_a_plan_counts_prompts_and_what_a_method_asks_before_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyses.costs.find_methods", lambda _: ASKS)
    prompts = ("{text}", "loud {text}")
    plain, longer = (plan_recipe(recipe_of(STUDENT, f"asking.prompt='{prompt}'")) for prompt in prompts)
    (asked,) = plain.asked
    assert (asked.what, asked.costs.rows) == ("asks", 2 * 200)  # before and after its training
    assert longer.asked[0].costs.tokens == asked.costs.tokens + 2 * 200
    assert plain.flops is not None
    assert longer.flops is not None
    assert longer.flops > plain.flops
    tuned = [f"student={{kind='lm', finetuning={{kind='{kind}'}}}}" for kind in ("full", "lora")]
    full, lora = (plan_recipe(recipe_of(setting)) for setting in tuned)
    assert full.flops is not None
    assert lora.flops is not None
    assert full.flops > 1.2 * lora.flops


def test_a_plan_counts_what_is_fused_once_for_all_methods() -> None:
    fused = ["seeds=[0, 1]", 'data.tasks=["miniature_sound"]', "data.n_test=100"]
    (strong, small) = plan_recipe(read_recipe(RECIPES / "fusion.toml", fused)).asked
    assert [one.source.name.rpartition("/")[2] for one in (strong, small)] == ["strong", "weak"]
    assert {one.what.rpartition(" ")[2] for one in (strong, small)} == {"fusion"}
    assert [one.costs.rows for one in (strong, small)] == [200, 2 * 200]


def test_a_lesson_of_a_model_that_says_labels_goes_to_another_process(tmp_path: Path) -> None:
    recipe = recipe_of()
    (trial,) = trials(recipe, TASK, split_task(recipe, TASK), {}, tmp_path, Sources(), Clock())
    own = supervisor_lesson(recipe.weak, trial.drawn, trial.supervisor, task=TASK, seed=0)
    assert own.learner.says is not None
    tokens = own.learner.says.tokens(["quiet loud"], "rows")[0].tolist()
    sent = pickle.loads(pickle.dumps(portable(own)))
    assert sent.key == own.key
    assert sent.learner.says.facts == own.learner.says.facts
    assert sent.learner.says.tokens(["quiet loud"], "rows")[0].tolist() == tokens
    assert len(pickle.dumps(sent.learner.says)) < 20_000  # no tokenizer and no weights go along
