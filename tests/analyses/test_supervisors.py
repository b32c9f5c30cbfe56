"""Weak supervisors of every kind: what they learn from, what they label, and which labels a file must have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.experiment.row_sets import RowSets
from analyses.experiment.splits import split_task
from analyses.experiment.task_models import Sources, TaskModels, every_row
from analyses.lessons.clock import Clock
from analyses.lessons.engine import Steps
from analyses.lessons.lesson import Scores
from analyses.protocol import run
from analyses.recipe.schema import Weak
from analyses.results.names import LABELS
from analyses.supervisors.ensembles import ensemble
from analyses.supervisors.held_out import HELD_OUT
from analyses.supervisors.rater_scores import DISAGREEMENT, RATERS, TEST_SCORES, TRUSTED_READ
from tests.worlds.experiments import completed
from tests.worlds.plugged import registries_as_they_are
from tests.worlds.supervising import HEAD, MINIATURE, labels_by, recipe_with, write_quiz
from w2s_probes import InputError, auroc
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.plugins import load_plugins

TEXT = {"kind": "text"}
TUNED = {"epochs": 2, "batch_size": 16, "learning_rate": 2e-3, "eval_every": 5}
FINETUNE = {"kind": "finetune", "model": str(MINIATURE / "weak"), "finetuning": {"kind": "full", **TUNED}}
TRAINED: dict[str, dict[str, Any]] = {
    "text": TEXT,
    "head": HEAD,
    "finetune": FINETUNE,
    "lora": FINETUNE | {"finetuning": {"kind": "lora", **TUNED, "learning_rate": 1e-2}},
    "ensemble": {"kind": "ensemble", "members": [TEXT, HEAD, HEAD | {"layer": 1}]},
    "weights": {"kind": "ensemble", "by": "weights", "members": [TEXT, HEAD, {"kind": "boosted"}]},
    "boosted": {"kind": "boosted", "rounds": 20},
    "boosted head": {"kind": "boosted", "model": str(MINIATURE / "weak"), "layer": -1, "rounds": 20},
}
RATED = (RATERS, DISAGREEMENT, TRUSTED_READ, TEST_SCORES)  # what several raters leave beside their labels


@pytest.mark.parametrize("kind", TRAINED)
def test_a_trained_supervisor_labels_every_set_better_than_chance_and_the_same_again(kind: str, tmp_path: Path) -> None:
    recipe = recipe_with(tmp_path, TRAINED[kind])
    sets, labels = labels_by(recipe, tmp_path / "a")
    several = kind in ("ensemble", "weights")
    held = {} if several else {HELD_OUT: 20}  # of weak-train; members hold out other rows each
    assert set(RATED) <= set(labels) or not several
    labels = {name: p for name, p in labels.items() if name not in RATED}
    assert {name: len(p) for name, p in labels.items()} == {"train": 250, "val": 80, "test": 250} | held
    assert all(((p >= 0) & (p <= 1)).all() for p in labels.values())
    assert auroc(sets.test["label"], labels["test"]) > 0.55  # .5 and 1.4 standard errors
    _, again = labels_by(recipe, tmp_path / "b")
    assert all(np.array_equal(labels[name], again[name]) for name in labels)


@pytest.mark.parametrize("kind", ["text", "head", "ensemble", "weights", "boosted"])
def test_a_supervisor_learns_the_truth_of_weak_train_and_of_no_other_rows(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_with(tmp_path, TRAINED[kind])
    sets, labels = labels_by(recipe, tmp_path / "a")

    def told(*changed: str) -> dict[str, Any]:
        flipped = {name: sets.tables[name].assign(label=1 - sets.tables[name]["label"]) for name in changed}
        monkeypatch.setattr("tests.worlds.supervising.split_task", lambda *_: {0: sets.with_tables(flipped)})
        return labels_by(recipe, tmp_path / "-".join(changed))[1]

    elsewhere, own = told("train", "val", "test"), told("weak")
    assert all(np.array_equal(elsewhere[name], labels[name], equal_nan=True) for name in labels)
    assert auroc(sets.test["label"], own["test"]) < 0.45


def grouped(n: int = 60) -> RowSets:
    """Weak-train of n rows in groups of two; the other sets have one row."""
    rows = pd.DataFrame({"id": [f"r{i}" for i in range(n)], "text": "w", "label": 1})
    rows["group"] = [f"g{i // 2}" for i in range(n)]
    return RowSets(rows, rows[:1], rows[:1], rows[:1])


def taught(weak: Weak, seed: int = 0) -> tuple[list[tuple[int, list[str]]], Any]:
    """The seed and the rows that each member of an ensemble gets, member i answering (i + 1) / 10; and the mean."""
    seen: list[tuple[int, list[str]]] = []

    def one(member: Weak, sets: RowSets, task_models: TaskModels, *, task: str, seed: int) -> Steps[Scores]:
        seen.append((seed, sets.weak["id"].tolist()))
        yield from ()
        return {"train": np.array([len(seen) / 10])}

    sets = grouped()
    task_models = TaskModels("t", every_row([sets.weak]), Path("nowhere"), Sources(), Clock())
    return seen, completed(ensemble(weak, sets, one, task_models, task="t", seed=seed))


def test_an_ensemble_is_the_mean_of_members_that_learn_other_rows_with_other_seeds() -> None:
    weak = Weak(kind="ensemble", members=[Weak(), Weak(), Weak()])
    seen, mean = taught(weak)
    assert mean["train"] == pytest.approx([0.2])
    assert len({seed for seed, _ in seen}) == 3
    for i, (_, rows) in enumerate(seen):
        numbers = {int(row[1:]) for row in rows}
        assert all(number ^ 1 in numbers for number in numbers)  # groups stay whole
        assert 0.4 * 60 <= len(rows) <= 0.85 * 60  # of 30 groups 63 % are drawn, ± 4 standard deviations
        assert rows not in [other for _, other in seen[:i]]
    assert taught(weak)[0] == seen
    assert taught(weak, seed=1)[0] != seen


def test_an_ensemble_without_bagging_differs_by_seeds_alone() -> None:
    seen, _ = taught(Weak(kind="ensemble", bagging=False, members=[Weak(), Weak()]))
    assert seen[0][1] == seen[1][1] == grouped().weak["id"].tolist()
    assert seen[0][0] != seen[1][0]


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> tuple[RowSets, pd.DataFrame]:
    """The rows of a run on labels, and a file's worth of labels: a tenth of them wrong."""
    folder = tmp_path_factory.mktemp("rated")
    recipe = recipe_with(folder, {"kind": "labels", "file": "nowhere.jsonl"})
    (sets,) = split_task(recipe, "miniature_price").values()
    rows = pd.concat([sets.train, sets.val, sets.test], ignore_index=True)
    wrong = np.arange(len(rows)) % 10 == 0
    return sets, rows.assign(label=np.where(wrong, 1 - rows["label"], rows["label"]) * 0.8 + 0.1)


