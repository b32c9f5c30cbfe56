"""`--layer best --by best --from sweep.json`: later commands take what a sweep has chosen."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from w2s_probes import ActivationStore
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.store.manifest import identity_key

Call = Callable[..., None]
Failing = Callable[..., str]


@pytest.fixture(scope="module")
def swept(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep's record."""
    from w2s_probes.sweep import sweep

    out = tmp_path_factory.mktemp("swept") / "sweep.csv"
    sweep(world / "acts", world / "weak.jsonl", knn_k=[3, 9], logistic_l2=[0.01, 1.0]).write(out)
    return out.with_suffix(".json")


def best(record: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record.read_text())["best"][0]
    return found


def next_words(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The words after `w2s` of the last Next line that was said."""
    *_, line = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Next: w2s ")]
    return shlex.split(line)[2:]


@pytest.mark.parametrize("name", ["sweep.json", "sweep.csv"])
@pytest.mark.parametrize("command", ["filter", "relabel"])
def test_the_best_cell_is_used_by_its_record_or_its_table(
    name: str, command: str, world: Path, swept: Path, tmp_path: Path, w2s: Call
) -> None:
    chosen = best(swept)
    value = ["--k", chosen["k"]] if chosen["k"] is not None else ["--l2", chosen["l2"]]
    where = [world / "acts", world / "weak.jsonl"]
    source = swept.with_name(name)
    w2s(command, *where, "--layer", "best", "--by", "best", "--from", source, "--out", tmp_path / "a.jsonl")
    typed = ["--layer", chosen["layer"], "--by", chosen["probe"], *value]
    w2s(command, *where, *typed, "--out", tmp_path / "b.jsonl")
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def test_the_layer_alone_can_be_taken_with_another_probe_also_by_a_student(
    world: Path, swept: Path, tmp_path: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    layer = best(swept)["layer"]
    where = [world / "acts", world / "weak.jsonl", "--layer", "best", "--from", swept]
    w2s("filter", *where, "--by", "knn", "--k", 5, "--out", tmp_path / "kept.jsonl")
    assert set(read_table(tmp_path / "kept.jsonl")["layer"]) == {layer}
    w2s("student", *where, "--epochs", 1, "--out", tmp_path / "student")
    assert json.loads((tmp_path / "student" / "student.json").read_text())["layer"] == layer
    again = [str(world / "test.jsonl") if word == "FILE" else word for word in next_words(capsys)]
    assert again[again.index("--from") + 1] == str(swept)
    w2s(*again)
    assert json.loads((tmp_path / "student" / "student.json").read_text())["test"]["rows"] == 60


def test_the_next_lines_keep_the_limit_of_memory(
    world: Path, tmp_path: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = ["--max-memory", "4GB"]
    words = ["sweep", str(world / "acts"), str(world / "weak.jsonl"), "--k", "3", "--layer", "1"]
    words += ["--out", str(tmp_path / "sweep.csv"), *limit]
    for verb in ("filter", "student", "student"):
        w2s(*words)
        words = next_words(capsys)
        assert words[0] == verb
        assert words[-2:] == limit


def test_a_sweep_says_the_weak_labels_own_number_and_its_next_line_runs(
    world: Path, tmp_path: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    w2s("sweep", world / "acts", world / "weak.jsonl", "--k", "3,9", "--layer", "1", "--out", tmp_path / "sweep.csv")
    lines = capsys.readouterr().out.splitlines()
    table = read_table(tmp_path / "sweep.csv")
    own = table[(table["probe"] == "weak") & (table["metric"] == "auroc")]["value"].astype(float).tolist()
    (line,) = [line for line in lines if "best of 2 by weak_brier" in line]
    said = re.search(r"the weak labels' own is (0\.\d{3}) \[.*?\], (0\.\d{3}) \[", line)
    assert said
    assert [float(number) for number in said.groups()] == pytest.approx(own, abs=5e-4)
    assert lines[-1].startswith("Next: w2s filter ")
    w2s(*shlex.split(lines[-1])[2:])
    assert (tmp_path / "weak-kept.jsonl").exists()


def test_a_dry_run_says_what_there_is_to_do_and_writes_nothing(
    world: Path, tmp_path: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sweep", world / "acts", world / "weak.jsonl", "--knn-k", "3,9", "--out", tmp_path / "sweep.csv"]
    w2s(*command, "--dry-run")
    text = capsys.readouterr().out
    layers = len(ActivationStore.open(world / "acts").layers)
    assert "weak: 150 training rows, 30 rows held out, with truth" in text
    assert f"{2 * layers} cells" in text
    assert f"0 of {layers} layers kept from before" in text
    assert list(tmp_path.iterdir()) == []
    w2s(*command)
    capsys.readouterr()
    w2s(*command, "--dry-run")
    assert f"{layers} of {layers} layers kept from before" in capsys.readouterr().out


def test_a_cell_that_the_truth_chose_is_marked_in_what_it_makes(
    world: Path, tmp_path: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    place = [world / "acts", world / "weak.jsonl"]
    w2s("sweep", *place, "--k", "3,9", "--choose-by", "auroc", "--oracle", "--out", tmp_path / "s.csv")
    capsys.readouterr()
    best_cell = ["--layer", "best", "--by", "best", "--from", tmp_path / "s.json"]
    w2s("filter", *place, *best_cell, "--out", tmp_path / "kept.jsonl")
    assert "the truth chose this cell" in capsys.readouterr().out
    probes = set(read_table(tmp_path / "kept.jsonl")["probe"])
    assert probes == {"knn, chosen by truth"}


def altered(swept: Path, folder: Path, change: Callable[[dict[str, Any]], object], seal: bool = True) -> Path:
    record = json.loads(swept.read_text())
    change(record)
    if seal:
        record["checksum"] = identity_key({name: value for name, value in record.items() if name != "checksum"})
    path = folder / "other.json"
    path.write_text(json.dumps(record))
    return path


@pytest.mark.parametrize(
    ("change", "seal", "line"),
    [
        (lambda r: r["store"].update(key="0" * 64), True, "is of another store"),
        (lambda r: r["best"][0].update(layer=0), False, "not as the sweep wrote it"),
        (lambda r: r["best"][0].pop("probe"), True, "not as a sweep writes them"),
        (lambda r: r.update(best=[]), True, "no record of a sweep"),
        (lambda r: r.update(best=[{**r["best"][0], "labels": name} for name in "ab"]), True, "label sets a, b"),
    ],
    ids=["store", "altered", "damaged", "empty", "several"],
)
def test_a_record_that_does_not_fit_is_refused(
    change: Callable[[dict[str, Any]], object],
    seal: bool,
    line: str,
    world: Path,
    swept: Path,
    tmp_path: Path,
    fails: Failing,
) -> None:
    source = altered(swept, tmp_path, change, seal)
    out = tmp_path / "k.jsonl"
    where = [world / "acts", world / "weak.jsonl", "--layer", "best", "--from", source]
    for command in ("filter", "relabel", "student"):
        assert line in fails(command, *where, "--out", out)
        assert not out.exists()


def test_of_several_label_sets_the_one_of_the_files_name_is_taken(world: Path, tmp_path: Path, w2s: Call) -> None:
    table = read_table(world / "weak.jsonl")
    flipped = table.assign(label=1 - table["label"].astype(float))
    for name, one in (("a", table), ("b", flipped)):
        write_table(one, tmp_path / f"{name}.jsonl")
    w2s("sweep", world / "acts", tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--k", "3", "--out", tmp_path / "s.csv")
    by_name = {one["labels"]: one["layer"] for one in json.loads((tmp_path / "s.json").read_text())["best"]}
    for name in ("a", "b"):
        command = ["filter", world / "acts", tmp_path / f"{name}.jsonl", "--layer", "best", "--by", "best"]
        w2s(*command, "--from", tmp_path / "s.json", "--out", tmp_path / "k.jsonl")
        assert set(read_table(tmp_path / "k.jsonl")["layer"]) == {by_name[name]}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--layer", "best"], "--layer best: say by which sweep: --from sweep.json"),
        (["--layer", 1, "--by", "best"], "--by best: say by which sweep: --from sweep.json"),
        (
            ["--layer", "best", "--by", "best", "--k", 3, "--from", "s.json"],
            "--k: --by best takes its value",
        ),
        (["--layer", 1, "--from", "s.json"], "--from is read for --layer best and --by best"),
        (["--layer", "best", "--from", "nowhere.json"], "nowhere.json"),
    ],
)
def test_half_of_the_options_is_refused(
    options: list[object], line: str, world: Path, tmp_path: Path, fails: Failing
) -> None:
    for command in ("filter", "relabel"):
        where = [world / "acts", world / "weak.jsonl", *options]
        assert line in fails(command, *where, "--out", tmp_path / "k.jsonl")


def test_no_file_of_the_sweep_is_written_over(world: Path, swept: Path, fails: Failing) -> None:
    before = {path: path.read_bytes() for path in swept.parent.iterdir() if path.is_file()}
    for command in ("filter", "relabel"):
        for source in ("sweep.json", "sweep.csv"):
            where = [world / "acts", world / "weak.jsonl", "--layer", "best", "--from", swept.with_name(source)]
            assert "is read by this command, too" in fails(command, *where, "--out", swept.with_name("sweep.csv"))
    assert {path: path.read_bytes() for path in swept.parent.iterdir() if path.is_file()} == before


def test_the_cell_is_named_and_a_choice_by_other_labels_is_said(
    world: Path, swept: Path, tmp_path: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.jsonl"
    other.write_bytes((world / "weak.jsonl").read_bytes())
    chosen = best(swept)
    for labels, same in ((world / "weak.jsonl", True), (other, False)):
        cell = ["--layer", "best", "--by", "best", "--from", swept, "--out", tmp_path / "k.jsonl"]
        w2s("filter", world / "acts", labels, *cell)
        said = capsys.readouterr().out
        assert f"by the sweep: layer {chosen['layer']}, {chosen['probe']}, " in said
        assert ("that sweep was of other labels: sweep other" in said) != same


def test_a_sweep_of_noise_proposes_no_filter(
    world: Path, tmp_path: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    table = read_table(world / "weak.jsonl").drop(columns="truth")
    table["label"] = np.random.default_rng(3).integers(0, 2, len(table)).astype(float)
    write_table(table, tmp_path / "coins.jsonl")
    w2s("sweep", world / "acts", tmp_path / "coins.jsonl", "--k", "9", "--out", tmp_path / "s.csv")
    said = capsys.readouterr().out
    assert "no cell tells the weak labels apart" in said
    assert "Next:" not in said
