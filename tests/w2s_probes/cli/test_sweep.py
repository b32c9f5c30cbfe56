"""`w2s sweep` as typed: what it writes and says, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from w2s_probes.io.tables import read_table, write_table
from w2s_probes.sweep import SweepResult


@pytest.fixture(scope="module")
def done(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a finished sweep, and what it said."""
    import contextlib
    import io

    from w2s_probes.cli import main

    folder = tmp_path_factory.mktemp("swept")
    out = io.StringIO()
    command = ["sweep", world / "acts", world / "weak.jsonl", "--test", world / "test.jsonl", "--knn-k", "1,5,20"]
    command += ["--logistic-l2", "0.01,1", "--contamination", ".1", "--out", folder / "sweep.csv"]
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as exit_info:
        main([*map(str, command), "--plot", str(folder / "sweep.svg")])
    assert exit_info.value.code == 0
    return folder, out.getvalue()


def test_a_sweep_leaves_a_tidy_table_a_record_and_a_figure(done: tuple[Path, str]) -> None:
    folder, _ = done
    table = SweepResult.read(folder / "sweep.csv").table
    assert set(table["layer"].dropna()) == {0, 1, 2, 3}
    assert set(table["rows"]) == {"training", "held-out"}
    assert set(table["n"]) == {150, 60}
    assert not table["oracle"].any()
    record = json.loads((folder / "sweep.json").read_text())
    assert [best["chosen_by"] for best in record["best"]] == ["weak_brier"]
    assert record["best"][0]["held_out"]["auroc"][0] > 0.9  # the label shows in the words
    assert "<svg" in (folder / "sweep.svg").read_text()


def test_it_shows_a_map_for_each_probe_with_the_best_cell_marked(done: tuple[Path, str]) -> None:
    _, said = done
    lines = said.splitlines()
    assert lines[0] == "weak, knn: AUROC less that of the weak labels, in hundredths, held-out rows"
    assert lines[1].split() == ["k", "1", "5", "20"]
    assert [line.split()[0] for line in lines[2:6]] == ["0", "1", "2", "3"]
    assert sum(line.count("*") for line in lines) == 1
    assert "best of 20 by weak_brier" in said
    assert "/sweep.csv, " in said  # and the record, which `--from` of the next command reads
    assert "/sweep.json, " in said
    assert "\x1b" not in said  # no colour where there is no terminal


