"""Scores in files, calibrated: joined by id, out of sample where rows teach the curve, measured before and after."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from w2s_probes.calibration import (
    Calibrator,
    apply_to_file,
    calibrate,
    calibrate_file,
    cross_calibrated,
    reliability_bins,
)
from w2s_probes.errors import InputError
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.labels.label_set import LabelSet
from w2s_probes.metrics import METRICS
from w2s_probes.metrics.metric_names import Metric

N = 300


def table(n: int = N, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    truth = (rng.uniform(size=n) < expit(z)).astype(int)
    ids = [f"{seed}-{row}" for row in range(n)]
    groups = [f"g{row // 3}" for row in range(n)]
    return pd.DataFrame({"id": ids, "score": expit(3 * z + 1), "truth": truth, "group": groups, "text": ids, "note": 1})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = table()
    write_table(rows.drop(columns="truth"), tmp_path / "scores.jsonl")
    labels = pd.concat([rows[["id", "truth"]].iloc[40:], pd.DataFrame({"id": ["other"], "truth": [1]})])
    write_table(labels.sample(frac=1, random_state=0), tmp_path / "truth.csv")  # in another order, 40 lacking
    write_table(table(seed=1), tmp_path / "new.parquet")
    return tmp_path


def test_files_are_joined_by_id_and_rows_that_teach_are_calibrated_out_of_fold(folder: Path) -> None:
    found, rows = calibrate_file(folder / "scores.jsonl", folder / "truth.csv", by="platt", seed=3), table()
    p, truth = rows["score"].to_numpy()[40:], rows["truth"].to_numpy(float)[40:]
    curve = calibrate(p, truth, to=str(folder / "truth.csv"))
    assert found.curve == curve
    assert np.array_equal(found.calibrated[:40], curve(rows["score"][:40]))
    apart = cross_calibrated(p, truth, groups=rows["group"].to_numpy()[40:], seed=3)
    assert np.array_equal(found.calibrated[40:], apart)
    assert (found.labelled.sum(), found.unscored, found.cross_fitted) == (260, 1, True)
    metrics: tuple[Metric, ...] = ("brier", "ece", "auroc")
    for metric in metrics:
        before, after, change = found.measured(metric)
        assert (before.value, after.value) == pytest.approx(tuple(METRICS[metric](truth, side) for side in (p, apart)))
        assert change.value == pytest.approx(after.value - before.value)
        assert change.low < change.value < change.high
    before_bins, after_bins = found.bins()
    groups = rows["group"].to_numpy()[40:]
    pd.testing.assert_frame_equal(before_bins, reliability_bins(truth, p, groups=groups))
    pd.testing.assert_frame_equal(after_bins, reliability_bins(truth, apart, groups=groups))
    assert found.lines[:2] == [
        f"`score` of {folder / 'scores.jsonl'}: 300 rows, 260 of them with a label: {folder / 'truth.csv'}",
        "left out: the labels of 1 rows without a score",
    ]


def test_a_curve_is_applied_to_another_file_and_its_labels_teach_nothing(folder: Path) -> None:
    curve, rows = calibrate_file(folder / "scores.jsonl", folder / "truth.csv").curve, table(seed=1)
    curve.save(folder / "curve.json")
    found = apply_to_file(folder / "new.parquet", Calibrator.load(folder / "curve.json"))
    assert np.array_equal(found.calibrated, curve(rows["score"]))
    assert found.labels == f"`truth` of {folder / 'new.parquet'}"
    before, after, _ = found.measured("log_loss")
    assert after.value < before.value - 0.1
    assert found.measured("auroc")[2].value == 0
    found.write(folder / "out.jsonl")
    written = read_table(folder / "out.jsonl")
    assert list(written) == ["id", "label", "uncalibrated", "truth", "group", "text", "note"]
    assert np.array_equal(LabelSet.read(folder / "out.jsonl").p, found.calibrated)
    assert np.array_equal(written["uncalibrated"], rows["score"])
    write_table(rows.drop(columns="truth"), folder / "bare.csv")
    bare = apply_to_file(folder / "bare.csv", curve)
    assert bare.comparison is None
    assert len(bare.bins()[0]) == 0
    assert not any("before" in line for line in bare.lines)
    with pytest.raises(InputError, match="labels of both classes are needed"):
        bare.measured("ece")


def test_soft_labels_of_a_named_column_teach_the_curve(tmp_path: Path) -> None:
    rows = table().assign(weak=lambda t: 0.2 + 0.6 * t["truth"])
    write_table(rows, tmp_path / "rows.jsonl")
    found = calibrate_file(tmp_path / "rows.jsonl", f"{tmp_path / 'rows.jsonl'}:weak", by="isotonic")
    assert found.curve.values == calibrate(rows["score"], rows["weak"], by="isotonic").values
    assert found.curve.to.endswith("rows.jsonl:weak")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.assign(score=t["score"] * 2),
            r"the score of row '0-\d+' is 1\.\d+: calibration maps P\(label = 1\)",
        ),
        (lambda t: t.assign(score=t["score"].where(t.index != 5)), "1 of 300 rows have no score, first '0-5'"),
        (lambda t: t.assign(id=["a", *t["id"][1:-1], "a"]), "id 'a' occurs twice|'a' stands twice|twice"),
        (lambda t: t.assign(truth=1), "all 300 labels to calibrate on are 1"),
        (lambda t: t.drop(columns="truth"), "no `truth`: put it there, or give a file of labels"),
        (lambda t: t[:9], "9 rows to calibrate on: 10 are needed"),
        (lambda t: t.assign(score=0.5), "all 300 scores to calibrate are 0.5"),
        (lambda t: t.assign(group=(t["truth"] % 2).astype(str)), "group"),
    ],
)
def test_what_cannot_be_calibrated_is_refused_in_one_line(change: object, message: str, tmp_path: Path) -> None:
    write_table(change(table()), tmp_path / "rows.jsonl")  # type: ignore[operator]
    with pytest.raises(InputError, match=message) as told:
        calibrate_file(tmp_path / "rows.jsonl")
    assert "\n" not in str(told.value)
    assert "rows.jsonl" in str(told.value)


def test_labels_of_other_rows_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="none of its rows is among those of"):
        calibrate_file(folder / "new.parquet", folder / "truth.csv")


def test_the_written_file_keeps_splits_verdicts_and_every_other_field(folder: Path) -> None:
    rows = table(seed=1).assign(
        split=["val" if row % 4 == 0 else "train" for row in range(N)], keep=True, new_label=0.5
    )
    rows.loc[3, "keep"] = False
    write_table(rows, folder / "judged.jsonl")
    calibrate_file(folder / "judged.jsonl:score").write(folder / "out.jsonl")
    written = read_table(folder / "out.jsonl")
    for name in ("id", "split", "keep", "group", "text", "truth", "note"):
        assert written[name].tolist() == rows[name].tolist(), name
    assert "new_label" not in written  # which readers would take in place of the calibrated label
