"""True labels of weak-train: read by methods that declare it alone, counted, and in every table."""

import dataclasses
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.experiment import Experiment, Lessons, Method, Trusted
from analyses.experiment.method import run_method
from analyses.experiment.splits import split_task
from analyses.experiment.trusted_rows import TRUSTED
from analyses.lessons.lesson import Leak
from analyses.methods import METHODS
from analyses.protocol import run
from analyses.recipe.schema import Recipe
from analyses.report.load.folder import read_folder
from analyses.report.page import page
from analyses.results.names import COMPARISONS, RESULTS
from analyses.results.summary import summary
from analyses.supervisors.held_out import HELD_OUT, held_out_rows
from analyses.supervisors.tfidf import text_supervisor
from tests.worlds.experiments import completed, experiment, small_recipe, trusted_of_planted, truth_of_planted
from tests.worlds.supervising import HEAD, labels_by, recipe_with
from w2s_probes import InputError, auroc
from w2s_probes.labels.label_set import LabelSet

NEEDS = Trusted(least=10, held_out=True)


def judged_by_truth(made: Experiment) -> Lessons:
    """Takes the student or the supervisor, whichever ranks the held-out rows of weak-train better."""
    student = yield made.lesson(made.weak_train)
    rows = made.trusted_rows()
    truth = rows.truth()
    flipped = auroc(truth, rows.weak) > auroc(truth, student[TRUSTED])
    return made.outcome(student, notes={"weak_is_better": float(flipped)})


def test_only_a_declared_method_reads_weak_train_and_what_it_read_is_counted(tmp_path: Path) -> None:
    made, truth, rows = experiment(tmp_path), truth_of_planted(), trusted_of_planted()
    with pytest.raises(Leak, match=r"reads true labels of weak-train: declare it with `trusted=Trusted"):
        completed(run_method("mine", Method(judged_by_truth), made, truth, rows))
    with pytest.raises(Leak, match="reads true labels of weak-train"):  # an oracle's truth is that of other rows
        completed(run_method("mine", Method(judged_by_truth, oracle=True), made, truth, rows))
    outcome = completed(run_method("mine", Method(judged_by_truth, trusted=NEEDS), made, truth, rows))
    assert outcome.trusted == rows.held_out.sum() == 40
    assert set(outcome.scores) == {"test"}  # the trusted rows are scored, and judged by no table
    assert rows.read == 0  # each method has a count of its own


def test_a_trusted_method_reaches_no_truth_of_other_rows(tmp_path: Path) -> None:
    def reaching(made: Experiment) -> Lessons:
        student = yield made.lesson(made.true_train())
        return made.outcome(student)

    made = experiment(tmp_path)
    with pytest.raises(Leak, match=r"reads ground truth: declare it with `oracle=True`"):
        completed(run_method("mine", Method(reaching, trusted=NEEDS), made, truth_of_planted(), trusted_of_planted()))

    def greedy(made: Experiment) -> Lessons:
        assert made.truth is None
        seen = made.trusted_rows()
        assert len(seen.rows) == 40  # of 200: those that the supervisor's training has seen are out of reach
        for field in dataclasses.fields(Experiment):
            value = getattr(made, field.name)
            assert not (isinstance(value, LabelSet) and value.role == "truth")
        student = yield made.lesson(made.weak_train)
        return made.outcome(student)

    outcome = completed(
        run_method("mine", Method(greedy, trusted=NEEDS), made, truth_of_planted(), trusted_of_planted())
    )
    assert outcome.trusted == 0


def test_without_trusted_rows_a_method_says_why_it_needs_them(tmp_path: Path) -> None:
    method = Method(judged_by_truth, trusted=replace(NEEDS, why="a judge needs a truth"))
    with pytest.raises(InputError, match=r"'mine' needs true labels of weak-train, .* none: a judge needs a truth"):
        completed(run_method("mine", method, experiment(tmp_path), truth_of_planted()))


def test_trusted_rows_are_marked_in_every_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "mine", Method(judged_by_truth, trusted=NEEDS))
    recipe = small_recipe('methods=["student-xent", "mine"]')
    results = run(recipe, tmp_path)
    (sets,) = split_task(recipe, "miniature_price").values()
    held = int(held_out_rows(sets.weak, "miniature_price", 0).sum())
    assert 25 <= held <= 35
    for file in (RESULTS, COMPARISONS):
        read = pd.read_csv(tmp_path / file).groupby("method")["trusted"].unique()
        assert {name: counts.tolist() for name, counts in read.items() if name != "mine"} == {
            name: [0] for name in read.index if name != "mine"
        }
        assert read["mine"].tolist() == [held]
    assert summary(results)["method"].tolist() == ["student-xent", "mine+"]
    assert f"mine ({held} trusted)" in page(read_folder(tmp_path))
    again = run(recipe, tmp_path / "b", cache=tmp_path)  # the count is kept with the outcome
    assert again["trusted"].tolist() == results["trusted"].tolist()


def test_the_truth_of_weak_train_moves_a_trusted_method_and_no_other_through_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, rows = experiment(tmp_path), trusted_of_planted()
    turned = trusted_of_planted(turned=True)
    found = [
        completed(run_method("mine", Method(judged_by_truth, trusted=NEEDS), made, truth_of_planted(), one)).notes
        for one in (rows, turned)
    ]
    assert [one["weak_is_better"] for one in found] == [0, 1]


@pytest.mark.parametrize("kind", ["text", "head"])
def test_a_supervisor_scores_the_rows_that_it_holds_out_out_of_sample(kind: str, tmp_path: Path) -> None:
    """Of a text supervisor labels of these rows, turned, change what it says of all others and not of them."""
    sets, labels = labels_by(recipe_with(tmp_path, HEAD if kind == "head" else {"kind": "text"}), tmp_path)
    held = held_out_rows(sets.weak, "miniature_price", 0)
    assert 15 <= held.sum() == len(labels[HELD_OUT]) <= 25
    if kind == "head":  # which they stop: their truth moves it, and its fit does not
        return
    turned = replace(sets, weak=sets.weak.assign(label=np.where(held, 1 - sets.weak["label"], sets.weak["label"])))
    again = text_supervisor(turned, task="miniature_price", seed=0)
    assert np.array_equal(again[HELD_OUT], labels[HELD_OUT])
    assert not np.array_equal(again["test"], labels["test"])


def refusal(*settings: str, tmp_path: Path) -> str:
    recipe: Recipe = small_recipe('methods=["student-xent", "mine"]', *settings)
    with pytest.raises(InputError) as caught:
        run(recipe, tmp_path / "out")
    assert not (tmp_path / "out").exists()  # nothing half-written
    return str(caught.value)


def test_runs_without_enough_trusted_rows_are_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS, "mine", Method(judged_by_truth, trusted=Trusted(60, held_out=True)))
    told = refusal(tmp_path=tmp_path)
    assert "miniature_price, seed 0: method 'mine' needs the true labels of 60 rows of weak-train" in told
    assert "raise weak.n_truth" in told
    ensemble = "weak={kind='ensemble', members=[{kind='text'}, {kind='text'}]}"
    assert "one of kind 'ensemble' holds out none: take weak.kind text" in refusal(ensemble, tmp_path=tmp_path)
    (tmp_path / "labels.csv").write_text("text,label\na,1\n")
    given = f"weak={{kind='labels', file='{tmp_path / 'labels.csv'}'}}"
    assert "a supervisor of kind 'labels' leaves none" in refusal(given, tmp_path=tmp_path)
