"""`w2s combine` and `w2s filter --by raters`: files, answers, what is said and refused."""

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from tests.worlds.rated import SENSITIVITY, SPECIFICITY
from w2s_probes.cli import main
from w2s_probes.cli.json_schemas import answer_schema
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.raters import RaterFiles, combine

Call = Callable[..., None]
Failing = Callable[..., str]


@pytest.fixture(scope="module")
def raters(world: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three raters of the world's training and validation rows; each lacks some, and one knows the truth of a few."""
    folder, rng = tmp_path_factory.mktemp("raters"), np.random.default_rng(0)
    table = read_table(world / "weak.jsonl")
    truth = table["truth"].to_numpy(float)
    for j, name in enumerate("abc"):
        right = np.where(truth == 1, SENSITIVITY[j], SPECIFICITY[j])
        said = np.where(rng.random(len(table)) < right, truth, 1 - truth)
        kept = rng.random(len(table)) < 0.9
        write_table(table.assign(label=said)[kept], folder / f"{name}.jsonl")
    write_table(table[["id", "truth"]][:60], folder / "trusted.csv")
    return [folder / f"{name}.jsonl" for name in "abc"]


def answered(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, object]:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in (*words, "--json")])
    assert ended.value.code == 0
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    jsonschema.validate(answer, answer_schema(str(words[0])))
    return answer


@pytest.mark.parametrize("by", ["mean", "log-odds", "dawid-skene", "weights"])
def test_the_file_holds_what_the_library_says(
    raters: list[Path], by: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "labels.jsonl"
    answer = answered(capsys, "combine", *raters, "--by", by, "--draws", 20, "--out", out)
    expected = combine(RaterFiles.read(raters).ratings, by, draws=20)  # type: ignore[arg-type]
    written = read_table(out)
    assert written["id"].tolist() == expected.labels.ids.tolist()
    assert written["label"].tolist() == expected.labels.p.tolist()
    assert written["raters"].tolist() == expected.judged.tolist()
    assert "note" not in written  # a field of a rater's own
    assert [rater["rater"] for rater in answer["raters"]] == ["a", "b", "c"]  # type: ignore[attr-defined]
    assert (answer["n"], answer["alone"]) == (len(written), int((expected.judged == 1).sum()))
    assert answer["trusted"] == 0


def test_trusted_rows_are_counted_and_said(
    raters: list[Path], tmp_path: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    trusted = raters[0].parent / "trusted.csv"
    words = ("combine", *raters, "--by", "weights", "--trusted", trusted, "--draws", 20, "--out", tmp_path / "l.csv")
    answer = answered(capsys, *words)
    rows = read_table(tmp_path / "l.csv")
    known = rows["id"].isin(read_table(trusted)["id"])
    assert answer["trusted"] == (known & (rows["split"] == "train")).sum() < known.sum()
    w2s(*words)
    said = capsys.readouterr().out
    assert "the truth of " in said
    assert "a: " in said
    assert "sensitivity 0.9" in said


def test_disputed_rows_are_filtered_and_the_rest_is_a_student_s(
    world: Path, raters: list[Path], tmp_path: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, kept = tmp_path / "labels.jsonl", tmp_path / "kept.jsonl"
    w2s("combine", *raters, "--out", labels)
    assert "w2s filter" not in capsys.readouterr().err
    answer = answered(capsys, "filter", world / "acts", labels, "--layer", 1, "--by", "raters", "--out", kept)
    table = read_table(kept)
    table["keep"] = table["keep"].astype(bool)
    gone = table[~table["keep"]]
    assert answer["removed"] == len(gone) == 15
    assert set(gone["reason"]) == {"raters disagree"}
    assert set(gone["probe"]) == {"raters"}
    training = table[table["split"] == "train"]
    assert gone["disagreement"].min() >= training[training["keep"]]["disagreement"].max()
    w2s("student", world / "acts", kept, "--layer", 1, "--out", tmp_path / "student")


def test_what_raters_cannot_filter_is_refused(
    world: Path, raters: list[Path], tmp_path: Path, w2s: Call, fails: Failing
) -> None:
    words = [
        "filter",
        world / "acts",
        world / "weak.jsonl",
        "--layer",
        1,
        "--by",
        "raters",
        "--out",
        tmp_path / "k.jsonl",
    ]
    assert "no field 'disagreement', which `w2s combine` writes" in fails(*words)
    assert "--k is for knn" in fails(*words, "--k", 5)
    assert "--in-sample is of a probe" in fails(*words, "--in-sample")
    table = read_table(world / "weak.jsonl")
    write_table(table.assign(disagreement=0.7), tmp_path / "far.jsonl")
    words[2] = tmp_path / "far.jsonl"
    assert "the disagreement of row" in fails(*words)
    assert "--by raters" in fails("relabel", *words[1:])
