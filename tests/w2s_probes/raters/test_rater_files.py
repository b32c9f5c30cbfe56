"""Label files as raters: joined by id in every format, with the rows' own fields; and files that cannot be raters."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.worlds.rated import rated
from w2s_probes import InputError
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.labels.label_set import LabelSet, read_label_table
from w2s_probes.raters import RaterFiles, combine
from w2s_probes.raters.rater_files import read_trusted

ROWS = pd.DataFrame({"id": [str(i) for i in range(6)], "text": [f"t{i}" for i in range(6)], "group": list("aabbcc")})


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_the_combined_file_holds_the_rows_fields_in_every_format(tmp_path: Path, ending: str) -> None:
    p = np.array([[0.9, 0.8], [0.1, 0.4], [0.7, np.nan], [0.2, 0.1], [0.6, 0.9], [np.nan, 0.3]])
    for j, name in enumerate(("people", "model")):
        table = ROWS.assign(label=p[:, j], votes=j)[~np.isnan(p[:, j])].sample(frac=1, random_state=j)
        # One file knows the truth, and has not the group.
        table = table.assign(truth=(table["label"] > 0.5) * 1.0) if j else table
        write_table(table.drop(columns="group") if j else table, tmp_path / (name + ending))
    files = RaterFiles.read([tmp_path / f"people{ending}", tmp_path / f"model{ending}"])
    assert files.ratings.names == ("people", "model")
    out = tmp_path / f"out{ending}"
    files.write(combine(files.ratings), out)
    assert set(read_table(out).columns) == {"id", "label", "disagreement", "raters", "text", "group", "truth"}
    written = read_label_table(out).sort_values("id").reset_index(drop=True)
    assert LabelSet.from_table(written).p == pytest.approx(np.nanmean(p, axis=1))
    assert written["text"].tolist() == ROWS["text"].tolist()
    assert written["group"].tolist()[:5] == ROWS["group"].tolist()[:5]
    assert pd.isna(written["group"][5])  # the file that has the row does not say it
    assert [float(value) for value in written["raters"]] == [2, 2, 1, 2, 2, 1]
    assert pd.isna(written["truth"][2])


def test_groups_of_the_files_widen_the_intervals(tmp_path: Path) -> None:
    p, _ = rated(150)
    table = pd.DataFrame({"id": [f"r{i}" for i in range(600)], "group": [f"g{i // 4}" for i in range(600)]})
    for j in range(3):
        write_table(table.assign(label=np.repeat(p[:, j], 4)), tmp_path / f"{j}.jsonl")
        write_table(table[["id"]].assign(label=np.repeat(p[:, j], 4)), tmp_path / f"alone{j}.jsonl")
    widths = []
    for name in ("", "alone"):
        files = RaterFiles.read([tmp_path / f"{name}{j}.jsonl" for j in range(3)])
        raters = combine(files.ratings, "weights", draws=40).raters
        widths.append((raters["weight_high"] - raters["weight_low"]).mean())
    assert widths[0] > 1.2 * widths[1]


BAD = {
    "one file": (["a.jsonl"], "combining takes two label files or more"),
    "twice": (["a.jsonl", "a.jsonl"], "a.jsonl: stands twice: a rater counts once"),
    "truth": (["a.jsonl", "truth.jsonl"], "has `truth` and no `label`: ground truth is no rater: give it by --trusted"),
    "doubled": (["a.jsonl", "doubled.jsonl"], "ids must be unique, but these stand twice: '0'"),
    "other text": (["a.jsonl", "other.jsonl"], "the text of row '0' is 'x', but 't0' in .*a.jsonl"),
    "no overlap": (["a.jsonl", "apart.jsonl"], "'apart': shares no row with 'a'"),
    "one class": (["a.jsonl", "ones.jsonl"], "ones: says 1 of every row"),
    "no number": (["a.jsonl", "words.jsonl"], "the label of row '0' is 'yes'; labels are numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_files_that_cannot_be_raters_are_refused(tmp_path: Path, case: str) -> None:
    good = ROWS.assign(label=[0.9, 0.1, 0.8, 0.2, 0.7, 0.4])
    write_table(good, tmp_path / "a.jsonl")
    write_table(ROWS.assign(truth=1), tmp_path / "truth.jsonl")
    (tmp_path / "doubled.jsonl").write_text('{"id": "0", "label": 1}\n{"id": "0", "label": 0}\n')
    write_table(good.assign(text="x"), tmp_path / "other.jsonl")
    write_table(good.assign(id=[f"z{i}" for i in range(6)]), tmp_path / "apart.jsonl")
    write_table(good.assign(label=1), tmp_path / "ones.jsonl")
    write_table(good.assign(label="yes"), tmp_path / "words.jsonl")
    names, said = BAD[case]
    with pytest.raises(InputError, match=said):
        RaterFiles.read([tmp_path / name for name in names])


def test_trusted_rows_are_those_with_a_truth(tmp_path: Path) -> None:
    write_table(ROWS.assign(label=0.3, truth=[1, np.nan, 0, np.nan, 1, 0]), tmp_path / "some.jsonl")
    trusted = read_trusted(tmp_path / "some.jsonl")
    assert (trusted.role, trusted.ids.tolist(), trusted.p.tolist()) == ("truth", ["0", "2", "4", "5"], [1, 0, 1, 0])
    write_table(ROWS[["id"]].assign(label=[1, 0, 1, 0, 1, 1]), tmp_path / "labels.jsonl")
    assert read_trusted(tmp_path / "labels.jsonl").p.tolist() == [1, 0, 1, 0, 1, 1]
    write_table(ROWS.assign(truth=None, label=1), tmp_path / "none.jsonl")
    with pytest.raises(InputError, match=r"none.jsonl: no row has a `truth`"):
        read_trusted(tmp_path / "none.jsonl")


def test_test_rows_are_not_trusted(tmp_path: Path) -> None:
    rows = {"id": ["a", "b", "c"], "label": [0.2, 0.7, 0.9], "truth": [0, 1, 1], "split": ["train", "test", "train"]}
    write_table(pd.DataFrame(rows), tmp_path / "some.jsonl")
    assert read_trusted(tmp_path / "some.jsonl").ids.tolist() == ["a", "c"]
    write_table(pd.DataFrame(rows).assign(split="test"), tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="every row is of another `split` than train: trusted rows are not test rows"):
        read_trusted(tmp_path / "none.jsonl")


def test_rows_that_only_a_rater_calls_test_rows_are_not_trusted(tmp_path: Path) -> None:
    paths = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    rows = pd.DataFrame({"id": ["a", "b", "c"], "label": [0.2, 0.7, 0.9]})
    write_table(rows.assign(split=["train", "test", "train"]), paths[0])
    write_table(rows, paths[1])
    write_table(rows[["id"]].assign(truth=[0, 1, 1]), tmp_path / "truth.jsonl")
    assert read_trusted(tmp_path / "truth.jsonl", RaterFiles.read(paths)).ids.tolist() == ["a", "c"]
    write_table(rows.assign(split="test"), paths[0])
    with pytest.raises(InputError, match="trusted rows are not test rows"):
        read_trusted(tmp_path / "truth.jsonl", RaterFiles.read(paths))
