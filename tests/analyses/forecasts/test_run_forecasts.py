"""Measures of a finished run: of the right model's activations, whatever the record names; beside the gains."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr

from analyses.forecasts import RUN_COLUMNS, cells_of, foretell_run, gains_in, gains_of, rank_correlation
from analyses.forecasts.run_stores import RunStores
from analyses.protocol import run
from tests.conftest import ROOT
from tests.worlds.experiments import small_recipe
from w2s_probes import ActivationStore, InputError
from w2s_probes.cli import main
from w2s_probes.cli.json_schemas import answer_schema
from w2s_probes.foretelling import MEASURES, foretell
from w2s_probes.io.json_files import read_json
from w2s_probes.io.tables import read_table

QUICK = ['methods=["student-xent"]', "student.epochs=5", "data.n_val=40", "data.n_test=60", "weak.n_truth=60"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on one task: a head on the weak model's layer 2 at `mean`, students on the strong one's 2 at `last`.

    An earlier one has read a part of the rows, so that each model's lie in two stores.
    """
    out = tmp_path_factory.mktemp("run")
    run(small_recipe(*QUICK, "data.n_train=60"), out / "earlier", cache=out)
    run(small_recipe(*QUICK, "data.n_train=120"), out)
    return out


def stores_at(cache: Path, position: str) -> list[ActivationStore]:
    found = [ActivationStore.open(path.parent) for path in sorted(cache.glob("activations/*/manifest.json"))]
    return [store for store in found if store.manifest.identity["position"] == position]


def vectors(cache: Path, position: str) -> dict[str, NDArray[np.float32]]:
    parts = stores_at(cache, position)
    assert len(parts) == 2
    return {name: x for store in parts for name, x in zip(store.ids, store.layer(2), strict=True)}


def renamed(out: Path, folder: Path, names: list[str]) -> Path:
    """The run with other stores named in its record."""
    shutil.copytree(out, folder, ignore=shutil.ignore_patterns("activations", "kept", "earlier"))
    record = read_json(folder / "run.json")
    for made in record["runs"].values():
        made["activations"] = names
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def test_each_measure_is_of_the_strong_models_rows_and_the_supervisors_whatever_the_record_names(
    finished: Path, tmp_path: Path
) -> None:
    file = finished / "labels" / "miniature_price-0-weak.jsonl"
    table = read_table(file)
    train = table[table["split"] == "train"]
    by_id = [vectors(finished, at) for at in ("last", "mean")]
    X, below = (np.stack([of_model[name] for name in train["id"]]) for of_model in by_id)
    expected = foretell(X, train["label"].to_numpy(), weak_X=below, truth=train["truth"].to_numpy(), draws=1, blocks=0)
    keys = [store.key for at in ("mean", "last") for store in stores_at(finished, at)]
    for at, names in enumerate((keys, keys[::-1], [])):  # by key, and of a run whose results all came from the cache
        found = foretell_run(renamed(finished, tmp_path / str(at), names), finished)
        assert list(found) == RUN_COLUMNS
        assert found["measure"].tolist() == list(MEASURES)
        assert found["value"].tolist() == pytest.approx([one.estimate.value for one in expected.measures])
        assert found["chance"].tolist() == pytest.approx([one.chance for one in expected.measures])
        assert set(found["task"]) == {"miniature_price"}
        assert found[["oracle", "needs"]].query("oracle")["needs"].tolist() == ["truth", "truth"]


