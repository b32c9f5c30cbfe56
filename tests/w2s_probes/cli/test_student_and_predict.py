"""Students that last: heads and fine-tuned models from the command line, and new rows scored by what was saved."""

import json
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.conftest import model_of, save_checkpoint
from tests.worlds.finetuning import task
from w2s_probes import ActivationStore, KNNProbe, LogisticProbe, load_probe, save_probe
from w2s_probes.io.sealed import not_as_written
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.students.finetuning.loop import TrainingLoop
from w2s_probes.students.finetuning.saved_files import SCORING
from w2s_probes.students.finetuning.training_folder import STATE

Call = Callable[..., Any]
QUICK = ["--tune", "learning_rate=3e-3", "--tune", "batch_size=16", "--epochs", 2, "--progress", "none"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, weak labels of 100 texts, test rows and new rows; stores are made in its own cache."""
    folder = tmp_path_factory.mktemp("home")
    save_checkpoint(model_of("llama"), folder / "model")
    texts, rng = task(160), np.random.default_rng(0)
    weak = np.where(rng.random(160) < 0.15, 1 - texts.soft, texts.soft) * 0.8 + 0.1 * rng.random(160)
    table = pd.DataFrame({"id": [f"r{i}" for i in range(160)], "text": texts.texts, "label": weak, "truth": texts.soft})
    write_table(table[:100], folder / "weak.jsonl")
    write_table(table[100:], folder / "test.jsonl")
    write_table(table[100:][["id", "text"]].iloc[::-1], folder / "new.csv")
    write_table(table[["id", "text"]], folder / "rows.parquet")
    return folder


@pytest.fixture(autouse=True)
def cache(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("W2S_CACHE", str(home / "cache"))


@pytest.fixture(scope="module")
def students(home: Path) -> Callable[[str], Path]:
    """The folder of a student of each kind, trained when it is first asked for."""
    from w2s_probes.cli import main

    def of(kind: str) -> Path:
        out = home / f"student-{kind}"
        if not out.exists():
            own = ["--layer", 2, "--position", "mean", "--progress", "none"] if kind == "head" else QUICK
            words = ["student", home / "weak.jsonl", "--kind", kind, "--model", home / "model", *own]
            with pytest.raises(SystemExit) as ended:
                main([str(word) for word in (*words, "--test", home / "test.jsonl", "--out", out)])
            assert ended.value.code == 0
        return out

    return of


def scores(file: Path) -> "pd.Series[float]":
    table = read_table(file)
    return pd.Series(table["label"].astype(float).to_numpy(), index=table["id"])


@pytest.mark.parametrize("kind", ["head", "lora", "full"])
def test_new_rows_get_the_scores_that_the_student_gave_in_training(
    kind: str, w2s: Call, home: Path, students: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = students(kind)
    w2s("predict", folder, "--rows", home / "new.csv", "--out", tmp_path / "p.jsonl")
    found, tested = scores(tmp_path / "p.jsonl"), scores(folder / "predictions.jsonl")
    assert list(found.index) == [f"r{i}" for i in range(159, 99, -1)]  # every row, in the order of the file
    assert np.ptp(found) > 1e-3  # the control: it is no constant
    np.testing.assert_allclose(found[tested.index], tested, atol=1e-6)
    record = json.loads((folder / "student.json").read_text())
    assert (record["kind"], not_as_written(folder / "student.json", record)) == (kind, {})
    assert record["test"]["intervals"]["auroc"]
    assert record["test"]["student_minus_supervisor"]["accuracy"]
    if kind != "head":
        assert f"model/{SCORING}" in record["files"]


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_what_was_saved_opens_with_its_own_library(kind: str, home: Path, students: Callable[[str], Path]) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = students(kind) / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if kind == "lora":
        from peft import PeftModel

        base = AutoModelForSequenceClassification.from_pretrained(home / "model", num_labels=2)
        base.config.pad_token_id = tokenizer.pad_token_id
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by an older name
            model: Any = PeftModel.from_pretrained(base, folder)
    else:
        model = AutoModelForSequenceClassification.from_pretrained(folder)
    rows = read_table(home / "test.jsonl")
    tested = scores(students(kind) / "predictions.jsonl")
    inputs = tokenizer(rows["text"].tolist(), padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model.eval()(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
    p = pd.Series(logits.softmax(1)[:, 1].numpy(), index=rows["id"])
    np.testing.assert_allclose(p[tested.index], tested, atol=1e-5)


def test_the_same_command_again_trains_nothing_and_texts_may_stand_in_a_file_of_their_own(
    w2s: Call, home: Path, students: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = tmp_path / "done"
    shutil.copytree(students("full"), done)
    before = (done / "student.json").read_bytes()
    monkeypatch.setattr(TrainingLoop, "run", lambda *_: pytest.fail("trained again"))
    for name in ("weak.jsonl", "test.jsonl"):
        write_table(read_table(home / name).drop(columns="text"), tmp_path / name)
    words = ["student", tmp_path / "weak.jsonl", "--rows", home / "rows.parquet", "--kind", "full"]
    w2s(*words, "--model", home / "model", "--test", tmp_path / "test.jsonl", *QUICK, "--out", done)
    again, first = json.loads((done / "student.json").read_text()), json.loads(before)
    for name in ("rows", "validation", "best_step", "seconds", "parameters"):
        assert again[name] == first[name]
    assert scores(done / "predictions.jsonl").equals(scores(students("full") / "predictions.jsonl"))


def test_a_fine_tuning_that_was_killed_goes_on_with_the_same_command(w2s: Call, home: Path, tmp_path: Path) -> None:
    words = ["student", home / "weak.jsonl", "--kind", "full", "--model", home / "model", *QUICK]
    words += ["--test", home / "test.jsonl", "--tune", "eval_every=2", "--epochs", 12, "--out"]  # the last one counts
    code = (
        "import sys; from w2s_probes.students.finetuning import training_folder as folder; "
        "folder.SECONDS, folder.SHARE = 0, 0; from w2s_probes.cli import main; main(sys.argv[1:])"
    )
    killed = subprocess.Popen([sys.executable, "-c", code, *map(str, words), str(tmp_path / "killed")])
    until = time.monotonic() + 120
    while not (tmp_path / "killed" / STATE).exists():
        assert killed.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed" / "student.json").exists()
    w2s(*words, tmp_path / "killed")
    w2s(*words, tmp_path / "whole")
    assert scores(tmp_path / "killed" / "predictions.jsonl").equals(scores(tmp_path / "whole" / "predictions.jsonl"))
    assert not (tmp_path / "killed" / STATE).exists()


def test_what_label_files_have_stays_beside_the_scores_and_a_given_label_is_kept_apart(
    w2s: Call, home: Path, students: Callable[[str], Path], tmp_path: Path
) -> None:
    table = read_table(home / "test.jsonl").assign(group="g", split="test", note="not kept")
    write_table(table, tmp_path / "more.jsonl")
    w2s("predict", students("head"), "--rows", tmp_path / "more.jsonl", "--out", tmp_path / "p.parquet")
    written = read_table(tmp_path / "p.parquet")
    assert list(written) == ["id", "label", "text", "truth", "group", "split", "given_label"]
    assert written["given_label"].tolist() == table["label"].tolist()
    w2s("compare", tmp_path / "p.parquet", f"{tmp_path}/p.parquet:given_label", "--json")  # is a score file


def test_a_head_reads_a_store_of_its_model_layer_and_position_alone(
    w2s: Call, fails: Call, home: Path, students: Callable[[str], Path], tmp_path: Path
) -> None:
    extract = ["extract", home / "model", "--rows", home / "new.csv", "--progress", "none", "--out"]
    w2s(*extract, tmp_path / "mean", "--position", "mean")
    w2s(*extract, tmp_path / "last")
    w2s(*extract, tmp_path / "one", "--position", "mean", "--layers", 1)
    head, new, out = students("head"), ["--rows", home / "new.csv"], ["--out", tmp_path / "p.csv"]
    w2s("predict", head, *new, "--store", tmp_path / "mean", *out)
    expected = load_probe(head / "head.safetensors").predict_proba(
        ActivationStore.open(tmp_path / "mean").layer(2, ids=read_table(home / "new.csv")["id"].to_numpy())
    )
    np.testing.assert_allclose(scores(tmp_path / "p.csv"), expected[:, 1], atol=1e-12)
    other = tmp_path / "other-model"
    save_checkpoint(model_of("gpt2"), other)
    w2s("extract", other, "--rows", home / "new.csv", "--position", "mean", "--out", tmp_path / "gpt2")
    for words, said in (
        (["--store", tmp_path / "last"], "position is last, not mean"),
        (["--store", tmp_path / "one"], "layer 2"),
        (["--store", tmp_path / "mean", "--layer", 1], "it reads layer 2, not 1: leave --layer out"),
        (["--store", tmp_path / "gpt2"], "of another model than"),
        (["--model", other], "not as it was when"),
    ):
        assert said in fails("predict", head, *new, *out, *words)


def test_probes_are_saved_students_too_and_say_what_they_lack(
    w2s: Call, fails: Call, home: Path, tmp_path: Path
) -> None:
    w2s("extract", home / "model", "--rows", home / "rows.parquet", "--out", tmp_path / "acts")
    store, table = ActivationStore.open(tmp_path / "acts"), read_table(home / "weak.jsonl")
    X, y = store.layer(1, ids=table["id"].to_numpy()), table["label"].to_numpy(dtype=float)
    save_probe(LogisticProbe(l2=0.1).fit(X, y), tmp_path / "told.safetensors", fitted_to=(store, 1))
    save_probe(KNNProbe(k=9).fit(X, y), tmp_path / "untold.safetensors")
    words = ["--rows", home / "new.csv", "--out", tmp_path / "p.csv"]
    w2s("predict", tmp_path / "told.safetensors", *words)  # extracts by itself, as its notes say
    new = store.layer(1, ids=read_table(home / "new.csv")["id"].to_numpy())
    expected = load_probe(tmp_path / "told.safetensors").predict_proba(new)[:, 1]
    np.testing.assert_allclose(scores(tmp_path / "p.csv"), expected, atol=1e-6)
    untold = tmp_path / "untold.safetensors"
    assert "it does not say which model it reads" in fails("predict", untold, *words)
    assert "it does not say which layer it reads" in fails("predict", untold, *words, "--store", tmp_path / "acts")
    w2s("predict", untold, *words, "--store", tmp_path / "acts", "--layer", 1)
    expected = load_probe(untold).predict_proba(new)[:, 1]
    np.testing.assert_allclose(scores(tmp_path / "p.csv"), expected, atol=1e-12)


def test_adapters_find_their_model_again_or_say_where_it_was(
    w2s: Call, fails: Call, home: Path, students: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copytree(students("lora"), tmp_path / "moved")
    scoring = tmp_path / "moved" / "model" / SCORING
    record = json.loads(scoring.read_text())
    record["base"]["folder"] = str(tmp_path / "gone")
    scoring.write_text(json.dumps(record))
    words = ["predict", tmp_path / "moved", "--rows", home / "new.csv", "--out", tmp_path / "p.csv"]
    assert "belong to the model" in fails(*words)
    w2s(*words, "--model", home / "model")
    tested = scores(students("lora") / "predictions.jsonl")
    np.testing.assert_allclose(scores(tmp_path / "p.csv")[tested.index], tested, atol=1e-6)
    save_checkpoint(model_of("gpt2"), tmp_path / "other")
    assert "were trained on another model" in fails(*words, "--model", tmp_path / "other")
    scoring.write_text("{}[")
    assert "scoring.json" in fails(*words)
    (tmp_path / "moved" / "model" / "adapter_model.safetensors").unlink()
    assert "no weights in safetensors files" in fails(*words)
    shutil.rmtree(tmp_path / "moved" / "model")
    assert "its student is gone" in fails(*words)


def test_what_cannot_be_trained_or_scored_is_refused_and_leaves_nothing(
    w2s: Call, fails: Call, home: Path, students: Callable[[str], Path], tmp_path: Path
) -> None:
    weak, model, out = home / "weak.jsonl", home / "model", tmp_path / "out"
    base = ["student", weak, "--out", out]
    for words, said in (
        (["--kind", "lora"], "--kind lora needs --model"),
        (["--kind", "lora", "--model", model, "--layer", 1], "--layer is of a head"),
        (["--kind", "lora", "--model", model, "--l2", 1], "--l2 is of a head"),
        (["--kind", "full", "--model", model, "--tune", "rate=1"], "unknown key 'rate'"),
        (["--kind", "full", "--model", model, "--tune", "epochs"], "write it as key=value"),
        (["--kind", "full", "--model", model, "--tune", "stop=auroc"], "give --stop"),
        (["--kind", "full", "--model", tmp_path / "none"], "no such folder"),
        (["--kind", "full", "--model", model, "--rows", home / "test.jsonl"], "has no row for 100 of 100 ids"),
        (["--kind", "full", "--model", model, "--test", weak], "is a training or validation row"),
        (["--layer", 1], "give a STORE before it, or --model"),
        (["--model", model], "give --layer"),
        (["--layer", 1, "--model", model, "--tune", "epochs=1"], "--tune is of fine-tuning"),
        (["--layer", 9, "--model", model], "layer 9 is outside"),
        (["--layer", "best", "--model", model], "are what a sweep chose of a store: give the STORE before the labels"),
        (["--layer", 1, "--model", model, "--from", weak], "are what a sweep chose of a store"),
    ):
        assert said in fails(*base, *words), words
        assert not out.exists()
    store = home / "store"
    w2s("extract", model, "--rows", weak, "--layers", "1", "--out", store)
    said = fails("student", store, weak, "--layer", 1, "--model", model, "--out", out)
    assert f"--model is for texts, and {store} is a store" in said
    said = fails(
        "predict", students("head"), "--store", store, "--model", model, "--rows", weak, "--out", tmp_path / "x.csv"
    )
    assert "--model is for texts" in said
    assert "is a file, and a student is a folder" in fails("student", store, weak, "--layer", 1, "--out", weak)
    assert "holds a fine-tuned student" in fails(
        "student", weak, "--model", model, "--layer", 1, "--out", students("full")
    )
    assert "holds a head" in fails("student", weak, "--kind", "full", "--model", model, "--out", students("head"))
    write_table(read_table(weak).drop(columns="text"), tmp_path / "bare.jsonl")
    said = fails("student", tmp_path / "bare.jsonl", "--kind", "full", "--model", model, "--out", out)
    assert "no field 'text', which a fine-tuned student learns from: give it, or --rows FILE" in said
    target = ["--out", tmp_path / "p.csv"]
    for words, said in (
        ([students("full"), "--rows", tmp_path / "bare.jsonl"], "no field 'text'"),
        ([students("head"), "--rows", tmp_path / "bare.jsonl"], "no field 'text'"),
        ([students("full"), "--rows", home / "new.csv", "--layer", 1], "is a whole model"),
        ([model, "--rows", home / "new.csv"], "has no head with two labels"),
        ([home, "--rows", home / "new.csv"], "holds no student"),
        ([tmp_path / "none", "--rows", home / "new.csv"], "no such file or folder"),
    ):
        assert said in fails("predict", *words, *target), words
    assert not (tmp_path / "p.csv").exists()
