"""What `w2s filter` and `w2s relabel` say they found, how sure that is, and what to type next."""

import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from w2s_probes import FilterResult
from w2s_probes.cli.findings import of_filter
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.labels.label_set import read_label_table
from w2s_probes.noise.estimate import MEANING

Call = Callable[..., None]
Failing = Callable[..., str]
Said = Callable[..., list[str]]
PROBE = r"\(AUROC of the probe against the weak labels 0\.\d\d \[0\.\d\d, 0\.\d\d\]"
NOT_SAID = "how many labels are wrong is not said: "


@pytest.fixture
def said(world: Path, tmp_path: Path, w2s: Call, capsys: pytest.CaptureFixture[str]) -> Said:
    """The lines of `w2s filter --by logistic` on a table of labels."""

    def call(table: pd.DataFrame, *options: object) -> list[str]:
        write_table(table, tmp_path / "weak.jsonl")
        command = ["filter", world / "acts", tmp_path / "weak.jsonl", "--layer", 1, "--by", "logistic"]
        w2s(*command, "--out", tmp_path / "kept.jsonl", *options)
        return capsys.readouterr().out.splitlines()

    return call


@pytest.fixture
def weak(world: Path) -> pd.DataFrame:
    return read_table(world / "weak.jsonl")


def test_no_share_of_wrong_labels_is_named_without_an_audit_and_the_status_is_explained(
    weak: pd.DataFrame, said: Said
) -> None:
    weak = weak.drop(columns="truth")
    coins = weak.assign(label=np.random.default_rng(0).integers(0, 2, len(weak)).astype(float))
    for table, status in ((weak, None), (coins, "uninformative")):
        (line,) = [line for line in said(table) if line.startswith(NOT_SAID)]
        assert re.search(PROBE, line)
        assert "audit some thirty rows of each label" in line
        assert "weak.jsonl" in line
        assert "--audit" in line
        assert "%" not in line
        meanings = [known for known, text in MEANING.items() if text in line]
        assert len(meanings) == 1
        assert status in (None, meanings[0])


def test_gold_labels_are_never_said_to_be_wrong(weak: pd.DataFrame, said: Said) -> None:
    right = weak.drop(columns="label").rename(columns={"truth": "label"})
    assert not [line for line in said(right) if re.search(r"\d%.* of all labels are wrong", line)]
    (line,) = [line for line in said(right.assign(truth=right["label"])) if "of all labels are wrong" in line]
    assert line.startswith("by `truth` 0% of all labels are wrong and 0% of those removed, against 0%")


def test_truth_of_every_row_is_told_at_once_and_nothing_contradicts_it(weak: pd.DataFrame, said: Said) -> None:
    lines = said(weak)
    train = weak[weak["split"] == "train"]
    wrong = (train["label"] != train["truth"]).mean()
    (line,) = [line for line in lines if "wrong" in line]
    assert line.startswith(f"by `truth` {wrong:.0%} of all labels are wrong and ")
    assert re.search(r"against \d+% \[\d+%, \d+%\] of as many of each class at random \(p = .*; an oracle's", line)


def test_rows_with_truth_drawn_at_random_are_an_audit_whichever_file_they_are_in(
    weak: pd.DataFrame, said: Said, tmp_path: Path
) -> None:
    order = np.random.default_rng(0).permutation(np.flatnonzero(weak["split"] == "train"))
    drawn = np.isin(np.arange(len(weak)), order[:60])
    in_file = said(weak.assign(truth=weak["truth"].where(drawn)))
    write_table(weak.loc[drawn, ["id", "truth"]], tmp_path / "audit.csv")
    beside = said(weak.drop(columns="truth"), "--audit", tmp_path / "audit.csv")
    assert in_file == beside
    (line,) = [line for line in beside if "of all labels are wrong" in line]
    assert re.fullmatch(
        rf"\d+% \[\d+%, \d+%\] of all labels are wrong if the 60 rows with `truth` were drawn at random within each "
        rf"weak class {PROBE}; an oracle's figures\)",
        line,
    )
    assert sum("how many labels" in line for line in beside) == 0