def given(folder: Path, table: pd.DataFrame) -> dict[str, Any]:
    """The supervisor that is this table."""
    write_table(table, folder / "labels.jsonl")
    return {"kind": "labels", "file": str(folder / "labels.jsonl")}


@pytest.mark.parametrize("column", ["id", "text"])
def test_labels_of_a_file_are_joined_by_id_or_by_text_never_by_order(
    column: str, rated: tuple[RowSets, pd.DataFrame], tmp_path: Path
) -> None:
    sets, table = rated
    others = pd.DataFrame({"id": ["x1", "x2"], "text": ["of another task", "of another split"], "label": [0.5, 0.1]})
    file = pd.concat([others, table.sample(frac=1, random_state=0)], ignore_index=True)[[column, "label"]]
    recipe = recipe_with(tmp_path, given(tmp_path, file))
    assert len(sets.weak) == 0  # nobody is trained: all rows of train are for others
    found = labels_by(recipe, tmp_path / "cache")[1]
    expected = table.set_index("id")["label"]
    for name in ("train", "val", "test"):
        assert np.array_equal(found[name], expected[sets.tables[name]["id"]].to_numpy())


def test_a_file_whose_ids_are_its_own_is_joined_by_text(rated: tuple[RowSets, pd.DataFrame], tmp_path: Path) -> None:
    sets, table = rated
    own = table.assign(id=[f"rater-{i}" for i in range(len(table))])
    found = labels_by(recipe_with(tmp_path, given(tmp_path, own)), tmp_path / "cache")[1]
    assert np.array_equal(found["test"], table.set_index("id")["label"][sets.test["id"]].to_numpy())


