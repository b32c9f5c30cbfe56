"""`w2s filter` to `w2s export` as a user types them, and the page on both, whose blocks run."""

import contextlib
import io
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

from tests.conftest import ROOT, WORDS
from tests.test_readme import BLOCK, words
from w2s_probes import ActivationStore, auroc
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.labels.label_set import read_label_table
from w2s_probes.losses import compute_loss
from w2s_probes.rows.folds import fold_numbers

Call = Callable[..., None]
Failing = Callable[..., str]
PAGE = (ROOT / "docs" / "export.md").read_text()


@pytest.fixture(scope="module")
def kept(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a logistic filter says of the world's weak labels."""
    from w2s_probes.cli.commands.filter import filter_labels

    path = tmp_path_factory.mktemp("kept") / "kept.jsonl"
    filter_labels(world / "acts", world / "weak.jsonl", "1", path, by="logistic", contamination=0.2)
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `load_dataset` keeps goes where the test ends."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def test_what_a_cross_fitted_probe_did_comes_through_to_the_trainers_rows(
    w2s: Call, world: Path, kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    w2s("export", kept, "--format", "hf", "--out", tmp_path / "hub", "--truth", "--field", "note")
    assert (
        "hf, 150 rows (train 120, validation 30) of 180; left out: 30 dropped by the filter" in capsys.readouterr().out
    )
    loaded = datasets.load_dataset(str(tmp_path / "hub"))
    judged = read_table(kept).set_index("id")
    table = read_table(world / "weak.jsonl")
    train = table[table["split"] == "train"]
    X = ActivationStore.open(world / "acts").layer(1, ids=train["id"].to_numpy())
    folds = dict(zip(train["id"], fold_numbers(X, train["label"].to_numpy(np.float64)), strict=True))
    for row in loaded["train"]:
        source = judged.loc[row["id"]]
        assert row["fold"] == folds[row["id"]] == source["fold"]
        assert row["p"] == source["p"]
        assert row["store"] == ActivationStore.open(world / "acts").key
        assert (row["probe"], row["layer"], row["keep"]) == ("logistic", 1, True)
        assert (row["truth"], row["note"]) == (source["truth"], source["note"])
    assert set(loaded["validation"]["fold"]) == set(loaded["validation"]["p"]) == {None}
    for ending in ("csv", "parquet"):  # of which a fold comes back whole, too
        write_table(read_table(kept), tmp_path / f"kept.{ending}")
        w2s("export", tmp_path / f"kept.{ending}", "--format", "jsonl", "--out", tmp_path / f"{ending}.jsonl")
        w2s("export", kept, "--format", "jsonl", "--out", tmp_path / "plain.jsonl")
        assert (tmp_path / f"{ending}.jsonl").read_bytes() == (tmp_path / "plain.jsonl").read_bytes()


def test_a_trainer_learns_the_class_from_an_export_of_soft_labels(kept: Path, w2s: Call, tmp_path: Path) -> None:
    w2s("export", kept, "--format", "trl", "--split", "train", "--out", tmp_path / "trl")
    data = datasets.load_dataset(str(tmp_path / "trl"), split="train")
    number = {word: i + 1 for i, word in enumerate(WORDS)}
    rows = [{"input_ids": [number[w] for w in row["text"].split()], "labels": row["soft_label"]} for row in data]
    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = BertForSequenceClassification(BertConfig(vocab_size=42, num_labels=2, **small))
    arguments = TrainingArguments(
        str(tmp_path / "out"), max_steps=30, learning_rate=5e-3, report_to=[], save_strategy="no", use_cpu=True
    )
    loss = compute_loss("logconf", warm_up=0.2)
    trainer = Trainer(model, arguments, train_dataset=rows, compute_loss_func=loss, callbacks=[loss])
    truth = read_table(kept).set_index("id").loc[list(data["id"]), "truth"].astype(float).to_numpy()

    def score() -> float:
        logits = trainer.predict([{"input_ids": row["input_ids"]} for row in rows]).predictions
        return auroc(truth, logits[:, 1] - logits[:, 0])

    before = score()
    with contextlib.redirect_stdout(io.StringIO()):
        trainer.train()
    assert abs(before - 0.5) < 0.3
    assert score() > 0.95


def test_relabelled_files_export_their_new_labels_and_cleanlabs_columns(w2s: Call, world: Path, tmp_path: Path) -> None:
    w2s("relabel", world / "acts", world / "weak.jsonl", "--layer", 1, "--k", 9, "--out", tmp_path / "new.jsonl")
    new = read_table(tmp_path / "new.jsonl")
    w2s("export", tmp_path / "new.jsonl", "--format", "csv", "--out", tmp_path / "new.csv")
    assert pd.read_csv(tmp_path / "new.csv")["label"].tolist() == pytest.approx(new["new_label"].tolist())
    assert pd.read_csv(tmp_path / "new.csv")["fold"].isna().all()  # kNN leaves the row itself out
    w2s("export", tmp_path / "new.jsonl", "--format", "cleanlab", "--out", tmp_path / "issues.csv")
    issues = pd.read_csv(tmp_path / "issues.csv")
    assert issues["is_label_issue"].tolist() == (issues["given_label"] != issues["predicted_label"]).tolist()
    assert 0 < issues["is_label_issue"].sum() < len(issues) == 150


def test_a_relabelling_after_a_filter_brings_no_dropped_row_back(
    w2s: Call, world: Path, kept: Path, tmp_path: Path
) -> None:
    for ending in ("jsonl", "csv"):
        write_table(read_table(kept), tmp_path / f"kept.{ending}")
        new = tmp_path / f"new.{ending}"
        w2s("relabel", world / "acts", tmp_path / f"kept.{ending}", "--layer", 1, "--k", 9, "--out", new)
        before, after = read_label_table(kept).set_index("id"), read_label_table(new).set_index("id")
        assert after["keep"].tolist() == before["keep"].tolist()
        assert set(after.loc[~before["keep"].astype(bool), "reason"]) == {"disagreement"}
        assert set(after["probe"]) == {"knn"}
        w2s("export", new, "--format", "parquet", "--out", tmp_path / "out.parquet")
        out = pd.read_parquet(tmp_path / "out.parquet").set_index("id")
        assert out.index.tolist() == before.index[before["keep"].astype(bool)].tolist()
        assert out["label"].tolist() == pytest.approx(after.loc[out.index, "new_label"].astype(float).tolist())


def test_wrong_calls_are_one_line_and_write_nothing(fails: Failing, kept: Path, world: Path, tmp_path: Path) -> None:
    call = ["export", kept, "--out", tmp_path / "out"]
    for options, expected in (
        (["--format", "hub"], "format 'hub': known: cleanlab, csv, eai, hf, jsonl, oai, parquet, trl"),
        (["--format", "parqet"], "format 'parqet': did you mean 'parquet'?"),
        (["--format", "csv"], "csv is one file, whose name ends in .csv or .csv.gz"),
        (["--format", "trl", "--task", "preference"], "holds no pairs: name the fields of a row's two texts"),
        (["--format", "trl", "--first", "text", "--second", "note"], "give --task preference too"),
        (["--format", "trl", "--task", "preference", "--first", "text"], "give both"),
        (["--format", "hf", "--task", "preference"], "are of the format trl, not hf"),
        (["--format", "hf", "--split", "dev"], "split 'dev'"),
        (["--format", "hf", "--split", "test"], "no row has split = test"),
    ):
        assert expected in fails(*call, *options)
    for missing in (["export", tmp_path / "none.jsonl"], ["export", world]):
        fails(*missing, "--format", "hf", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_dataset_without_texts_is_remarked_and_a_trainers_is_refused_by_the_option_that_joins_them(
    w2s: Call, fails: Failing, kept: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_table(read_table(kept).drop(columns="text"), tmp_path / "bare.jsonl")
    call = ["export", tmp_path / "bare.jsonl", "--out", tmp_path / "out", "--format"]
    w2s(*call, "hf")
    assert capsys.readouterr().out.endswith("\nno texts: give --texts ROWS to join them by id\n")
    assert "give --texts ROWS to join them by id" in fails(*call, "trl")
    capsys.readouterr()
    w2s(*call, "hf", "--texts", world / "rows.jsonl")
    assert "no texts" not in capsys.readouterr().out


def demo_store(demo: Path) -> Path:
    """The demo's activations of the rows of miniature_sound, from the strong model."""
    rows = read_table(demo / "labels" / "miniature_sound-0-weak.jsonl")["id"]
    for path in (demo / "activations").iterdir():
        store = ActivationStore.open(path)
        if str(store.manifest.notes["model"]).endswith("strong") and set(rows) <= set(store.ids):
            return path
    raise AssertionError("the demo no longer keeps such a store")


@pytest.mark.filterwarnings("ignore:'pin_memory' argument:UserWarning")  # Trainer's default, without a GPU
def test_the_blocks_of_the_page_print_what_it_says(
    demo: Path, w2s: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "demo").symlink_to(demo)
    (tmp_path / "runs" / "acts").symlink_to(demo_store(demo))
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    labels = "runs/demo/labels/miniature_sound-0-weak.jsonl"
    w2s("filter", "runs/acts", labels, "--layer", 2, "--by", "topo", "--k", 15, "--out", "runs/kept.jsonl")
    names: dict[str, Any] = {"__name__": "page"}
    blocks = re.findall(BLOCK, PAGE, flags=re.DOTALL)
    printed, compared = "", 0
    capsys.readouterr()
    for kind, text in blocks:
        if kind == "":
            lines = [line for line in words(printed) if not line[0].startswith("{")]  # Trainer's own log
            assert lines == words(text)
            compared += 1
            continue
        if kind == "python":
            exec(compile(text, "export.md", "exec"), names)
        for line in text.splitlines() if kind == "sh" else []:
            w2s(*shlex.split(line)[1:])
        printed = capsys.readouterr().out
    assert compared == 5
    assert np.array_equal(ActivationStore.open("runs/imported").layer(2), names["X"].to(torch.bfloat16).float().numpy())


def test_the_page_names_every_format_and_its_links_lead_somewhere() -> None:
    from w2s_probes.export import FORMATS, PROVENANCE

    for name in (*FORMATS, *PROVENANCE):
        assert f"`{name}`" in PAGE, name
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


def test_an_export_does_not_take_the_place_of_its_input(tmp_path: Path, fails: Callable[..., str]) -> None:
    labels = tmp_path / "labels.jsonl"
    labels.write_text('{"id": "a", "label": 1.0}\n{"id": "b", "label": 0.0}\n')
    assert "is read by this command, too" in fails("export", labels, "--format", "jsonl", "--out", labels)
    assert labels.read_text().count("\n") == 2