def test_an_audit_of_too_few_rows_says_how_many_it_has_and_how_many_it_takes(weak: pd.DataFrame, said: Said) -> None:
    rows = np.flatnonzero((weak["split"] == "train") & (weak["label"] == 1))[:7]
    some = weak.assign(truth=weak["truth"].where(np.isin(np.arange(len(weak)), rows)))
    (line,) = [line for line in said(some) if line.startswith(NOT_SAID)]
    assert "`truth` is known of 0 rows of label 0 and 7 of label 1, and takes at least 10 of each" in line
    assert re.search(PROBE, line)


def planted(removed: tuple[int, int]) -> FilterResult:
    """Of 215 rows of label 1 and 1285 of label 0 so many are removed."""
    labels = np.repeat([1.0, 0.0], [215, 1285])
    mask = np.ones(1500, dtype=bool)
    mask[: removed[1]] = False
    mask[215 : 215 + removed[0]] = False
    reasons = np.where(mask, "", "disagreement").astype(object)
    return FilterResult(mask, np.abs(labels - 0.5), reasons, labels, int((~mask).sum()))


@pytest.mark.parametrize(
    ("removed", "line"),
    [
        (
            (44, 106),
            "of label 0 44 of 1285 go (3%), of label 1 106 of 215 (49%); label 1 is 8.1% of the rows kept",
        ),
        ((129, 21), "of label 0 129 of 1285 go (10%), of label 1 21 of 215 (10%); label 1 is 14.4% of the rows kept,"),
        ((0, 0), None),
    ],
)
def test_the_classes_before_and_after_are_named_and_per_class_where_the_mix_moves(
    removed: tuple[int, int], line: str | None
) -> None:
    result = planted(removed)
    lines = of_filter(result, None, None, Path("weak.jsonl"))
    moved = removed[1] == 106
    assert result.mix.moves == moved
    assert (len(lines) > 1) == (line is not None)
    if line is not None:
        assert lines[1].startswith(line)
        assert lines[1].endswith("; --per-class drops the same share of each") == moved
        assert "--per-class" not in of_filter(result, None, None, Path("weak.jsonl"), advise=False)[1]


def test_the_share_of_each_class_is_a_table_in_python() -> None:
    zero, one = planted((44, 106)).by_class().itertuples(index=False)
    assert (zero.rows, zero.removed, one.rows, one.removed) == (1285, 44, 215, 106)
    assert one.share_removed == pytest.approx(106 / 215)
    assert (one.share_before, one.share_after) == pytest.approx((215 / 1500, 109 / 1350))
    assert "share_removed" in planted((44, 106))._repr_html_()
    labels = np.ones(3)
    none = FilterResult(np.ones(3, dtype=bool), labels, np.array([""] * 3, dtype=object), labels, 0)
    assert not none.mix.moves
    assert np.isnan(none.by_class()["share_removed"].iloc[0])


def relabelled(world: Path, table: pd.DataFrame, folder: Path, w2s: Call, capsys: pytest.CaptureFixture[str]) -> str:
    write_table(table, folder / "weak.jsonl")
    command = ["relabel", world / "acts", folder / "weak.jsonl", "--layer", 1, "--by", "knn", "--k", 9]
    w2s(*command, "--out", folder / "new.jsonl")
    return capsys.readouterr().out