def test_rows_of_one_model_may_lie_in_several_stores(finished: Path) -> None:
    by_id, record = vectors(finished, "last"), read_json(finished / "run.json")
    reader, ids = RunStores(finished / "activations", record), np.array(list(by_id)[::-1], dtype=object)
    assert np.array_equal(reader.strong([], ids), np.stack([by_id[name] for name in ids]))
    with pytest.raises(InputError, match=r"no store has layer middle of .*strong for all \d+ training rows"):
        reader.strong([], np.append(ids, "alien"))
    other = dict(record["recipe"], weak={"kind": "text"})
    assert RunStores(finished / "activations", record | {"recipe": other}).weak([], ids) is None


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no run.json of `w2s run`"):
        foretell_run(tmp_path, tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"recipe": {}, "runs": {}}))
    with pytest.raises(InputError, match="names no trials"):
        foretell_run(tmp_path, tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(InputError, match="is no record of `w2s run`"):
        foretell_run(tmp_path, tmp_path)


def test_gains_are_differences_of_means_over_seeds(finished: Path) -> None:
    results = pd.read_csv(finished / "results.csv")
    auroc = results[results["metric"] == "auroc"].set_index("method")["value"]
    gains = gains_of(finished)
    assert gains.loc["miniature_price", "gain"] == pytest.approx(auroc["student-xent"] - auroc["weak"])
    assert gains["filter gain"].isna().all()
    lines = [("a", seed, method, "test", 0.7 + 0.1 * (method != "weak") + at) for at, seed in ((0.0, np.nan), (0.5, 0))
             for method in ("weak", "student-xent", "filter-logistic")]  # fmt: skip
    lines += [("a", np.nan, "student-xent", "hard", 0.1)]
    table = pd.DataFrame(lines, columns=["task", "seed", "method", "test_set", "value"]).assign(metric="auroc")
    found = gains_in(table).loc["a"]
    assert found["gain"] == pytest.approx(0.1)
    assert found["filter gain"] == pytest.approx(0)


def test_cells_are_means_over_seeds_and_correlations_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    tasks = [f"t{i}" for i in range(8)]
    lines = [(task, seed, "CAPA", "truth", True, rng.normal(), 0.0) for task in tasks for seed in range(3)]
    table = pd.DataFrame(lines, columns=["task", "seed", "measure", "needs", "oracle", "value", "chance"])
    table.loc[0, "value"] = np.nan
    outcomes = {name: rng.normal(size=8) for name in ("gain", "pgr", "filter gain", "relabel gain")}
    gains = pd.DataFrame(outcomes, index=pd.Index(tasks, name="task"))
    gains.loc["t3", "pgr"] = np.nan
    cells = cells_of(table, gains, "one")
    means = table.groupby("task")["value"].mean()
    assert cells["value"].tolist() == pytest.approx(means[tasks].tolist())
    assert cells["seeds"].tolist() == [2, *[3] * 7]
    found = rank_correlation(cells, "gain", n_boot=200)
    assert found.value == pytest.approx(spearmanr(means[tasks], gains["gain"]).statistic)
    assert found.low < found.value < found.high
    assert found.within == pytest.approx(found.value)
    assert rank_correlation(cells, "pgr", n_boot=20).n == 7
    assert np.isnan(rank_correlation(cells[:4], "gain").value)  # too few tasks
    assert np.isnan(rank_correlation(cells.assign(gain=1.0), "gain").value)
    # Two runs of the same tasks, with values apart: pooled they go with the run, within each they do not.
    both = pd.concat([cells, cells.assign(run="two", value=cells["value"] + 9, gain=cells["gain"] + 9)])
    pooled = rank_correlation(both, "gain", n_boot=20)
    assert pooled.value > pooled.within == pytest.approx(found.value)
    assert pooled.n == 16


def test_the_command_writes_the_table_into_the_run_and_answers_what_is_in_it(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = renamed(finished, tmp_path / "run", [])
    with pytest.raises(SystemExit) as ended:
        main(["foretell", "--run", str(folder), "--cache", str(finished), "--json"])
    printed = capsys.readouterr()
    assert ended.value.code == 0
    answer = json.loads(printed.out)
    jsonschema.validate(answer, answer_schema("foretell"))
    table = pd.read_csv(folder / "foretold.csv")
    assert [one["measure"] for one in answer["run"]["measures"]] == table["measure"].tolist()
    assert [one["value"] for one in answer["run"]["measures"]] == pytest.approx(table["value"].tolist())
    assert (answer["labels"], answer["probes"]) == (None, None)
    assert {one["value"] for one in answer["run"]["correlations"]} == {None}  # of one task
    (gain,) = gains_of(folder)["gain"]
    assert f"miniature_price, gain {gain:+.3f}" in printed.err
    assert "1 task: too few" in printed.err
    assert "ORACLE" in printed.err


def test_the_commands_of_the_page_measure_and_report_a_run(
    finished: Path, tmp_path: Path, w2s: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed(finished, tmp_path / "runs" / "demo", [])
    (tmp_path / "runs" / "demo" / "activations").symlink_to(finished / "activations")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "foretelling.md").read_text(encoding="utf-8")
    lines = re.findall(r"^w2s \w+ .*runs/demo.*$", page, flags=re.MULTILINE)
    assert [line.split()[1] for line in lines] == ["foretell", "report"]
    for line in lines:
        w2s(*shlex.split(line, comments=True)[1:])
    assert "What was foretold" in Path("runs/demo/report.html").read_text(encoding="utf-8")