def test_the_same_command_goes_on_and_a_wider_one_does_only_what_is_new(
    done: tuple[Path, str], world: Path, w2s: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from w2s_probes.sweep.unit import Unit

    lines = Unit._lines
    begun: list[int] = []
    monkeypatch.setattr(Unit, "_lines", lambda unit: begun.append(unit.layer) or lines(unit))  # type: ignore[func-returns-value]
    folder, _ = done
    command = ["sweep", world / "acts", world / "weak.jsonl", "--out", folder / "wider.csv", "--knn-k", "3"]
    w2s(*command, "--layers", "1")
    w2s(*command, "--layers", "1-2")
    w2s(*command, "--layers", "1-2")
    assert begun == [1, 2]


def test_two_shards_write_the_table_that_one_process_writes(
    world: Path, tmp_path: Path, w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sweep", world / "acts", world / "weak.jsonl", "--knn-k", "3"]
    w2s(*command, "--out", tmp_path / "a.csv", "--shard", "1/2")
    assert "share 1/2 is done" in capsys.readouterr().out
    assert not (tmp_path / "a.csv").exists()
    w2s(*command, "--out", tmp_path / "a.csv", "--shard", "0/2")
    w2s(*command, "--out", tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_several_label_sets_are_told_apart_and_drawn_each(
    world: Path, tmp_path: Path, w2s: Callable[..., None]
) -> None:
    table = read_table(world / "weak.jsonl")
    write_table(table.assign(label=1 - table["label"].astype(float)), tmp_path / "turned.jsonl")
    w2s("sweep", world / "acts", world / "weak.jsonl", tmp_path / "turned.jsonl", "--layers", "3", "--knn-k", "5",
        "--out", tmp_path / "s.parquet", "--plot", tmp_path / "s.png")  # fmt: skip
    assert list(pd.read_parquet(tmp_path / "s.parquet")["labels"].unique()) == ["weak", "turned"]
    assert {path.name for path in tmp_path.glob("*.png")} == {"s-weak.png", "s-turned.png"}


def test_an_oracles_choice_is_marked(
    world: Path, tmp_path: Path, w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    w2s("sweep", world / "acts", world / "weak.jsonl", "--knn-k", "1,5", "--choose-by", "auroc", "--oracle",
        "--out", tmp_path / "s.csv")  # fmt: skip
    assert "(an oracle: the truth chose)" in capsys.readouterr().out
    assert json.loads((tmp_path / "s.json").read_text())["best"][0]["oracle"] is True


BAD: dict[str, tuple[list[Any], str]] = {
    "truth without oracle": (["--choose-by", "auroc"], "--choose-by auroc reads the truth: add --oracle"),
    "words for numbers": (["--knn-k", "one,two"], "--knn-k 'one,two': give whole numbers with commas between"),
    "a k beyond the rows": (["--knn-k", "150"], "k=150 needs at least 151 training rows, got 150"),
    "no such layer": (["--layers", "9"], "layer 9 is outside 0..3"),
    "a figure of no kind": (["--plot", "figure.bmp"], "figure.bmp: unknown kind of figure"),
    "memory for nothing": (["--max-memory", "1kB"], "raise --max-memory, or sweep fewer rows"),
    "memory of words": (["--max-memory", "lots"], "--max-memory 'lots': give an amount of memory"),
    "a cluster nowhere": (["--backend", "dask"], "backend dask needs the --address"),
    "an address of nothing": (["--address", "tcp://x:1"], "is of a cluster; say which kind by --backend"),
    "no numbers": (["--knn-k", ","], "--knn-k ',': holds no number"),
    "too much memory": (["--max-memory", "1e400"], "give an amount of memory"),
    "a seed beyond words": (["--logistic-l2", "1", "--seeds", "9" * 25], "of more than 63 bits"),
    "seeds for nothing": (
        ["--knn-k", "5", "--seeds", "0,1"],
        "--seeds is for the cells of --logistic-l2, --contrast and --mlp-l2",
    ),
    "an oracle of nothing": (["--oracle"], "--oracle: nothing reads the truth"),
    "a share beside a split": (["--held-out", ".5"], "names the rows to hold out; leave the share out"),
    "a figure in no place": (["--plot", "/proc/1/figure.png"], "cannot write /proc/1/figure.png"),
    "a share of none": (["--shard", "2/2"], "shard '2/2': give i/n"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=list(BAD))
def test_bad_options_are_one_line_and_leave_nothing(
    world: Path, tmp_path: Path, fails: Callable[..., str], options: list[Any], message: str
) -> None:
    said = fails("sweep", world / "acts", world / "weak.jsonl", "--out", tmp_path / "new" / "s.csv", *options)
    assert message in said
    assert not list(tmp_path.iterdir())


def test_label_files_of_one_name_and_of_other_rows_are_refused(
    world: Path, tmp_path: Path, fails: Callable[..., str]
) -> None:
    table = read_table(world / "weak.jsonl")
    write_table(table.assign(id="x" + table["id"]), tmp_path / "weak.jsonl")
    out = ["--out", tmp_path / "s.csv"]
    assert "two label sets are called 'weak'" in fails(
        "sweep", world / "acts", world / "weak.jsonl", tmp_path / "weak.jsonl", *out
    )
    assert "are these labels of other rows?" in fails("sweep", world / "acts", tmp_path / "weak.jsonl", *out)


def test_nothing_that_is_read_is_written_over(world: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    for name in ("weak.jsonl", "test.jsonl"):
        (tmp_path / name).write_bytes((world / name).read_bytes())
    (tmp_path / "manifest.json").write_text('{"schema_version": 2}')
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    command = ["sweep", world / "acts", tmp_path / "weak.jsonl", "--test", tmp_path / "test.jsonl", "--knn-k", "5"]
    for out, message in (("weak.jsonl", "is read by this command"), ("test.jsonl", "is read by this command"),
                         ("manifest.csv", "manifest.json: is no record of a sweep")):  # fmt: skip
        assert message in fails(*command, "--out", tmp_path / out)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_truth_that_is_not_there_is_missed_before_any_work(
    world: Path, tmp_path: Path, fails: Callable[..., str]
) -> None:
    write_table(read_table(world / "weak.jsonl").drop(columns="truth"), tmp_path / "weak.jsonl")
    said = fails("sweep", world / "acts", tmp_path / "weak.jsonl", "--choose-by", "auroc", "--oracle",
                 "--out", tmp_path / "s.csv")  # fmt: skip
    assert "have no `truth` to choose by" in said
    assert {path.name for path in tmp_path.iterdir()} == {"weak.jsonl"}


def test_students_are_swept_beside_the_probes_and_shown_in_a_map_of_their_own(
    world: Path, w2s: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sweep", world / "acts", world / "weak.jsonl", "--test", world / "test.jsonl", "--knn-k", "5"]
    asked = ["--students", "xent, logconf", "--student-filter", "none,knn", "--student-relabel", "knn"]
    w2s(*command, "--layers", "1,3", *asked, "--seeds", "0-1,4", "--out", tmp_path / "sweep.csv")
    said = capsys.readouterr().out
    result = SweepResult.read(tmp_path / "sweep.csv")
    assert sorted(result.table["seed"].dropna().unique()) == [0, 1, 4]
    lines = said.splitlines()
    (at,) = [i for i, line in enumerate(lines) if line.startswith("weak, students: ")]
    assert lines[at + 1].split() == ["layer", "1", "3"]
    assert [line.rsplit(maxsplit=2)[0].strip() for line in lines[at + 2 : at + 9]] == [
        *("student xent", "student logconf", "filter-knn .1 xent", "filter-knn .1 logconf"),
        *("relabel-knn xent", "relabel-knn logconf", "ceiling xent"),
    ]
    assert sum(line.count("*") for line in lines[at + 2 : at + 9]) == 1
    assert "weak: best student layer" in said
    assert "PGR" in said
    best = json.loads((tmp_path / "sweep.json").read_text())["best_students"][0]
    assert best["chosen_by"] == "weak_auroc"
    assert not best["oracle"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--students", "xnt"], "did you mean 'xent'"),
        (["--students", "xent", "--student-filter", "knm"], "did you mean 'knn'"),
        (["--student-filter", "knn"], "say by --students which losses"),
        (["--knn-k", "5", "--students", "xent", "--seeds", "9-0"], "such as 0-9"),
        (["--knn-k", "5", "--students", "xent", "--seeds", "0-x"], "whole numbers"),
        (["--knn-k", "5", "--seeds", "0-3"], "--seeds is for the cells"),
    ],
)
def test_students_that_do_not_exist_and_seeds_that_nothing_reads_are_refused(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: list[str], message: str
) -> None:
    from w2s_probes.cli import main

    command = ["sweep", str(world / "acts"), str(world / "weak.jsonl"), *asked, "--out", str(tmp_path / "sweep.csv")]
    with pytest.raises(SystemExit) as exit_info:
        main(command)
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err
