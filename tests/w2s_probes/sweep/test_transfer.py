"""How alike probes of the training rows and of the held-out rows rank the latter, beside brute force."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.report.page import write_report
from tests.worlds.sweeping import Swept, planted_store
from w2s_probes import InputError, LogisticProbe
from w2s_probes.io.json_files import read_json
from w2s_probes.io.tables import write_table
from w2s_probes.probes import MeanDifferenceProbe
from w2s_probes.sweep import Grid, SweepResult, sweep

VALUES: dict[str, Any] = {"logistic_l2": [0.01, 1.0], "mean_difference": True, "knn_k": 5}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    return planted_store(tmp_path_factory.mktemp("store") / "acts")


@pytest.fixture(scope="module")
def swept(world: Swept) -> SweepResult:
    return sweep(world.path, world.table.head(100), test=world.table.tail(60), transfer=True, seeds=[0, 1], **VALUES)


def test_cosines_are_the_correlations_of_both_probes_scores_on_the_held_out_rows(
    world: Swept, swept: SweepResult
) -> None:
    first, last = (part.sort_values("id") for part in (world.table.head(100), world.table.tail(60)))
    at, there = (world.rows(part["id"].to_numpy(dtype=object)) for part in (first, last))
    table = swept.transfer()
    assert len(table) == 3 * 3  # layers, and cells of linear probes; kNN has no direction
    assert set(table["probe"]) == {"logistic", "mean-difference"}
    lines = swept.to_frame()
    assert (lines["metric"] == "transfer_cosine").sum() == 2 * len(table)  # of two seeds, which draw folds alone
    for line in table.to_dict(orient="records"):
        X = world.layers[int(line["layer"])]
        probe = MeanDifferenceProbe() if line["probe"] == "mean-difference" else LogisticProbe(float(line["l2"]))
        weights = probe.fit(X[at], first["label"].to_numpy()).coef_[0]
        own = probe.fit(X[there], last["label"].to_numpy()).coef_[0]
        expected = np.corrcoef(X[there] @ weights, X[there] @ own)[0, 1]
        assert line["cosine"] == pytest.approx(expected, abs=2e-3)  # paths are solved to a tolerance
        assert line["low"] <= line["cosine"] <= line["high"]
    seen = lines[(lines["metric"] == "auroc") & (lines["rows"] == "held-out") & (lines["probe"] != "weak")]
    assert table["auroc"].to_numpy()[0] in seen["value"].to_numpy()


def test_probes_of_a_class_that_is_there_transfer_and_those_of_noise_do_not(swept: SweepResult) -> None:
    by_layer = swept.transfer().groupby("layer")["cosine"].mean()
    assert by_layer[0] < 0.6 < 0.9 < by_layer[2]
    assert "to the probe of their own labels" in str(swept.best())


def test_what_cannot_be_compared_says_why(world: Swept, tmp_path: Path) -> None:
    train, test = world.table.head(100), world.table.tail(60)
    one_class = sweep(world.path, train, test=test.assign(label=0.9), transfer=True, layers=[2], logistic_l2=1)
    (status,) = one_class.to_frame().query("metric == 'transfer_cosine'")["status"]
    assert status.startswith("left out: held-out rows: one class only")
    with pytest.raises(InputError, match="no transfer was swept, or it has no number"):
        one_class.transfer()
    with pytest.raises(InputError, match="none is swept: give logistic a penalty"):
        sweep(world.path, train, test=test, transfer=True, knn_k=5, mlp_l2=1)
    with pytest.raises(InputError, match="rows held out, of which labels has none"):
        sweep(world.path, world.table, transfer=True, held_out=0, logistic_l2=1)


def test_a_sweep_without_it_is_kept_under_the_key_that_it_had() -> None:
    values = {"logistic": (1.0,)}
    assert Grid(values, transfer=True).record() == {**Grid(values).record(), "transfer": True}
    assert "transfer" not in Grid(values).record()


def test_a_table_with_cosines_is_read_back_and_chosen_from_as_before(
    world: Swept, swept: SweepResult, tmp_path: Path
) -> None:
    swept.write(tmp_path / "sweep.csv")
    again = SweepResult.read(tmp_path / "sweep.csv")
    pd.testing.assert_frame_equal(again.transfer(), swept.transfer(), check_exact=False)
    plain = sweep(world.path, world.table.head(100), test=world.table.tail(60), seeds=[0, 1], **VALUES)
    assert plain.best().setting == swept.best().setting
    without = swept.to_frame().query("metric != 'transfer_cosine'").reset_index(drop=True)
    pd.testing.assert_frame_equal(without, plain.to_frame())


def test_the_command_says_the_cosine_of_the_best_cell(
    world: Swept,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    w2s: Callable[..., None],
    fails: Callable[..., str],
) -> None:
    for name, part in (("train", world.table.head(100)), ("test", world.table.tail(60))):
        write_table(part, tmp_path / f"{name}.jsonl")
    words = ["sweep", world.path, tmp_path / "train.jsonl", "--test", tmp_path / "test.jsonl", "--transfer"]
    assert "none is swept" in fails(*words, "--knn-k", 5, "--out", tmp_path / "s.csv")
    w2s(*words, "--logistic-l2", 1, "--out", tmp_path / "s.csv")
    (best,) = read_json(tmp_path / "s.json")["best"]
    value, low, high = best["held_out"]["transfer_cosine"]
    assert low < value < high
    assert f"cosine {value:.3f} [{low:.3f}, {high:.3f}] to the probe of their own labels" in capsys.readouterr().out
    write_report(tmp_path)  # whose table has a column for it
    assert "cosine to the probe of the held-out rows" in (tmp_path / "report.html").read_text()