def test_a_relabelling_says_which_way_labels_moved_and_whether_they_are_better(
    world: Path, weak: pd.DataFrame, tmp_path: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    text = relabelled(world, weak, tmp_path, w2s, capsys)
    new = read_table(tmp_path / "new.jsonl")
    train = new[new["split"] == "train"]
    up = int(((train["new_label"] > 0.5) & (train["label"] < 0.5)).sum())
    down = int(((train["new_label"] <= 0.5) & (train["label"] > 0.5)).sum())
    assert (
        f"150 rows relabelled by knn at layer 1; {up + down} changed class, {up} from 0 to 1 and {down} from 1 to 0"
        in (text.splitlines()[0])
    )
    number = r"0\.\d{3} \[0\.\d{3}, [01]\.\d{3}\]"
    change = rf"{number} before, {number} after, difference [+-]0\.\d{{3}} \[[+-]0\.\d{{3}}, [+-]0\.\d{{3}}\]"
    accuracy = ((train["label"] > 0.5) == train["truth"]).mean()
    assert f"accuracy {accuracy:.3f} [" in text
    assert re.search(rf"^by `truth`: accuracy {change} \(an oracle's figures\)$", text, re.MULTILINE)  # hard labels
    spread = np.random.default_rng(0).uniform(0, 0.3, len(weak))
    soft = weak.assign(label=np.abs(weak["label"].astype(float) - spread))
    text = relabelled(world, soft, tmp_path, w2s, capsys)
    assert re.search(rf"^by `truth`: AUROC {change}; accuracy {change} \(an oracle's figures\)$", text, re.MULTILINE)
    few = weak.assign(truth=weak["truth"].where(weak["id"].isin(train["id"][:8])))
    text = relabelled(world, few, tmp_path, w2s, capsys)
    assert "is not said: `truth` is known of 8 rows, and takes at least 20" in text
    assert "accuracy" not in text
    without = relabelled(world, weak.drop(columns="truth"), tmp_path, w2s, capsys)
    assert "whether they are better is not said: no row has `truth`" in without
    assert "AUROC" not in without


@pytest.mark.parametrize("command", ["filter", "relabel"])
def test_the_next_command_can_be_typed_as_it_stands(
    command: str, world: Path, tmp_path: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    w2s(command, world / "acts", world / "weak.jsonl", "--layer", 1, "--k", 9, "--out", folder / "out.jsonl")
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("Next: w2s student ")
    w2s(*shlex.split(line)[2:], "--epochs", 1)
    assert (folder / "student" / "student.json").exists()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--by", "topo", "--knn-k", 5], "--knn-k is for knn: leave it out with --by topo"),
        (["--by", "knn", "--topo-k", 5], "--topo-k is for topo: leave it out with --by knn"),
        (
            ["--by", "knn", "--logistic-l2", 1],
            "--logistic-l2 is for logistic, channel and confident: leave it out with --by knn",
        ),
        (["--by", "knn", "--knn-k", 5, "--k", 5], "--k and --knn-k are one option: give one of them"),
        (["--by", "knn", "--audit", "nowhere.jsonl"], "nowhere.jsonl"),
    ],
)
def test_an_option_of_a_sweep_is_the_same_here_and_never_another_probes(
    options: list[object], line: str, world: Path, tmp_path: Path, fails: Failing
) -> None:
    for command in ("filter", "relabel"):
        out = tmp_path / "k.jsonl"
        assert line in fails(command, world / "acts", world / "weak.jsonl", "--layer", 1, *options, "--out", out)
        assert not out.exists()


