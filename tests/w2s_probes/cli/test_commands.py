"""The commands as a user types them, on a tiny model: what they write, and that bad input leaves nothing behind."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import GaussianNB

from analyses.recipe.read import RECIPES
from tests.conftest import ROOT, shard_file
from w2s_probes import (
    TOPO_MODES,
    ActivationStore,
    KNNProbe,
    LogisticProbe,
    disagreement_filter,
    load_probe,
    probe_filter,
    relabel,
    topo_filter,
)
from w2s_probes.cli.app import app
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.labels.label_set import read_label_table
from w2s_probes.rows.ids import content_id

Call = Callable[..., None]
Failing = Callable[..., str]


def inputs(world: Path, layer: int) -> tuple[Any, pd.DataFrame]:
    """Activations and label rows of the training set, in the label file's order."""
    table = read_table(world / "weak.jsonl")
    train = table[table["split"] == "train"]
    return ActivationStore.open(world / "acts").layer(layer, ids=train["id"].to_numpy()), train


def test_extract_writes_what_python_writes(w2s: Call, world: Path, tmp_path: Path, checkpoint: Any) -> None:
    rows, out = world / "rows.jsonl", tmp_path / "acts"
    command = ["extract", checkpoint(), "--rows", rows, "--layers", "0,2-3", "--position", "mean", "--out", out]
    w2s(*command)
    store, whole = ActivationStore.open(out), ActivationStore.open(world / "acts")
    assert store.layers == [0, 2, 3]
    assert store.words(2).tobytes() == whole.words(2).tobytes()
    before = (out / "manifest.json").read_bytes()
    w2s(*command)  # the same again is the finished store
    assert (out / "manifest.json").read_bytes() == before


