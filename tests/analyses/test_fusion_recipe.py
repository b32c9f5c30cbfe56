"""The fusion recipe from end to end: what is fused, beside the same by hand; what stands in files; what is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import expit

from analyses.asking_costs import plan_askings
from analyses.experiment.fusing import Fusing, fused_models
from analyses.experiment.opinions import Opinions
from analyses.lessons.result_cache import ResultCache
from analyses.methods import find_methods
from analyses.methods.fusions import FUSIONS
from analyses.protocol import run
from analyses.recipe.asking import AskedAs
from analyses.recipe.read import RECIPES, read_recipe
from analyses.report import write_report
from analyses.results.names import ALPHA, DYNAMIC, HALF, OTHER_ALPHA, OTHER_CHANGE, STATIC, TUNED, predictions_file
from analyses.robustness.robust_run import robust_methods
from extract.models.source import ModelSource
from tests.conftest import ROOT
from tests.worlds.experiments import experiment, outcome_by
from tests.worlds.fusing import tuned_model
from w2s_probes import InputError
from w2s_probes.fusion import fuse_experts
from w2s_probes.io.json_files import read_json
from w2s_probes.labels.label_set import LabelSet
from w2s_probes.store.manifest import identity_key

TASK, WORDS = "miniature_price", ("costly", "cheap")
MODELS = ROOT / "data" / "miniature"
SMALL = ["seeds=[0]", f'data.tasks=["{TASK}"]', "data.n_train=100", "data.n_val=60", "data.n_test=200", "n_boot=20"]
SMALL += ["student.epochs=10", "weak.n_truth=120", "probes.knn_k=20", "probes.topo_k=20", "weak.finetuning.epochs=2"]
HEAD = f"weak={{kind='head', model='{MODELS / 'weak'}', layer=-1, n_truth=60}}"


@pytest.fixture(scope="module")
def experts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    place = tmp_path_factory.mktemp("experts")
    return [tuned_model(place / str(seed), TASK, WORDS, seed=seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("fusion")
    run(read_recipe(RECIPES / "fusion.toml", SMALL), place)
    return place


def fusing(experts: list[Path], cache: Path, *settings: str) -> Fusing:
    named = json.dumps(list(map(str, experts)))
    words = f"asking={{prompt='{{text}}', answers={json.dumps(list(WORDS))}}}"
    recipe = read_recipe(RECIPES / "fusion.toml", [*SMALL[:-1], HEAD, words, f"fusion.experts={named}", *settings])

    def opinions(model: str) -> Opinions:
        return Opinions(ModelSource.find(model), recipe.asking, ResultCache(cache))

    found = fused_models(recipe, opinions, None, recipe.asking)
    assert found is not None
    return found


def rows(n: int = 60) -> pd.DataFrame:
    table = pd.read_json(MODELS / "rows" / TASK / "test.jsonl.gz", lines=True)[:n]
    return table.assign(id=[f"r{number}" for number in range(n)])[["id", "text"]]


def test_the_tuned_supervisor_is_fused_and_reads_no_truth_of_its_own(folder: Path) -> None:
    results = pd.read_csv(folder / "results.csv")
    auroc = results[results["metric"] == "auroc"].set_index("method")
    value = auroc["value"].to_dict()
    assert value[TUNED] == pytest.approx(value["weak"])  # the supervisor's own answers
    assert value[DYNAMIC] > value[TUNED] + 0.03
    assert not auroc["oracle"].drop("ceiling").any()
    assert (auroc["trusted"].fillna(0) == 0).all()
    written = pd.read_csv(folder / predictions_file(TASK, 0))
    alpha = written[ALPHA + DYNAMIC]
    assert alpha.between(0, 2).all()
    assert alpha.std() > 0
    assert [name for name in map(str, written) if name.startswith(ALPHA)] == [ALPHA + DYNAMIC]
    assert [name for name in map(str, written) if name.startswith((OTHER_ALPHA, OTHER_CHANGE))] == [
        f"{name}/{draw}" for name in (OTHER_ALPHA, OTHER_CHANGE) for draw in range(1, 6)
    ]
    (made,) = read_json(folder / "run.json")["runs"].values()
    notes = made["methods"][DYNAMIC]
    assert len(list((folder / "kept" / "answers").iterdir())) == 3  # each model is asked once, for all methods
    assert notes["alpha_mean"] == pytest.approx(alpha.mean())
    assert notes["capped"] == pytest.approx((alpha == 2).mean())


def test_each_way_is_a_strength_of_one_change(folder: Path) -> None:
    written = pd.read_csv(folder / predictions_file(TASK, 0))

    def odds(name: str) -> NDArray[np.float64]:
        p = written[name].to_numpy(dtype=np.float64)
        return np.asarray(np.log(p / (1 - p)))

    strong, alpha = odds("prior-zeroshot"), written[ALPHA + DYNAMIC].to_numpy(dtype=np.float64)
    change = odds(STATIC) - strong
    for name, strength in ((HALF, np.full(len(alpha), 0.5)), (DYNAMIC, alpha)):
        np.testing.assert_allclose(odds(name), strong + strength * change, atol=1e-3)
    clear = np.abs(change) > 0.2
    dealt = (odds(f"{OTHER_ALPHA}/1") - strong)[clear] / change[clear]
    assert np.abs(dealt[:, None] - alpha).min(axis=1).max() < 1e-2
    assert not np.allclose(dealt, alpha[clear], atol=1e-2)


def test_a_run_again_makes_nothing_and_its_report_has_a_section(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (folder / "results.csv").read_bytes()

    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Opinions, "logits", never)
    run(read_recipe(RECIPES / "fusion.toml", SMALL), folder)
    assert (folder / "results.csv").read_bytes() == before
    page = write_report(folder).read_text()
    assert "Logit fusion beside its controls, by task" in page
    assert "How strongly the strong model is moved: test rows by α" in page
    assert "Without prior-zeroshot" not in page


def test_experts_by_path_are_fused_over_labels_as_by_hand(experts: list[Path], tmp_path: Path) -> None:
    made, table = fusing(experts, tmp_path), rows()
    found = made.of({"test": table[::-1], "again": table[:5]})
    strong, base, *tuned = (model.logits({"test": table})["test"].log_odds for model in made.models)
    expected = fuse_experts(strong, base, tuned)
    turned = found["test"].of(np.arange(len(table))[::-1])
    np.testing.assert_allclose(turned.alpha, expected.alpha, atol=1e-9)
    assert np.array_equal(turned.expert, expected.expert)
    assert set(expected.expert) == {0, 1}
    np.testing.assert_allclose(expit(turned.log_odds(turned.alpha)), expected.p[:, 1], atol=1e-9)
    np.testing.assert_allclose(turned.tuned, np.stack(tuned)[expected.expert, np.arange(len(table))])
    assert np.array_equal(found["again"].alpha, turned.alpha[:5])


def test_over_the_vocabulary_alpha_is_of_all_tokens_and_p_of_the_two_words(
    experts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analyses.experiment.fusing.BLOCK", 8 * 37 * 14 * 16)  # sixteen rows at once
    made, table = fusing(experts, tmp_path, "fusion.over=vocabulary"), rows()
    found = made.of({"test": table})["test"]
    whole = [np.concatenate(list(model.vocabulary(table))).astype(np.float64) for model in made.models]
    expected = fuse_experts(whole[0], whole[1], whole[2:])
    np.testing.assert_allclose(found.alpha, expected.alpha, atol=1e-3)
    zero, one = (word.token for word in made.strong.plan(table).words)
    p = expected.p[:, one] / (expected.p[:, one] + expected.p[:, zero])
    np.testing.assert_allclose(expit(found.log_odds(found.alpha)), p, atol=1e-4)
    over_labels = fusing(experts, tmp_path).of({"test": table})["test"]
    assert np.abs(over_labels.alpha - found.alpha).mean() > 0.05
    np.testing.assert_allclose(over_labels.strong, found.strong, atol=1e-4)
    (kept,) = (tmp_path / "fusions").iterdir()
    assert kept.stat().st_size < len(table) * 8 * 6 + 2000  # a few numbers a row
    monkeypatch.setattr(Opinions, "vocabulary", None)
    assert np.array_equal(made.of({"test": table})["test"].alpha, found.alpha)


def test_calibration_takes_nothing_off_fused_logits(experts: list[Path], tmp_path: Path) -> None:
    plain, moved = fusing(experts, tmp_path), fusing(experts, tmp_path, "asking.calibrate=prior")
    assert moved.description == plain.description
    assert moved.strong.asked == AskedAs(prompt="{text}", answers=list(WORDS))


def test_a_change_holds_no_rounding_of_the_base(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(MODELS / "weak"),
        AutoTokenizer.from_pretrained(MODELS / "weak"),
    )
    for name in ("bfloat16", "float32"):  # of the same weights
        model.to(getattr(torch, name)).save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    base, expert = tmp_path / "bfloat16", tmp_path / "float32"
    made = fusing([expert], tmp_path / "cache", f"fusion.base={base}")
    assert [model.description["dtype"] for model in made.models] == ["float32"] * 3
    np.testing.assert_allclose(made.of({"test": rows()})["test"].change, 0, atol=1e-5)
    alone = replace(made.base, dtype="auto").logits({"test": rows()})["test"].log_odds
    assert np.abs(alone - made.base.logits({"test": rows()})["test"].log_odds).max() > 1e-3


def test_what_is_kept_of_fusions_goes_by_what_the_chat_template_says(experts: list[Path], tmp_path: Path) -> None:
    template, keys = tmp_path / "t.jinja", list[str]()
    for end in ("", "", " noisy"):
        template.write_text("{% for message in messages %}{{ message['content'] }}{% endfor %}" + end)
        made = fusing(experts, tmp_path, f"asking.chat_template={template}", f"asking.n_shots={4 + len(keys)}")
        keys.append(identity_key(made.description))
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ([HEAD], r"method 'fusion-dynamic' needs a tuned small model: give fusion.experts, or a supervisor of kind"),
        (["fusion.base=some"], r"fusion.base: the supervisor was tuned from weak.model: leave it out"),
        (["fusion.experts=a,a"], r"fusion.experts names something twice: a, a"),
        (["fusion.top=0"], r"fusion.top: input should be greater than 0"),
        (["fusion.over=words"], r"fusion.over: input should be 'labels' or 'vocabulary'"),
        (
            ["weak={kind='text'}", "fusion.experts=a"],
            r"fusion.experts need fusion.base, the model that they",
        ),
    ],
)
def test_recipes_that_lack_models_are_refused(settings: list[str], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        read_recipe(RECIPES / "fusion.toml", [*SMALL[:-1], *settings])


def with_template(expert: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(expert)
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    tokenizer.save_pretrained(expert)


def with_permuted_tokens(expert: Path) -> None:
    file = expert / "tokenizer.json"
    written = json.loads(file.read_text())
    tokens = written["model"]["vocab"]
    tokens["steep"], tokens["rowdy"] = tokens["rowdy"], tokens["steep"]
    file.write_text(json.dumps(written))


def with_words_read_otherwise(expert: Path) -> None:
    file = expert / "tokenizer.json"
    read_as = {"type": "Replace", "pattern": {"String": "costly"}, "content": "steep"}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"normalizer": read_as}))


def as_classifier(expert: Path) -> None:
    file = expert / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"architectures": ["LlamaForSequenceClassification"]}))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (None, r"expert .*strong is a llama of 4 blocks of 64, and its base .*weak a llama of 2 blocks"),
        (as_classifier, r"model .*own: no language-model head; classifiers cannot answer"),
        (
            with_permuted_tokens,
            r"token 8 is 'steep' of .*weak and 'rowdy' of .*own, .* tokens: give the model that the exp",
        ),
        (
            with_words_read_otherwise,
            r"models .*weak and .*own spell the answers differently .*: give the model that the",
        ),
        (with_template, r"expert .*own and its base .*weak have other chat templates"),
    ],
)
def test_models_that_cannot_be_fused_are_refused_before_anything_is_trained(
    change: Callable[[Path], None] | None, fault: str, tmp_path: Path
) -> None:
    expert = MODELS / "strong"
    if change is not None:
        expert = tuned_model(tmp_path / "own", TASK, WORDS, steps=1)
        change(expert)
    recipe = read_recipe(RECIPES / "fusion.toml", [*SMALL[:-1], HEAD, f'fusion.experts=["{expert}"]'])
    with pytest.raises(InputError, match=fault):
        run(recipe, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_fusion_reads_no_weak_label_and_no_truth(tmp_path: Path) -> None:
    plain, turned = experiment(tmp_path / "a"), experiment(tmp_path / "b")
    turned = replace(turned, weak=LabelSet(turned.weak.ids, 1 - turned.weak.p))
    for name in FUSIONS:
        one, other = (outcome_by(name, made).scores["test"] for made in (plain, turned))
        assert np.array_equal(one, other), name
    with pytest.raises(InputError, match="there is no tuned model to fuse with"):
        outcome_by(DYNAMIC, replace(plain, fusing=None, cache=ResultCache(tmp_path / "c")))


def test_a_plan_counts_each_model_that_is_fused_once() -> None:
    described = ModelSource.describe
    counted = {}
    for over in ("labels", "vocabulary"):
        recipe = read_recipe(RECIPES / "fusion.toml", [*SMALL, f"fusion.over={over}"])
        plans = plan_askings(
            recipe, find_methods(recipe.methods), {TASK: None}, described, test_rows=200, tokens_per_row=20
        )
        counted[over] = [(plan.what, Path(plan.source.name).name, plan.costs.rows) for plan in plans]
    asked, small = ("prior-zeroshot and fusion", "strong", 200), ("fusion", "weak", 400)
    assert counted["labels"] == [asked, small]
    assert counted["vocabulary"] == [("prior-zeroshot", "strong", 200), ("fusion", "strong", 200), small]


def test_robust_runs_refuse_what_reads_no_weak_label() -> None:
    recipe = read_recipe(RECIPES / "fusion.toml", SMALL)
    with pytest.raises(InputError, match=r"method 'fusion-dynamic' reads no weak label, which is all that an attack"):
        robust_methods(recipe, oracle=False)
