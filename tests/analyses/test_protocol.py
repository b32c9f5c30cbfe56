"""Whole runs on the miniature, small: the table, its truthfulness, its repeatability, and what it leaves behind."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.experiment import Experiment, Outcome
from analyses.methods import METHODS
from analyses.protocol import LABELS, RECORD, RESULTS, run, split_task
from analyses.recipe import RECIPES, Probes, Recipe, Student, read_recipe
from analyses.results import COLUMNS, format_interval, result_rows, results_table, summary
from analyses.supervisors import head_supervisor, text_supervisor
from tests.conftest import planted
from w2s_probes import ActivationStore, LabelSet, auroc
from w2s_probes.tables import read_table

SMALL = ["data.n_train=300", "data.n_val=100", "data.n_test=300", "weak.n_truth=150", "n_boot=200", "probes.knn_k=20"]
SMALL += ["probes.topo_k=20", 'data.tasks=["miniature_price"]', "student.epochs=40"]


def small_recipe(*settings: str) -> Recipe:
    return read_recipe(RECIPES / "demo.toml", [*SMALL, *settings])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """Every method on one task."""
    out = tmp_path_factory.mktemp("run")
    seen: list[tuple[str, int, int]] = []
    results = run(small_recipe(), out, lambda *step: seen.append(step))
    assert seen[-1][1:] == (16, 16)  # two models, weak, ceiling, twelve methods
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    return out, results


def test_every_method_has_its_rows(finished: tuple[Path, pd.DataFrame]) -> None:
    out, results = finished
    assert list(results.columns) == COLUMNS
    assert set(results["method"]) == {"weak", "ceiling", *METHODS}
    assert set(results["metric"]) == {"auroc", "accuracy", "pgr_auroc", "pgr_accuracy"}
    pgr = results[results["metric"] == "pgr_auroc"]
    assert set(pgr["method"]) == set(METHODS)
    assert ((pgr["low"] <= pgr["value"]) & (pgr["value"] <= pgr["high"])).all()
    assert results[results["oracle"]]["method"].unique().tolist() == ["ceiling"]
    written = pd.read_csv(out / RESULTS)
    assert written["value"].tolist() == results["value"].tolist()
    knn = results[results["method"] == "filter-knn"].iloc[0]
    assert (knn["probe"], knn["k"], knn["contamination"], knn["layer"], knn["n"]) == ("knn", 20, 0.1, 2, 300)


def test_pgr_follows_from_the_values_beside_it(finished: tuple[Path, pd.DataFrame]) -> None:
    _, results = finished
    value = results.set_index(["method", "metric"])["value"]
    for method in METHODS:
        for metric in ("auroc", "accuracy"):
            gap = value["ceiling", metric] - value["weak", metric]
            expected = (value[method, metric] - value["weak", metric]) / gap
            assert value[method, f"pgr_{metric}"] == pytest.approx(expected)


def test_the_same_seed_gives_the_same_table_and_another_does_not(
    finished: tuple[Path, pd.DataFrame], tmp_path: Path
) -> None:
    out, _ = finished
    few = 'methods=["student-xent", "filter-topo"]'
    run(small_recipe(few), tmp_path / "a")
    again = pd.read_csv(tmp_path / "a" / RESULTS)
    first = pd.read_csv(out / RESULTS)
    same = first[first["method"].isin(again["method"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, same, check_dtype=False)  # other methods change nothing
    run(small_recipe(few, "seeds=[1]"), tmp_path / "b")
    assert pd.read_csv(tmp_path / "b" / RESULTS)["value"].tolist() != again["value"].tolist()


def test_the_record_says_what_was_done(finished: tuple[Path, pd.DataFrame]) -> None:
    out, _ = finished
    record = json.loads((out / RECORD).read_text())
    assert record["recipe"]["data"]["n_train"] == 300
    assert record["versions"]["torch"].startswith("2.")
    made = record["runs"]["miniature_price, seed 0"]
    assert made["splits"]["train"]["rows"] == 300
    assert made["methods"]["filter-knn"]["removed"] == 30
    stores = [ActivationStore.open(path) for path in (out / "activations").iterdir()]
    assert {store.key for store in stores} == set(made["activations"].values())
    assert all(store.verify().ok for store in stores)


def test_the_label_files_are_what_the_methods_saw(finished: tuple[Path, pd.DataFrame]) -> None:
    out, results = finished
    weak = read_table(out / LABELS / "miniature_price-0-weak.jsonl")
    assert weak["split"].value_counts().to_dict() == {"train": 300, "val": 100}
    test = out / LABELS / "miniature_price-0-test.jsonl"
    value = results.set_index(["method", "metric"])["value"]["weak", "auroc"]
    assert auroc(LabelSet.read(test, "truth").p, LabelSet.read(test).p) == value


def test_the_weak_supervisor_never_sees_the_rows_it_labels() -> None:
    """Ground truth of every other set may change without a change in any weak label."""
    (sets,) = split_task(small_recipe(), "miniature_price").values()
    before = text_supervisor(sets)
    turned = dataclasses.replace(
        sets, **{name: getattr(sets, name).assign(label=1 - getattr(sets, name)["label"]) for name in before}
    )
    after = text_supervisor(turned)
    for name in before:
        assert np.array_equal(before[name], after[name])


def test_a_head_supervisor_is_weak_but_knows_something(finished: tuple[Path, pd.DataFrame]) -> None:
    out, _ = finished
    record = json.loads((out / RECORD).read_text())
    key = record["runs"]["miniature_price, seed 0"]["activations"]["weak"]
    (sets,) = split_task(small_recipe(), "miniature_price").values()
    store = ActivationStore.open(out / "activations" / key[:16])
    scores = head_supervisor(sets, store, epochs=40, seed=0)
    assert 0.6 < auroc(sets.test["label"].to_numpy(dtype=float), scores["test"]) < 0.95


def experiment(**more: Any) -> Experiment:
    data, val, test = planted(n=300, noise=0.2), planted(n=100, noise=0.2, seed=1), planted(n=200, seed=2)
    fields: dict[str, Any] = {
        "X_train": data.X,
        "X_val": val.X,
        "X_test": test.X,
        "weak_train": data.weak,
        "weak_val": val.weak,
        "groups": None,
        "student": Student(epochs=40),
        "probes": Probes(knn_k=20, topo_k=20),
        "seed": 0,
    }
    return Experiment(**fields | more)


def test_methods_cannot_read_ground_truth() -> None:
    names = {field.name for field in dataclasses.fields(Experiment)}
    assert names == {*("X_train", "X_val", "X_test", "weak_train", "weak_val", "groups", "student", "probes", "seed")}


@pytest.mark.parametrize("name", METHODS)
def test_each_method_alone_learns_through_noise(name: str) -> None:
    outcome = METHODS[name](experiment())
    assert outcome.scores.shape == (200,)
    assert auroc(planted(n=200, seed=2).truth, outcome.scores) > 0.95
    assert (outcome.probe or name.split("-")[0]) in ("knn", "logistic", "topo", "student", "control")


def test_opinions_keep_groups_together() -> None:
    """Rows in near-equal pairs of one random label: without groups a neighbour knows the answer, with them not."""
    noise = planted(n=150, d=30, noise=0.5, apart=0)
    jitter = np.random.default_rng(0).normal(scale=1e-3, size=(300, 30)).astype(np.float32)
    X, y = np.repeat(noise.X, 2, axis=0) + jitter, np.repeat(noise.weak, 2)
    probes = Probes(knn_k=1)
    leaky = experiment(X_train=X, weak_train=y, probes=probes).opinion("knn")
    assert auroc(y, leaky) == 1
    groups = np.repeat(np.arange(150), 2).astype(object)
    kept = experiment(X_train=X, weak_train=y, probes=probes, groups=groups).opinion("knn")
    assert abs(auroc(y, kept) - 0.5) < 0.15


def test_a_ceiling_that_is_no_better_gives_no_ratio_in_the_table() -> None:
    truth = np.tile([0.0, 1.0], 50)
    scores = np.random.default_rng(0).uniform(size=100)
    outcomes = {name: Outcome(scores) for name in ("weak", "ceiling", "student-xent")}
    results = results_table(result_rows(outcomes, truth, task="t", seed=0, layer=3, n_boot=50))
    line = summary(results).iloc[0]
    assert (line["pgr"], line["status"]) == ("-", "undefined")
    assert results["layer"].isna().sum() == 2  # the weak supervisor's
    assert format_interval(0.5, -0.1, 1) == "0.50 [-0.10, 1.00]"
