"""The task files against real datasets in a local folder: rows, labels, texts, groups, candidates. Seconds."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analyses.experiment.splits import split
from extract.tasks import TaskRows, load_task
from w2s_probes.io.tables import read_table
from w2s_probes.metrics.question_accuracy import question_accuracy

DATA = os.environ.get("W2S_DATA")
pytestmark = pytest.mark.skipif(DATA is None, reason="W2S_DATA names no folder with the real datasets")
Record = dict[str, Any]


@dataclass(frozen=True)
class Expected:
    """What a dataset's records must become, written down independently of its task file."""

    rows: tuple[int, int]  # train and test
    balanced: tuple[int, int]  # twice the smaller class; where rows are drawn, a change of the draw shows here
    rights: Callable[[Record], set[str]]  # the texts of label 1 that a record can give
    wrongs: Callable[[Record], set[str]]  # and those of label 0
    group: Callable[[Record], str]


def by(text: Callable[[Record], str], is_one: Callable[[Record], bool]) -> dict[str, Callable[[Record], set[str]]]:
    """One text a record, with its label."""
    return {
        "rights": lambda r: {text(r)} if is_one(r) else set(),
        "wrongs": lambda r: set() if is_one(r) else {text(r)},
    }


def cosmos(record: Record, answers: set[str]) -> set[str]:
    stem = f"{record['context']}\n\nQuestion: {record['question']}\nChoices: "
    return {stem + " / ".join(record[f"answer{i}"] for i in range(4)) + f"\nAnswer: {a}" for a in answers}


def prefix(record: Record) -> str:
    """The dialogue that both endings share, up to the last reply that begins alike."""
    chosen, rejected = record["chosen"], record["rejected"]
    turns = [at for at in range(len(chosen)) if chosen.startswith("\n\nAssistant:", at)]
    return str(chosen[: max(at for at in turns if rejected.startswith(chosen[: at + 12]))])


def replies(record: Record, names: tuple[str, str]) -> set[str]:
    start = prefix(record)
    first, second = (record[name].removeprefix(start) for name in names)
    return {f"{start}\n\nFirst reply:{first}\n\nSecond reply:{second}"}


def situations(first: str, second: str) -> set[str]:
    return {f"First: {first}\nSecond: {second}\nIs the first situation more pleasant than the second?"}


EXPECTED = {
    "anthropic_hh_harmless": Expected(
        (1712, 600),
        (1674, 582),
        lambda r: replies(r, ("chosen", "rejected")),
        lambda r: replies(r, ("rejected", "chosen")),
        prefix,
    ),
    "boolq": Expected(
        (2270, 1000),
        (1732, 742),
        **by(lambda r: f"{r['passage']}\nQuestion: {r['question']}?", lambda r: r["answer"] is True),
        group=lambda r: r["passage"],
    ),
    "cad_imdb": Expected(
        (3412, 1465),
        (3410, 1464),
        **by(lambda r: r["Text"], lambda r: r["Sentiment"] == "Positive"),
        group=lambda r: r["batch_id"],
    ),
    "chess_themes": Expected(
        (1500, 492),
        (1048, 352),
        **by(lambda r: r["FEN"], lambda r: " mate " in f" {r['Themes']} "),
        group=lambda r: r["FEN"],
    ),
    "clinc_oos": Expected(
        (6000, 2000),
        (6000, 2000),
        **by(lambda r: r["text"], lambda r: r["label"] != "oos"),
        group=lambda r: r["text"],
    ),
    "cosmos_qa": Expected(
        (2235, 750),
        (2186, 750),
        lambda r: cosmos(r, {r[f"answer{r['label']}"]}),
        lambda r: cosmos(r, {r[f"answer{i}"] for i in range(4) if i != int(r["label"])}),
        lambda r: r["context"],
    ),
    "creak": Expected(
        (6000, 1371),
        (5982, 1360),
        **by(lambda r: r["sentence"], lambda r: r["label"] == "true"),
        group=lambda r: r["entity"],
    ),
    "ethics_deontology": Expected(
        (6000, 2000),
        (5542, 1984),
        **by(lambda r: f"{r['scenario']} {r['excuse']}", lambda r: r["label"] == "1"),
        group=lambda r: r["scenario"],
    ),
    "ethics_justice": Expected(
        (6000, 2000),
        (5450, 1994),
        **by(lambda r: r["scenario"], lambda r: r["label"] == "1"),
        group=lambda r: r["scenario"],
    ),
    # One pair of the training file is there twice, once in each order: both go.
    "ethics_utilitarianism": Expected(
        (5998, 2000),
        (5962, 1950),
        lambda r: situations(r["baseline"], r["less_pleasant"]),
        lambda r: situations(r["less_pleasant"], r["baseline"]),
        lambda r: r["baseline"],
    ),
    # 32 training sentences are also in test but for spaces around them: they go.
    "ethics_virtue": Expected(
        (4792, 1990),
        (4760, 1990),
        **by(lambda r: r["scenario"], lambda r: r["label"] == "1"),
        group=lambda r: r["scenario"].split("[SEP]")[0].strip(),
    ),
    "paws": Expected(
        (6000, 2000),
        (5328, 1750),
        **by(
            lambda r: f"{r['sentence1']}\n{r['sentence2']}\nDo the two sentences mean the same?",
            lambda r: r["label"] == "1",
        ),
        group=lambda r: r["sentence1"],
    ),
    "piqa": Expected(
        (1338, 500),
        (1308, 470),
        lambda r: {f"Q: {r['goal']} A: {r['sol2' if r['label'] else 'sol1']}"},
        lambda r: {f"Q: {r['goal']} A: {r['sol1' if r['label'] else 'sol2']}"},
        lambda r: r["goal"],
    ),
}