BROKEN: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "a row is missing": (lambda t: t.iloc[1:], r"1 of 250|lacks|miss|no label"),
    "two labels for one text": (
        lambda t: pd.concat([t, t.iloc[:1].assign(label=0.5)])[["text", "label"]],
        r"the text '.*' has several labels: leave one, or give rows the task's ids",
    ),
    "an id twice": (lambda t: pd.concat([t, t.iloc[:1]])[["id", "label"]], r"ids must be unique"),
    "no label": (lambda t: t[["id", "text"]], r"label"),
    "a label that is no probability": (lambda t: t.assign(label=7.0), r"label.*0.*1|in \[0, 1\]"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_does_not_serve_ends_in_one_line(
    case: str, rated: tuple[RowSets, pd.DataFrame], tmp_path: Path
) -> None:
    change, message = BROKEN[case]
    recipe = recipe_with(tmp_path, given(tmp_path, change(rated[1])))
    with pytest.raises(InputError, match=message) as refused:
        labels_by(recipe, tmp_path / "cache")
    assert "\n" not in str(refused.value)
    assert str(tmp_path / "labels.jsonl") in str(refused.value)


def test_equal_labels_of_one_text_are_one_label(rated: tuple[RowSets, pd.DataFrame], tmp_path: Path) -> None:
    doubled = pd.concat([rated[1], rated[1].iloc[:5]])[["text", "label"]]
    sets, found = labels_by(recipe_with(tmp_path, given(tmp_path, doubled)), tmp_path / "cache")
    assert len(found["train"]) == len(sets.train)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.jsonl: no such file"):
        labels_by(recipe_with(tmp_path, {"kind": "labels", "file": str(tmp_path / "nowhere.jsonl")}), tmp_path / "c")


def test_labels_that_changed_in_the_same_file_are_read_again(
    rated: tuple[RowSets, pd.DataFrame], tmp_path: Path
) -> None:
    recipe = recipe_with(tmp_path, given(tmp_path, rated[1]))
    before = labels_by(recipe, tmp_path / "cache")[1]
    given(tmp_path, rated[1].assign(label=1 - rated[1]["label"]))
    after = labels_by(recipe, tmp_path / "cache")[1]
    assert np.allclose(after["train"], 1 - before["train"])


READER = """
import pandas as pd
from w2s_probes.io.readers import READERS

READERS[".tsv"] = lambda path: pd.read_csv(path, sep="\\t").assign(label=lambda rows: 0.5 + SLOPE * (rows.label - 0.5))
"""


@pytest.mark.parametrize("kind", ["labels", "ensemble"])
def test_labels_are_read_again_by_an_added_reader_that_was_edited(
    kind: str, rated: tuple[RowSets, pd.DataFrame], tmp_path: Path
) -> None:
    rated[1][["id", "label"]].to_csv(tmp_path / "labels.tsv", sep="\t", index=False)
    alone = {"kind": "labels", "file": str(tmp_path / "labels.tsv")}
    weak = alone if kind == "labels" else {"kind": kind, "members": [alone, alone]}

    def labels(slope: int) -> Any:
        (tmp_path / "mine.py").write_text(READER.replace("SLOPE", str(slope)))
        load_plugins([tmp_path / "mine.py"])
        return labels_by(recipe_with(tmp_path, weak), tmp_path / "cache")[1]["train"]

    with registries_as_they_are():
        before, after = labels(1), labels(-1)
    assert np.allclose(after, 1 - before)


SIZES = ("data.n_train=120", "data.n_val=40", "data.n_test=80", "weak.n_truth=60")


@pytest.mark.parametrize("weak", [TEXT, HEAD], ids=["text", "head"])
def test_a_quiz_is_run_from_end_to_end_with_accuracy_by_question(weak: dict[str, Any], tmp_path: Path) -> None:
    quiz = write_quiz(tmp_path)
    methods = 'methods=["student-xent", "probe-logistic", "filter-knn"]'
    recipe = recipe_with(tmp_path, weak, *SIZES, methods, f"data.folder={tmp_path}", task=quiz)
    results = run(recipe, tmp_path / "out")
    by_question = results[results["metric"] == "question_accuracy"].set_index("method")
    assert set(by_question.index) == {
        "weak",
        "ceiling",
        "ceiling-logistic",
        "student-xent",
        "probe-logistic",
        "filter-knn",
    }
    assert (by_question["n"] == 80).all()
    assert by_question["value"].between(by_question["low"], by_question["high"]).all()
    assert by_question["value"]["ceiling"] > 1 / 3 + 0.1  # guessing, and 2 standard errors
    pgr = results[results["metric"] == "pgr_question_accuracy"]
    assert set(pgr["method"]) == {"student-xent", "probe-logistic", "filter-knn"}


def test_accuracy_by_question_is_that_of_the_candidates_in_the_file(tmp_path: Path) -> None:
    quiz = write_quiz(tmp_path)
    more = (*SIZES[:3], f"data.folder={tmp_path}")
    blank = recipe_with(tmp_path, {"kind": "labels", "file": "x.jsonl"}, *more, task=quiz)
    (sets,) = split_task(blank, quiz).values()
    assert sets.candidates is not None
    assert len(sets.candidates) == 3 * 80
    rows = pd.concat([sets.train, sets.val, sets.test])[["id", "text", "label"]]
    questions = sets.candidates["question"].unique()
    missed = set(questions[:20])  # of 80; the right answers get the lowest score there
    turned = sets.candidates["question"].isin(missed)
    scores = np.where(turned, 0.7 - 0.5 * sets.candidates["label"], 0.2 + 0.6 * sets.candidates["label"])
    candidates = sets.candidates.assign(label=scores)[["id", "text", "label"]]
    rows = rows[~rows["id"].isin(candidates["id"])]
    full = recipe_with(tmp_path, given(tmp_path, pd.concat([rows, candidates])), *more, task=quiz)
    value = run(full, tmp_path / "full").set_index(["method", "metric"])["value"]
    assert value["weak", "question_accuracy"] == 0.75

    # A member that lacks one candidate leaves it to the other, which gives every candidate the right side.
    sure = pd.concat([rows, candidates.assign(label=0.2 + 0.6 * sets.candidates["label"])])
    files = []
    for name, table in (("sure", sure), ("short", pd.concat([rows, candidates[1:]]))):
        write_table(table, tmp_path / f"{name}.jsonl")
        files.append({"kind": "labels", "file": str(tmp_path / f"{name}.jsonl")})
    both = recipe_with(tmp_path, {"kind": "ensemble", "members": files}, *more, task=quiz)
    value = run(both, tmp_path / "both").set_index(["method", "metric"])["value"]
    assert value["weak", "question_accuracy"] == 1

    tests = pd.concat([sets.train, sets.val, sets.test])[["id", "label"]]
    alone = recipe_with(tmp_path, given(tmp_path, tests), *more, task=quiz)
    lines = run(alone, tmp_path / "alone")
    asked = lines[lines["metric"].str.endswith("question_accuracy")]
    assert set(asked["method"]) == {"ceiling", "student-xent"}  # the supervisor has not judged the other candidates
    assert set(asked["metric"]) == {"question_accuracy"}  # and so there is no PGR of it
    assert len(read_table(tmp_path / "alone" / LABELS / "quiz-0-test.jsonl")) == 80