def test_verify_tells_sound_from_damaged(
    w2s: Call, fails: Failing, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    w2s("verify", world / "acts")
    assert "sound; 240 rows, 4 layers," in capsys.readouterr().out
    copy = shutil.copytree(world / "acts", tmp_path / "copy")
    shard = shard_file(copy)
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 4
    shard.write_bytes(content)
    assert "checksum differs" in fails("verify", copy)


@pytest.mark.parametrize("by", ["knn", "logistic", "topo"])
def test_filter_keeps_every_field_and_judges_training_rows(
    w2s: Call, world: Path, tmp_path: Path, by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "kept.jsonl"
    weak = world / "weak.jsonl"
    neighbours = [] if by == "logistic" else ["--k", 20]
    command = ["filter", world / "acts", weak, "--layer", 1, "--by", by, *neighbours]
    w2s(*command, "--contamination", 0.2, "--out", out)
    before, after = read_label_table(weak), read_label_table(out)
    assert after[before.columns].equals(before)
    added = ["keep", "score", "probe", "layer", "new_label", "reason", "p", *(["fold"] * (by == "logistic")), "store"]
    assert list(after.columns[len(before.columns) :]) == added
    X, train = inputs(world, 1)
    y = train["label"].astype(float).to_numpy()
    if by == "topo":
        expected = topo_filter(X, y, 20, 20, 0.2)
    else:
        probe = KNNProbe(20) if by == "knn" else LogisticProbe()
        expected = disagreement_filter(y, relabel(probe, X, y), 0.2)
    judged = after[after["split"] == "train"]
    assert judged["keep"].tolist() == expected.mask.tolist()
    assert judged["score"].tolist() == pytest.approx(expected.scores.tolist())
    assert judged["reason"].tolist() == expected.reasons.tolist()
    assert judged["new_label"].tolist() == y.tolist()
    assert expected.p is not None
    assert judged["p"].tolist() == pytest.approx(expected.p.tolist())
    assert set(after["store"]) == {ActivationStore.open(world / "acts").key}
    others = after[after["split"] != "train"]
    assert others["keep"].all()
    assert set(others["reason"]) == {"not a training row"}
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "kept 120 of 150 rows, removed 30"
    assert [line.split()[0] for line in said[1:]] == ["of", "by", "Next:"]  # classes, truth, what to type


def test_any_classifier_can_judge_and_either_published_topo_filter_has_a_name(
    w2s: Call, world: Path, tmp_path: Path
) -> None:
    X, train = inputs(world, 1)
    y = train["label"].astype(float).to_numpy()
    cases: dict[tuple[Any, ...], Any] = {
        ("--by", "sklearn.naive_bayes:GaussianNB"): probe_filter(GaussianNB(), X, y),
        ("--by", "logistic", "--per-class"): probe_filter(LogisticProbe(), X, y, per_class=True),
        ("--mode", "paper"): topo_filter(X, y, **TOPO_MODES["paper"]),
        ("--k", 9, "--max-removed", 0.05): topo_filter(X, y, 9, 9, max_removed=0.05),
        ("--k", 9, "--index", "Flat"): topo_filter(X, y, 9, 9),
    }
    for number, (options, expected) in enumerate(cases.items()):
        out = tmp_path / f"{number}.jsonl"
        w2s("filter", world / "acts", world / "weak.jsonl", "--layer", 1, *options, "--out", out)
        after = read_label_table(out)
        assert after[after["split"] == "train"]["keep"].tolist() == expected.mask.tolist(), options


def test_a_graph_is_kept_beside_the_store_and_used_again(
    w2s: Call, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = shutil.copytree(world / "acts", tmp_path / "acts", ignore=shutil.ignore_patterns("neighbors-*"))
    command = ["relabel", store, world / "weak.jsonl", "--layer", 1]
    w2s(*command, "--k", 20, "--out", tmp_path / "20.jsonl")
    w2s(*command, "--k", 8, "--out", tmp_path / "8-plain.jsonl")
    (graph,) = store.glob("neighbors-001-*.safetensors")
    monkeypatch.setattr("w2s_probes.neighbors.store_graphs.search", None)  # the kept one serves a lower k
    w2s(*command, "--k", 8, "--out", tmp_path / "8.jsonl")
    assert (tmp_path / "8.jsonl").read_bytes() == (tmp_path / "8-plain.jsonl").read_bytes()
    monkeypatch.undo()
    content = graph.read_bytes()
    graph.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # damage is noticed, and the graph made again
    w2s(*command, "--k", 20, "--out", tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "20.jsonl").read_bytes()
    assert graph.read_bytes() == content
    w2s("verify", store)
    w2s("filter", store, world / "weak.jsonl", "--layer", 2, "--by", "knn", "--k", 5, "--out", tmp_path / "f.jsonl")
    assert len(list(store.glob("neighbors-*"))) == 2


def test_what_a_probe_saw_is_marked_in_the_file(
    w2s: Call, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "kept.jsonl"
    command = ["filter", world / "acts", world / "weak.jsonl", "--layer", 1, "--out", out]
    for by, options in (("knn", ["--k", 9]), ("topo", ["--k", 9]), ("logistic", ["--l2", 0.1])):
        w2s(*command, "--by", by, *options, "--in-sample")
        assert set(read_table(out)["probe"]) == {f"{by}, in-sample"}
        assert "scored in-sample, which flatters the labels" in " ".join(capsys.readouterr().out.split())


def test_relabel_writes_out_of_sample_opinions_and_in_sample_only_by_name(
    w2s: Call, world: Path, tmp_path: Path
) -> None:
    X, train = inputs(world, 2)
    y = train["label"].astype(float).to_numpy()
    for flag, in_sample in (((), False), (("--in-sample",), True)):
        out = tmp_path / f"{in_sample}.csv"
        w2s("relabel", world / "acts", world / "weak.jsonl", "--layer", "-2", "--k", 5, "--out", out, *flag)
        after = read_label_table(out)
        judged = after[after["split"] == "train"]
        assert judged["new_label"].astype(float).tolist() == pytest.approx(
            relabel(KNNProbe(5), X, y, in_sample).tolist()
        )
        assert set(judged["layer"]) == {2}


def test_the_output_of_a_filter_trains_a_student(
    w2s: Call, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, out = tmp_path / "kept.parquet", tmp_path / "student"
    w2s("filter", world / "acts", world / "weak.jsonl", "--layer", 1, "--by", "knn", "--k", 20, "--out", kept)
    command = ["student", world / "acts", kept, "--layer", 1, "--loss", "logconf", "--test", world / "test.jsonl"]
    w2s(*command, "--out", out)
    said = capsys.readouterr().out
    assert "trained on 135 of 180 rows: 15 dropped by the filter, 30 of `split` val stop training" in said
    assert f"test: 60 rows of {world / 'test.jsonl'} [95 %]\n  student: AUROC" in said
    record = json.loads((out / "student.json").read_text())
    assert 1 <= record["best_epoch"] <= 200
    assert record["parameters"]["alpha"] == 0.5
    assert record["test"]["against"] == "truth"
    assert record["rows"] == {"train": 135, "val": 30}
    assert record["test"]["auroc"] > 0.9
    predictions = read_table(out / "predictions.jsonl")
    assert len(predictions) == 60
    head = load_probe(out / "head.safetensors")
    X = ActivationStore.open(world / "acts").layer(1, ids=predictions["id"].to_numpy())
    assert predictions["label"].astype(float).tolist() == head.predict_proba(X)[:, 1].tolist()
    assert head.get_params()["loss"] == "logconf"
    by_hand = 1 / (1 + np.exp(-(X @ head.coef_[0] + head.intercept_[0])))
    assert predictions["label"].astype(float).tolist() == pytest.approx(by_hand.tolist(), abs=1e-6)


def test_a_student_without_validation_rows_holds_some_back(w2s: Call, world: Path, tmp_path: Path) -> None:
    table = read_table(world / "weak.jsonl").drop(columns="split")
    write_table(table, tmp_path / "weak.csv")
    w2s("student", world / "acts", tmp_path / "weak.csv", "--layer", 1, "--epochs", 5, "--out", tmp_path / "s")
    record = json.loads((tmp_path / "s" / "student.json").read_text())
    assert record["rows"] == {"train": 162, "val": 18}
    assert not {"alpha", "warm_up"} & set(record["parameters"])  # which xent does not read


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_a_student_says_what_its_test_rows_are_scored_against(
    w2s: Call, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    table = read_table(world / "test.jsonl")
    test, out = tmp_path / f"test.{ending}", tmp_path / "student"
    call = ["student", world / "acts", world / "weak.jsonl", "--layer", 1, "--epochs", 3, "--out", out, "--test", test]
    write_table(table.drop(columns="truth"), test)
    w2s(*call)
    assert "test, against `label` (no `truth` there): 60 rows" in capsys.readouterr().out
    found = read_table(out / "predictions.jsonl")
    assert list(found.columns) == ["id", "label", "given_label"]
    assert found["given_label"].tolist() == table["label"].tolist()
    record = json.loads((out / "student.json").read_text())["test"]
    assert record["against"] == "label"
    assert record["auroc"] == pytest.approx(roc_auc_score(table["label"].astype(float), found["label"].astype(float)))
    known = np.arange(60) % 3 > 0
    write_table(table.assign(truth=table["truth"].where(known, None)), test)
    w2s(*call)
    assert "test, on the 40 of 60 rows that have `truth`: 40 rows" in capsys.readouterr().out
    found = read_table(out / "predictions.jsonl")
    assert len(found) == 60
    assert (found["truth"].notna().to_numpy() == known).all()
    record = json.loads((out / "student.json").read_text())["test"]
    assert (record["against"], record["rows"], record["of_rows"]) == ("truth", 40, 60)
    truth = table["truth"][known].astype(float)
    assert record["auroc"] == pytest.approx(roc_auc_score(truth, found["label"][known].astype(float)))


def test_run_prints_one_table_and_writes_results(w2s: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["data.n_train=200", "data.n_val=60", "data.n_test=200", "weak.n_truth=100", "n_boot=100"]
    settings += [
        "seeds=[0]",
        "student.epochs=20",
        'data.tasks=["miniature_price"]',
        'methods=["student-xent", "probe-logistic"]',
    ]
    options = [part for setting in settings for part in ("--set", setting)]
    w2s("run", RECIPES / "demo.toml", "--out", tmp_path / "out", *options)
    lines = capsys.readouterr().out.splitlines()
    header = next(line.split() for line in lines if "method" in line)
    assert header == ["method", "weak", "ceiling", "student", "PGR", "status"]
    (row,) = [line.split() for line in lines if "probe-logistic" in line]
    written = pd.read_csv(tmp_path / "out" / "results.csv").set_index(["method", "metric"])["value"]
    assert row[3] == f"{written['probe-logistic', 'auroc']:.3f}"
    assert row[4] == f"{written['probe-logistic', 'pgr_auroc']:.2f}"


@pytest.mark.parametrize("verb", [command.name or command.callback.__name__ for command in app.registered_commands])  # type: ignore[union-attr]
def test_every_help_has_an_example(verb: str, capsys: pytest.CaptureFixture[str], w2s: Call) -> None:
    w2s(verb, "--help")
    text = " ".join(capsys.readouterr().out.split())
    assert f"Example: w2s {verb} " in text


def test_an_interruption_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("w2s_probes.store.manifest.Manifest.read", interrupted)
    from w2s_probes.cli import main

    with pytest.raises(SystemExit) as exit_info:
        main(["verify", "x"])
    assert exit_info.value.code == 130
    assert capsys.readouterr().err == (
        "w2s: interrupted; what was finished is kept, and the same command goes on from there\n"
    )


def test_usage_errors_are_one_line(fails: Failing) -> None:
    for arguments, said in (
        (["cache", "gc", ""], "an argument is empty: is a variable of the shell unset?"),
        (["verify", "--nonsense"], "No such option: --nonsense. See `w2s verify --help`."),
        (["verfy", "x"], "No such command: verfy; did you mean verify? See `w2s --help`."),
        (["cache", "gc", "--days", "-1"], "Invalid value for '--days'"),
    ):
        assert said in fails(*arguments)


def test_a_wrong_option_ends_with_2_and_another_error_with_1(world: Path) -> None:
    w2s = [sys.executable, "-c", "from w2s_probes.cli import main; main()"]
    wrong = subprocess.run([*w2s, "verify", "--nonsense"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr
    broken = [sys.executable, "-c", "import w2s_probes.cli.commands.stores as s; s.Manifest.read = lambda p: 1 / 0\n"]
    broken[-1] += "from w2s_probes.cli import main; main()"
    assert subprocess.run([*broken, "verify", "x"], capture_output=True).returncode == 1


def test_the_installed_command_is_this_one() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "w2s"), "--help"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0
    assert "demo" in done.stdout


def test_truth_on_some_rows_judges_a_filter_on_those_alone_and_says_how_many(
    world: Path, tmp_path: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    table = read_table(world / "weak.jsonl")
    table["truth"] = [truth if number % 2 else None for number, truth in enumerate(table["truth"])]
    write_table(table, tmp_path / "some.jsonl")
    w2s("filter", world / "acts", tmp_path / "some.jsonl", "--layer", 1, "--by", "knn", "--k", 5, "--out",
        tmp_path / "kept.jsonl")  # fmt: skip
    known = sum(bool(number % 2) for number, split in enumerate(table["split"]) if split == "train")
    assert f"by `truth`, known of {known} rows," in capsys.readouterr().out


def test_labels_without_ids_have_those_that_extraction_gives(world: Path, tmp_path: Path, w2s: Call) -> None:
    texts = read_table(world / "weak.jsonl").drop_duplicates("text")[["text", "label", "truth"]]
    write_table(texts, tmp_path / "noids.jsonl")
    strong = json.loads((world / "acts" / "manifest.json").read_text())["notes"]["model"]
    w2s("extract", strong, "--rows", tmp_path / "noids.jsonl", "--position", "mean", "--out", tmp_path / "acts")
    w2s("filter", tmp_path / "acts", tmp_path / "noids.jsonl", "--layer", 1, "--k", 5, "--out", tmp_path / "kept.jsonl")
    kept = read_table(tmp_path / "kept.jsonl")
    assert kept["id"].tolist() == [content_id(text) for text in texts["text"]]


def test_a_filter_does_not_write_over_its_own_labels(world: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    shutil.copy(world / "weak.jsonl", tmp_path / "weak.jsonl")
    before = (tmp_path / "weak.jsonl").read_bytes()
    for verb in ("filter", "relabel"):
        said = fails(verb, world / "acts", tmp_path / "weak.jsonl", "--layer", 1, "--out", tmp_path / "weak.jsonl")
        assert "is read by this command, too" in said
    assert (tmp_path / "weak.jsonl").read_bytes() == before
