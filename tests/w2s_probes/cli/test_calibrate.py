"""`w2s calibrate`: a curve learned from one file and applied to another, its answer in JSON, what it says."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from w2s_probes.calibration import Calibrator, calibrate
from w2s_probes.cli import main
from w2s_probes.cli.json_schemas import answer_schema
from w2s_probes.io.tables import read_table, write_table


def called(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["calibrate", *map(str, words)])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


@pytest.fixture
def files(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, n in (("val", 200), ("test", 400)):
        z = rng.normal(size=n)
        truth = (rng.uniform(size=n) < expit(z)).astype(int)
        rows = pd.DataFrame({"id": [f"{name}{i}" for i in range(n)], "score": expit(3 * z + 1), "truth": truth})
        write_table(rows[["id", "score"]], tmp_path / f"{name}.jsonl")
        write_table(rows[["id", "truth"]], tmp_path / f"{name}-truth.csv")
    return tmp_path


def test_a_curve_of_one_file_calibrates_another(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    curve, out = files / "curve.json", files / "calibrated.parquet"
    code, told, _ = called(capsys, files / "val.jsonl", files / "val-truth.csv", "--by", "temperature", "--out", curve)
    assert code == 0
    assert "temperature" in told
    assert f"Written: {curve}" in told
    val, test = read_table(files / "val.jsonl"), read_table(files / "test.jsonl")
    expected = calibrate(val["score"], read_table(files / "val-truth.csv")["truth"].astype(float), by="temperature")
    assert Calibrator.load(curve).slope == expected.slope
    words = (files / "test.jsonl", files / "test-truth.csv", "--apply", curve, "--out", out, "--json")
    code, answer, _ = called(capsys, *words)
    found = json.loads(answer)
    jsonschema.validate(found, answer_schema("calibrate"))
    assert np.array_equal(read_table(out)["label"], expected(test["score"]))
    assert (found["rows"], found["labelled"], found["learned"], found["cross_fitted"]) == (400, 400, 200, False)
    by = {one["metric"]: one for one in found["metrics"]}
    assert by["ece"]["after"]["value"] < by["ece"]["before"]["value"]
    assert by["brier"]["difference"]["high"] < 0
    assert by["auroc"]["difference"]["value"] == by["accuracy"]["difference"]["value"] == 0
    assert sum(one["rows"] for one in found["bins_after"]) == 400
    assert any("before" in line for line in found["remarks"])


def test_rows_that_teach_are_written_by_curves_of_other_folds(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = files / "own.csv"
    code, answer, _ = called(capsys, files / "val.jsonl", files / "val-truth.csv", "--out", out, "--json")
    assert code == 0
    found, written = json.loads(answer), read_table(out)[["label", "uncalibrated"]].astype(float)
    assert found["cross_fitted"]
    inside = expit(found["slope"] * logit(written["uncalibrated"]) + found["shift"])
    assert 0 < np.abs(inside - written["label"]).max() < 0.1


def test_another_file_is_no_curve(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "curve.json").write_text("{}")
    code, _, told = called(capsys, files / "val.jsonl", "--apply", files / "curve.json", "--out", files / "o.csv")
    assert code == 2
    assert "no calibration curve" in told
    assert not (files / "o.csv").exists()
