"""Methods of the attention probe: out of fold, pooling for other probes, what is kept, planned and refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analyses.costs import EVERY_TOKEN, plan_recipe
from analyses.dry_run import stages
from analyses.lessons.lesson import Leak, Misuse
from analyses.methods import METHODS, find_methods
from analyses.protocol import run
from analyses.recipe.attention import Attention
from analyses.recipe.probe_values import Probes
from tests.worlds.experiments import experiment, outcome_by, small_recipe
from w2s_probes import InputError, LogisticProbe
from w2s_probes.probes import AttentionProbe

QUICK = Attention(hidden=4, epochs=4)


def test_a_relabelling_by_attention_teaches_what_a_probe_says_that_did_not_learn_the_row(tmp_path: Path) -> None:
    made = experiment(tmp_path, probes=Probes(attention=QUICK))
    assert made.tokens is not None
    tokens = made.tokens.tokens(made.rows["train"])
    probe = AttentionProbe(hidden=4, epochs=4).fit(tokens, made.weak_train)
    assert made.out_of_sample_scores("attention") == pytest.approx(probe.out_of_sample_, abs=1e-6)
    assert made.filtered("attention").mask.sum() == 270
    test = made.tokens.tokens(made.rows["test"])
    outcome = outcome_by("probe-attention", made)
    assert outcome.scores["test"] == pytest.approx(probe.predict_proba(test)[:, 1], abs=1e-6)
    assert (outcome.probe, outcome.k, outcome.l2) == ("attention", None, 1e-3)
    control = AttentionProbe(pool="mean").fit(tokens, made.weak_train)
    found = outcome_by("control-mean-of-tokens", made).scores["test"]
    assert found == pytest.approx(control.predict_proba(test)[:, 1], abs=1e-6)


def test_a_probe_reads_vectors_that_attention_pooled_out_of_fold(tmp_path: Path) -> None:
    made = experiment(tmp_path, pooling=QUICK, probes=Probes(knn_k=20, topo_k=20, attention=Attention(hidden=9)))
    assert made.tokens is not None
    fitted = AttentionProbe(hidden=4, epochs=4).fit(made.tokens.tokens(made.rows["train"]), made.weak_train)
    assert made.X_train == pytest.approx(fitted.cross_fitted_.pooled, abs=1e-5)
    assert not np.allclose(made.X_train, fitted.pool(made.tokens.tokens(made.rows["train"])), atol=1e-4)
    pooled = fitted.pool(made.tokens.tokens(made.rows["test"]))
    expected = LogisticProbe(1e-2).fit(made.X_train, made.weak_train).predict_proba(pooled)[:, 1]
    assert outcome_by("probe-logistic", made).scores["test"] == pytest.approx(expected, abs=1e-6)
    for name in ("probe-knn", "filter-topo", "relabel-knn"):  # each declares its own settings, and none of attention
        assert outcome_by(name, made).scores["test"].shape == (200,)
    plain = experiment(tmp_path)
    assert made.pooling_key
    assert not plain.pooling_key
    assert not np.array_equal(plain.out_of_sample_scores("knn"), made.out_of_sample_scores("knn"))


def test_results_are_kept_by_labels_settings_and_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = experiment(tmp_path, probes=Probes(attention=QUICK))
    kept = made.out_of_sample_scores("attention")
    fits = []
    monkeypatch.setattr(AttentionProbe, "fit", lambda *_given, **_named: fits.append(1))
    assert np.array_equal(experiment(tmp_path, probes=Probes(attention=QUICK)).out_of_sample_scores("attention"), kept)
    others = (
        {"seed": 1, "probes": Probes(attention=QUICK)},
        {"weak_train": 1 - made.weak_train, "probes": Probes(attention=QUICK)},
        {"groups": np.repeat(np.arange(150), 2).astype(str), "probes": Probes(attention=QUICK)},
        {"probes": Probes(attention=Attention(hidden=5, epochs=4))},
    )
    for other in others:
        with pytest.raises(AttributeError):
            experiment(tmp_path, **other).out_of_sample_scores("attention")
    assert len(fits) == 4


def test_attention_reads_no_truth_but_for_its_ceiling_and_asks_for_tokens(tmp_path: Path) -> None:
    names = [name for name, method in METHODS.items() if method.tokens]
    assert set(names) == {
        *("ceiling-attention", "probe-attention", "filter-attention", "relabel-attention", "control-mean-of-tokens")
    }
    assert [name for name in names if METHODS[name].oracle] == ["ceiling-attention"]
    with pytest.raises(Leak):
        METHODS["ceiling-attention"].run(experiment(tmp_path))
    assert list(find_methods(["control-mean-of-tokens"])) == ["ceiling-attention", "control-mean-of-tokens"]
    assert find_methods(["control-random:filter-attention"])["control-random:filter-attention"].tokens
    with pytest.raises(Misuse, match="reads every token of a row"):
        outcome_by("probe-attention", replace(experiment(tmp_path), tokens=None))


SMALL = [
    "data.n_train=120",
    "data.n_val=60",
    "data.n_test=100",
    "student.epochs=5",
    "probes.topo_k=10",
    "probes.knn_k=5",
]
SMALL += ["probes.attention.hidden=4", "probes.attention.epochs=3"]


def test_a_run_reads_every_token_once_and_plans_and_stages_say_so(tmp_path: Path) -> None:
    methods = "methods=['student-xent', 'probe-attention', 'control-mean-of-tokens', 'filter-attention']"
    recipe = small_recipe(*SMALL, methods)
    plan = plan_recipe(recipe)
    assert plan.models[EVERY_TOKEN].costs.position == "all"
    assert plan.models[EVERY_TOKEN].costs.store > 3 * plan.models["strong"].costs.store
    results = run(recipe, tmp_path / "run", cache=tmp_path)
    of_test = results[(results["metric"] == "auroc") & (results["method"] == "probe-attention")]
    assert of_test["probe"].tolist() == ["attention"]
    assert not of_test["oracle"].any()
    assert (tmp_path / "run" / "filters" / "miniature_price-0-filter-attention.jsonl.gz").is_file()
    found = {stage.name: stage.kept for stage in stages(recipe, tmp_path)}
    assert any(name.startswith("activations of every token of") for name in found)
    assert all(found.values())
    again = small_recipe(*SMALL, "methods=['student-xent', 'probe-knn']", "strong.position=attention")
    pooled = run(again, tmp_path / "pooled", cache=tmp_path)
    assert {"probe-knn", "ceiling-knn"} <= set(pooled["method"])
    assert plan_recipe(again).models["strong"].costs.position == "mean"
    assert EVERY_TOKEN in plan_recipe(again).models


def test_keys_that_no_recipe_has_are_refused() -> None:
    for setting, said in (
        ("probes.attention.hidden=0", "probes.attention.hidden"),
        ("probes.attention.pool=mean", "probes.attention.pool"),
        ("probes.attention.hiden=3", "unknown key 'probes.attention.hiden'"),
        ("strong.position=attentive", "strong.position"),
    ):
        with pytest.raises(InputError) as error:
            small_recipe(setting)
        assert said in str(error.value)
    with pytest.raises(InputError, match="heads read no pooled vectors"):
        small_recipe("intermediate=[{model='../../data/miniature/weak', position='attention'}]")