@pytest.fixture(scope="module", params=EXPECTED)
def loaded(request: pytest.FixtureRequest) -> TaskRows:
    assert DATA is not None
    return load_task(request.param, Path(DATA))


def records(name: str, part: str) -> list[Record]:
    assert DATA is not None
    return read_table(Path(DATA) / name / f"{part}.jsonl.gz").to_dict(orient="records")  # type: ignore[return-value]


def test_the_folder_has_every_dataset_that_is_expected() -> None:
    assert DATA is not None
    assert {path.name for path in Path(DATA).iterdir() if path.is_dir()} == set(EXPECTED)


def test_every_record_gives_one_row_with_the_sources_text_and_label(loaded: TaskRows) -> None:
    expected = EXPECTED[loaded.name]
    assert (len(loaded.train), len(loaded.test)) == expected.rows
    in_test = {expected.group(r) for r in records(loaded.name, "test")}
    for part, rows in (("train", loaded.train), ("test", loaded.test)):
        source = records(loaded.name, part)
        rights, wrongs = ({t for r in source for t in side(r)} for side in (expected.rights, expected.wrongs))
        assert not set(rows["text"]) & rights & wrongs  # what is said both ways is left out
        assert set(rows["text"][rows["label"] == 1]) <= rights
        assert set(rows["text"][rows["label"] == 0]) <= wrongs
        usable = [r for r in source if not (expected.rights(r) | expected.wrongs(r)) & rights & wrongs]
        assert len(rows) == sum(part == "test" or expected.group(r) not in in_test for r in usable)


def test_groups_are_the_sources_and_never_straddle_train_and_test(loaded: TaskRows) -> None:
    expected = EXPECTED[loaded.name]
    named: dict[str, str] = {}
    for part in ("train", "test"):
        for record in records(loaded.name, part):
            for text in expected.rights(record) | expected.wrongs(record):
                named[text] = expected.group(record)
    rows = pd.concat([loaded.train, loaded.test])
    pairs = pd.DataFrame({"ours": rows["group"], "theirs": rows["text"].map(named)}).drop_duplicates()
    assert pairs["ours"].is_unique
    assert pairs["theirs"].is_unique
    assert not set(loaded.train["text"].map(named)) & set(loaded.test["text"].map(named))


def test_balancing_leaves_twice_the_smaller_class_and_splits_keep_groups_whole(loaded: TaskRows) -> None:
    expected = EXPECTED[loaded.name]
    for rows, balanced in zip((loaded.train, loaded.test), expected.balanced, strict=True):
        assert 2 * rows["label"].value_counts().min() == balanced
    sizes: dict[str, Any] = {"n_weak": 200, "n_val": 100, "n_train": 500, "n_test": expected.balanced[1]}
    sets = split(loaded.train, loaded.test, **sizes, balance=loaded.task.balance, seed=1, task=loaded.name)
    assert sets.test["label"].mean() == 0.5
    parts = [set(getattr(sets, name)["group"]) for name in ("weak", "val", "train", "test")]
    assert all(not a & b for at, a in enumerate(parts) for b in parts[:at])


def test_candidates_are_what_could_have_been_drawn_and_nothing_of_them_is_in_train(loaded: TaskRows) -> None:
    expected = EXPECTED[loaded.name]
    if loaded.task.label is not None:
        assert loaded.candidates is None
        return
    assert loaded.candidates is not None
    source = records(loaded.name, "test")
    found = dict(zip(loaded.candidates["text"], loaded.candidates["label"], strict=True))
    assert found == {t: 1 for r in source for t in expected.rights(r)} | {
        t: 0 for r in source for t in expected.wrongs(r)
    }
    assert set(loaded.test["id"]) <= set(loaded.candidates["id"])
    assert not set(loaded.train["id"]) & set(loaded.candidates["id"])
    few = loaded.candidates_of(loaded.test["id"][:50])
    assert few["question"].nunique() == 50
    assert question_accuracy(few["question"].to_numpy(), few["label"], few["label"]) == 1
    guess = question_accuracy(
        loaded.candidates["question"].to_numpy(), loaded.candidates["label"], [0] * len(loaded.candidates)
    )
    assert guess == pytest.approx(0.25 if loaded.name == "cosmos_qa" else 0.5)


def test_no_text_gives_the_answer_away(loaded: TaskRows) -> None:
    if loaded.name == "creak":
        explanations = {r["sentence"]: r["explanation"] for r in records("creak", "test")}
        assert not any(explanations[text] in text for text in loaded.test["text"] if len(explanations[text]) > 20)
    lengths = loaded.test.groupby("label")["text"].apply(lambda texts: texts.str.len().median())
    assert 0.75 < lengths[1] / lengths[0] < 1.35  # no template adds something to one class alone


def test_two_readings_are_equal_and_named_by_the_files(loaded: TaskRows) -> None:
    assert DATA is not None
    again = load_task(loaded.name, Path(DATA))
    assert again.train.equals(loaded.train)
    assert again.test.equals(loaded.test)
    assert again.source == loaded.source
    assert loaded.source.startswith("sha256:")
