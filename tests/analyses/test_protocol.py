"""Whole runs on the miniature, small: the table, its truthfulness, its repeatability, and what it leaves behind."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.experiment import Experiment, Lessons, Method, Outcome
from analyses.methods import METHODS
from analyses.protocol import run
from analyses.recipe.read import read_recipe
from analyses.results.gold_tables import BUDGET, CHOICES
from analyses.results.names import (
    COMPARISONS,
    FILTERS,
    LABELS,
    PREDICTIONS,
    RECIPE,
    RECORD,
    RESULT_COLUMNS,
    RESULTS,
)
from analyses.results.run_folder import remove_earlier
from tests.worlds.experiments import small_recipe
from w2s_probes import ActivationStore, InputError, LabelSet, auroc, topo_filter
from w2s_probes.io.tables import read_table

METHODS_RUN = [
    "student-xent",
    "student-logconf",
    "probe-knn",
    "probe-logistic",
    "probe-topo",
    "filter-topo",
]
METHODS_RUN += ["control-random:filter-topo", "relabel-knn", "relabel-logistic", "relabel-topo"]
CEILINGS = ["ceiling-knn", "ceiling-logistic", "ceiling-topo"]

SECRET = {"HF_TOKEN": "hf_plantedTokenThatNobodyMaySee", "AWS_SECRET_ACCESS_KEY": "planted/Secret+that/nobody+may/see"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """Every method on one task."""
    out = tmp_path_factory.mktemp("run")
    seen: list[tuple[str, int, int]] = []
    with pytest.MonkeyPatch.context() as environment:
        for name, value in SECRET.items():
            environment.setenv(name, value)
        results = run(small_recipe(), out, lambda *step: seen.append(step))
    assert seen[-1][1:] == (15, 15)  # weak, ceiling, the probes' ceilings, ten methods
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    return out, results


def test_no_file_of_a_run_holds_a_secret_of_the_environment(finished: tuple[Path, pd.DataFrame]) -> None:
    files = {file.name: file.read_bytes() for file in finished[0].rglob("*") if file.is_file()}
    assert RECORD in files
    found = [
        (name, key) for name, content in files.items() for key, value in SECRET.items() if value.encode() in content
    ]
    assert found == []


def test_every_method_has_its_rows(finished: tuple[Path, pd.DataFrame]) -> None:
    out, results = finished
    assert list(results.columns) == RESULT_COLUMNS
    assert set(results["method"]) == {"weak", "ceiling", *CEILINGS, *METHODS_RUN}
    agreement = {"agreement", "agreement_on_errors"}
    common = {"pgr_auroc_common", "pgr_accuracy_common"}
    assert set(results["metric"]) == {"auroc", "accuracy", "pgr_auroc", "pgr_accuracy"} | agreement | common
    assert set(results[results["metric"] == "pgr_auroc_common"]["method"]) == {
        name for name in METHODS_RUN if name.startswith("probe-")
    }
    assert set(results["status"]) <= {"rows only", "unstable; rows only", "undefined"}  # one seed
    assert (results["seeds"] == 1).all()
    pgr = results[results["metric"] == "pgr_auroc"]
    assert set(pgr["method"]) == set(METHODS_RUN)
    assert ((pgr["low"] <= pgr["value"]) & (pgr["value"] <= pgr["high"])).all()
    marked = results[results["oracle"] & (results["metric"] != "agreement_on_errors")]
    assert set(marked["method"]) == {"ceiling", *CEILINGS}
    written = pd.read_csv(out / RESULTS)
    assert written["value"].tolist() == results["value"].tolist()
    topo = results[results["method"] == "filter-topo"].iloc[0]
    assert (topo["probe"], topo["k"], topo["contamination"], topo["layer"], topo["n"]) == ("topo", 20, 0.1, 2, 300)
    assert results[results["method"] == "student-logconf"]["alpha"].unique().tolist() == [0.5]  # chosen after the ramp
    assert results[results["method"] == "student-xent"]["alpha"].isna().all()


def test_pgr_follows_from_the_values_beside_it(finished: tuple[Path, pd.DataFrame]) -> None:
    _, results = finished
    value = results.set_index(["method", "metric"])["value"]
    for method in METHODS_RUN:
        for metric in ("auroc", "accuracy"):
            own = f"ceiling-{method.removeprefix('probe-')}" if method.startswith("probe-") else "ceiling"
            gap = value[own, metric] - value["weak", metric]
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


def test_a_run_into_the_folder_of_another_leaves_none_of_its_files_and_all_of_others(tmp_path: Path) -> None:
    few = ("data.n_train=60", "data.n_val=40", "data.n_test=60", "weak.n_truth=60", "n_boot=10", "student.epochs=2")
    run(small_recipe('methods=["student-xent", "control-confidence-filter"]', "seeds=[0, 1]", *few), tmp_path)
    folders = [tmp_path / name for name in (LABELS, PREDICTIONS, FILTERS)]
    own = ["mine-1-weak.jsonl", "miniature_price-2-weak.jsonl", "miniature_price-1.txt", "notes.csv"]
    for folder in folders:
        for name in own:
            (folder / name).write_text("mine")
    before = {path for folder in folders for path in folder.iterdir()}
    assert before >= {tmp_path / LABELS / f"miniature_price-{seed}-weak.jsonl" for seed in (0, 1)}
    run(small_recipe('methods=["student-xent"]', *few), tmp_path)
    after = {path for folder in folders for path in folder.iterdir()}
    gone = {str(path.relative_to(tmp_path)) for path in before - after}
    assert gone == {
        "labels/miniature_price-1-weak.jsonl",
        "labels/miniature_price-1-test.jsonl",
        "predictions/miniature_price-1.csv",
        "filters/miniature_price-0-control-confidence-filter.jsonl.gz",
        "filters/miniature_price-1-control-confidence-filter.jsonl.gz",
    }
    assert after < before


def test_only_a_runs_record_says_which_files_are_its_own(tmp_path: Path) -> None:
    (tmp_path / LABELS).mkdir()
    file = tmp_path / LABELS / "x-1-weak.jsonl"
    above = tmp_path / "up-1-weak.jsonl"
    for path in (file, above):
        path.write_text("{}")
    for text in (None, "{", "[]", '{"runs": {"x": 1}, "recipe": {"methods": []}}', '{"runs": {"x, seed 1": {}}}'):
        if text is not None:
            (tmp_path / RECORD).write_text(text)
        remove_earlier(tmp_path, set())
        assert file.exists()
    (tmp_path / RECORD).write_text('{"runs": {"x, seed 1": 1, "../up, seed 1": 1}, "recipe": {"methods": ["a"]}}')
    remove_earlier(tmp_path, {f"{LABELS}/x-1-weak.jsonl"})
    assert file.exists()
    remove_earlier(tmp_path, set())
    assert not file.exists()
    assert above.exists()


def test_a_run_removes_the_gold_tables_of_an_earlier_one_and_no_table_that_is_the_users(tmp_path: Path) -> None:
    few = ("data.n_train=60", "data.n_val=40", "data.n_test=60", "weak.n_truth=60", "n_boot=10", "student.epochs=2")
    plain, gold = 'methods=["student-xent"]', 'methods=["student-xent", "gold-select-knn:20"]'
    given = ("probes.topo_k=5", "probes.knn_k=5", *few)
    for name in (BUDGET, CHOICES):
        (tmp_path / name).write_text("id,label\nmine,1\n")
    run(small_recipe(plain, *given), tmp_path)
    assert (tmp_path / BUDGET).read_text() == (tmp_path / CHOICES).read_text() == "id,label\nmine,1\n"
    with pytest.raises(InputError, match=r"gold.csv is a file that this run would write: move it, or give another"):
        run(small_recipe("methods=gold-append", f"gold.file={tmp_path / BUDGET}", *given), tmp_path)
    run(small_recipe(gold, *given), tmp_path)
    assert (pd.read_csv(tmp_path / BUDGET)["gold"].max(), pd.read_csv(tmp_path / CHOICES)["gold"].max()) == (20, 20)
    run(small_recipe(plain, *given), tmp_path)
    assert not (tmp_path / BUDGET).exists()
    assert not (tmp_path / CHOICES).exists()


def test_the_record_says_what_was_done(finished: tuple[Path, pd.DataFrame]) -> None:
    out, _ = finished
    record = json.loads((out / RECORD).read_text())
    assert record["recipe"]["data"]["n_train"] == 300
    assert record["versions"]["torch"].startswith("2.")
    made = record["runs"]["miniature_price, seed 0"]
    assert made["splits"]["train"]["rows"] == 300
    assert made["methods"]["filter-topo"]["removed"] >= 30
    control, filtered = (made["methods"][name] for name in ("control-random:filter-topo", "filter-topo"))
    assert (control["removed"], control["draws"]) == (filtered["removed"], 5)
    assert made["methods"]["student-logconf"]["alpha"] == 0.5
    stores = [ActivationStore.open(path) for path in (out / "activations").iterdir()]
    assert {store.key for store in stores} == set(made["activations"])
    assert all(store.verify().ok for store in stores)


def test_the_label_files_are_what_the_methods_saw(finished: tuple[Path, pd.DataFrame]) -> None:
    out, results = finished
    weak = read_table(out / LABELS / "miniature_price-0-weak.jsonl")
    assert weak["split"].value_counts().to_dict() == {"train": 300, "val": 100}
    test = out / LABELS / "miniature_price-0-test.jsonl"
    value = results.set_index(["method", "metric"])["value"]["weak", "auroc"]
    assert auroc(LabelSet.read(test, "truth").p, LabelSet.read(test).p) == pytest.approx(value, abs=1e-12)


def test_the_test_scores_are_those_of_the_table(finished: tuple[Path, pd.DataFrame]) -> None:
    out, results = finished
    scores = pd.read_csv(out / PREDICTIONS / "miniature_price-0.csv")
    value = results.set_index(["method", "metric"])["value"]
    for method in ("weak", "ceiling", *CEILINGS, *METHODS_RUN):
        columns = [name for name in scores if str(name).partition("/")[0] == method]
        assert len(columns) == (5 if method.startswith("control-random") else 1)
        own = np.mean([auroc(scores["truth"], scores[column]) for column in columns])
        assert own == pytest.approx(value[method, "auroc"], abs=1e-12)
    assert scores["group"].notna().all()
    tests = pd.read_csv(out / COMPARISONS)
    assert set(tests["method"]) == set(METHODS_RUN)
    assert tests["p_t"].isna().all()  # one task tests nothing


def test_filters_leave_their_verdict_on_every_training_row(finished: tuple[Path, pd.DataFrame]) -> None:
    out, _ = finished
    method = "filter-topo"
    judged = read_table(out / FILTERS / f"miniature_price-0-{method}.jsonl.gz")
    weak = read_table(out / LABELS / "miniature_price-0-weak.jsonl")
    for name in ("id", "text", "truth", "label", "split"):
        assert judged[name].tolist() == weak[name].tolist()
    train = judged[judged["split"] == "train"]
    record = json.loads((out / RECORD).read_text())
    notes = record["runs"]["miniature_price, seed 0"]["methods"][method]
    assert (~train["keep"].astype(bool)).sum() == notes["removed"] >= 30
    assert (train["keep"] == (train["reason"] == "")).all()
    assert set(judged[judged["split"] == "val"]["reason"]) == {"not a training row"}
    assert (train["p"] - train["label"]).abs().to_numpy(float) == pytest.approx(train["score"].to_numpy(float))
    stores = [ActivationStore.open(path) for path in (out / "activations").iterdir()]
    strong = {digest for name, digest in record["models"].items() if name.endswith("strong")}
    (store,) = [one for one in stores if one.manifest.identity["weights"] in strong]
    alone = topo_filter(store.layer(2, ids=train["id"].tolist()), train["label"].astype(float), 20, 20)
    assert alone.mask.tolist() == train["keep"].tolist()


def test_the_record_says_where_the_time_went_and_the_recipe_can_be_run_again(
    finished: tuple[Path, pd.DataFrame],
) -> None:
    out, _ = finished
    record = json.loads((out / RECORD).read_text())
    taken = record["runs"]["miniature_price, seed 0"]["taken"]
    assert set(taken) == {"weak", "ceiling", *CEILINGS, *METHODS_RUN}
    assert {"weak", "activations", "trained"} <= taken["weak"]["made"].keys()
    assert "trained" in taken["ceiling"]["made"]
    assert sum("activations" in one["made"] for name, one in taken.items() if name != "weak") == 1
    assert {name for name, one in taken.items() if "neighbors" in one["made"]} <= {
        name for name in taken if name.endswith(("knn", "topo"))
    }
    assert sum("neighbors" in one["made"] for one in taken.values()) <= 2  # those of kNN, and those of Topo
    for one in taken.values():
        assert sum(one["made"].values()) <= one["seconds"] + 0.1
    assert sum(one["seconds"] for one in taken.values()) <= record["seconds"] + 0.1
    assert read_recipe(out / RECIPE) == small_recipe()


def test_seeds_share_test_rows_and_have_lines_together(tmp_path: Path) -> None:
    results = run(small_recipe('methods=["student-xent"]', "seeds=[0, 1]"), tmp_path)
    together: Any = results[results["seed"].isna()].set_index(["method", "metric"])
    by_seed = results[results["seed"].notna()]
    for method in ("weak", "ceiling", "student-xent"):
        own = by_seed[(by_seed["method"] == method) & (by_seed["metric"] == "auroc")]["value"]
        assert together["value"][method, "auroc"] == pytest.approx(own.mean())
    gap, gain = together.loc[("ceiling", "gap_auroc")], together.loc[("student-xent", "gain_auroc")]
    pgr = together.loc[("student-xent", "pgr_auroc")]
    assert pgr["value"] == pytest.approx(gain["value"] / gap["value"])
    assert pgr["low"] < pgr["value"] < pgr["high"]
    ids = [pd.read_csv(tmp_path / PREDICTIONS / f"miniature_price-{seed}.csv")["id"].tolist() for seed in (0, 1)]
    assert ids[0] == ids[1]


def test_a_method_that_cannot_be_used_somewhere_is_left_out_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = METHODS["filter-knn"].run

    def picky(experiment: Experiment) -> Outcome | Lessons:
        if experiment.seed == 1:
            raise InputError("labels of one class")
        return real(experiment)

    monkeypatch.setitem(METHODS, "filter-knn", Method(picky))
    both = 'methods=["student-xent", "filter-knn"]'
    results = run(small_recipe(both, "seeds=[0, 1]"), tmp_path)
    lines = results[results["method"] == "filter-knn"]
    assert set(lines["seed"].dropna()) == {0}
    together = results[results["seed"].isna()]
    assert set(together["method"]) == {"weak", "student-xent", "ceiling", "filter-knn"}
    of_one = together["method"] == "filter-knn"  # averaged over the seed that it has, and said to be of one
    assert (together[of_one]["seeds"] == 1).all()
    assert together[of_one]["status"].str.contains("rows only").all()
    assert (together[~of_one]["seeds"] == 2).all()
    compared = pd.read_csv(tmp_path / COMPARISONS).set_index(["metric", "method"])
    assert set(compared.loc["auroc"].index) == {"student-xent", "filter-knn"}  # paired on the seed that both have
    by = results[(results["metric"] == "auroc") & (results["seed"] == 0)].set_index("method")["value"]
    assert compared["difference"]["auroc", "filter-knn"] == pytest.approx(by["filter-knn"] - by["student-xent"])
    (failure,) = json.loads((tmp_path / RECORD).read_text())["failed"]
    assert failure == {
        "task": "miniature_price",
        "seed": 1,
        "method": "filter-knn",
        "reason": "labels of one class",
    }
    with pytest.raises(InputError, match=r"method 'filter-knn' cannot be used here: labels of one class"):
        run(small_recipe(both, "seeds=[1]"), tmp_path / "alone")