def test_options_by_the_names_of_a_sweep_give_the_same_file(world: Path, tmp_path: Path, w2s: Call) -> None:
    for by, option, long in (
        ("knn", "--k", "--knn-k"),
        ("topo", "--k", "--topo-k"),
        ("logistic", "--l2", "--logistic-l2"),
    ):
        for name, path in ((option, tmp_path / "a.jsonl"), (long, tmp_path / "b.jsonl")):
            w2s("filter", world / "acts", world / "weak.jsonl", "--layer", 1, "--by", by, name, 7, "--out", path)
        assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def test_a_second_filter_says_what_is_out_in_all(
    world: Path, tmp_path: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    place = [world / "acts", world / "weak.jsonl"]
    w2s("filter", *place, "--layer", 1, "--by", "knn", "--k", 9, "--out", tmp_path / "one.jsonl")
    capsys.readouterr()
    w2s(
        "filter",
        world / "acts",
        tmp_path / "one.jsonl",
        "--layer",
        1,
        "--by",
        "logistic",
        "--out",
        tmp_path / "two.jsonl",
    )
    said = capsys.readouterr().out
    one, two = (read_label_table(tmp_path / f"{name}.jsonl") for name in ("one", "two"))
    train = two[two["split"] == "train"]
    out = int((~train["keep"].astype(bool)).sum())
    before = int((~one["keep"].astype(bool)).sum())
    kept = train[train["keep"].astype(bool)]["label"].astype(float)
    assert f"{before} rows had `keep` false before and stay out" in said
    assert f"{out} of {len(train)} are out in all, and label 1 is {(kept > 0.5).mean():.1%} of the rows kept" in said


def test_a_relabelled_file_is_said_to_be_judged_by_its_first_labels(
    world: Path, tmp_path: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    place = [world / "acts", world / "weak.jsonl"]
    w2s("relabel", *place, "--layer", 1, "--by", "knn", "--k", 9, "--out", tmp_path / "new.jsonl")
    assert "earlier relabelling" not in capsys.readouterr().out
    w2s("filter", world / "acts", tmp_path / "new.jsonl", "--layer", 1, "--k", 9, "--out", tmp_path / "kept.jsonl")
    assert "its `new_label`, of an earlier relabelling, is what teaches" in capsys.readouterr().out
    w2s("relabel", world / "acts", tmp_path / "new.jsonl", "--layer", 1, "--out", tmp_path / "newer.jsonl", "--k", 9)
    assert "is replaced; these are of its `label`" in capsys.readouterr().out
    w2s("filter", world / "acts", tmp_path / "kept.jsonl", "--layer", 1, "--k", 9, "--out", tmp_path / "again.jsonl")


def test_a_filter_that_leaves_one_class_proposes_no_student(
    world: Path, weak: pd.DataFrame, tmp_path: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    train = weak[weak["split"] == "train"]
    rare = train[train["label"].astype(float) < 0.5]
    table = pd.concat([rare, train[train["label"].astype(float) > 0.5][:3]]).drop(columns=["truth", "split"])
    write_table(table, tmp_path / "rare.jsonl")
    command = ["filter", world / "acts", tmp_path / "rare.jsonl", "--layer", 1, "--by", "knn", "--k", 9]
    w2s(*command, "--out", tmp_path / "kept.jsonl", "--contamination", 0.3)
    said = capsys.readouterr().out
    kept = read_label_table(tmp_path / "kept.jsonl")
    left = kept[kept["keep"].astype(bool)]["label"].astype(float)
    assert ("Next:" in said) == ((left > 0.5).any() and (left < 0.5).any())
    assert "audit all 3 of label 1 and some thirty of the other" in said


@pytest.mark.parametrize("options", [["--mode", "paper"], ["--zeta", 0.9]])
def test_a_share_of_each_class_is_refused_where_a_zeta_decides(
    options: list[object], world: Path, tmp_path: Path, fails: Failing, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["filter", world / "acts", world / "weak.jsonl", "--layer", 1, "--k", 9, *options]
    assert "--per-class shares out" in fails(*command, "--per-class", "--out", tmp_path / "k.jsonl")
    w2s(*command, "--out", tmp_path / "k.jsonl")
    assert "--per-class" not in capsys.readouterr().out


def test_a_few_removed_rows_of_an_audit_are_counted_and_not_compared(weak: pd.DataFrame, said: Said) -> None:
    order = np.random.default_rng(1).permutation(np.flatnonzero(weak["split"] == "train"))
    lines = said(weak.assign(truth=weak["truth"].where(np.isin(np.arange(len(weak)), order[:40]))))
    (line,) = [line for line in lines if line.startswith("by `truth`, known of 40 rows")]
    assert re.search(r"\d of the \d removed among them are wrong: too few to compare with chance", line)


def test_what_was_in_sample_says_nothing_of_wrong_labels(weak: pd.DataFrame, said: Said) -> None:
    lines = said(weak.drop(columns="truth"), "--in-sample")
    assert "how many labels are wrong is not said of in-sample scores: leave --in-sample out" in lines


def test_a_pipe_is_neither_read_nor_written_over(world: Path, tmp_path: Path, fails: Failing) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    command = ["filter", world / "acts", world / "weak.jsonl", "--layer", "best"]
    assert "no record of a sweep" in fails(*command, "--from", pipe, "--out", tmp_path / "k.jsonl")
    os.mkfifo(tmp_path / "k.jsonl")
    assert "is a pipe" in fails(
        "filter", world / "acts", world / "weak.jsonl", "--layer", 1, "--out", tmp_path / "k.jsonl"
    )


def test_a_percentage_is_none_or_all_only_where_it_is() -> None:
    lines = of_filter(planted((1, 214)), None, None, Path("weak.jsonl"))
    assert "1 of 1285 go (<1%), of label 1 214 of 215 (>99%)" in lines[1]
