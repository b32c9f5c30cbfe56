"""Ground truth cannot leak into a choice: planted leaks are refused, and what truth says elsewhere changes nothing."""

import dataclasses
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.experiment import Experiment, Lessons, Method, Outcome, splits
from analyses.experiment.method import run_method
from analyses.experiment.row_sets import RowSets
from analyses.experiment.splits import split_task
from analyses.lessons.lesson import Examples, Leak, Lesson
from analyses.methods import METHODS
from analyses.protocol import run
from analyses.results.names import RESULTS
from tests.worlds.experiments import Untaught, completed, experiment, small_recipe, trusted_of_planted, truth_of_planted
from w2s_probes.labels.label_set import LabelSet


def leaky(made: Experiment) -> Lessons:
    """A method that chooses its rows by the truth."""
    student = yield made.lesson(made.weak_train, made.true_train() == made.weak_train)
    return made.outcome(student)


def test_a_method_that_reads_the_truth_must_say_so(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    with pytest.raises(Leak, match=r"reads ground truth: declare it with `oracle=True`"):
        completed(run_method("leaky", Method(leaky), made, truth_of_planted()))
    outcome = completed(run_method("leaky", Method(leaky, oracle=True), made, truth_of_planted()))
    assert outcome.scores["test"].shape == (200,)


def test_a_leak_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "leaky", Method(leaky))
    with pytest.raises(Leak, match=r"^this method reads ground truth: declare it with `oracle=True`"):
        run(small_recipe('methods=["leaky", "student-xent"]'), tmp_path)
    assert not (tmp_path / RESULTS).exists()


def test_a_student_is_neither_taught_nor_stopped_by_the_truth(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    weak, truth = (
        Examples(made.rows["train"], made.weak),
        Examples(made.rows["val"], truth_of_planted()),
    )
    for fit, stop, how in ((weak, truth, "stopped by"), (truth, weak, "trained on")):
        with pytest.raises(Leak, match=f"may see weak labels only cannot be {how} labels of role 'truth'"):
            Lesson(made.student, fit, stop, {}, "xent", 0)
    with pytest.raises(Leak, match=r"may see truth labels only cannot be trained on labels of role 'weak'"):
        Lesson(made.student, weak, truth, {}, "xent", 0, role="truth")  # nor is a ceiling by weak ones


def test_an_experiment_takes_no_truth_for_weak_labels(tmp_path: Path) -> None:
    truth = truth_of_planted()
    with pytest.raises(Leak, match=r"weak labels are of role 'truth': methods may not see those"):
        experiment(tmp_path, weak=truth)
    made = experiment(tmp_path)
    rows = dict(made.rows) | {"train": made.rows["train"].assign(label=1)}
    with pytest.raises(Leak, match=r"the train rows that methods see carry 'label'"):
        experiment(tmp_path, rows=rows)


def test_what_methods_see_holds_no_truth(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    assert made.truth is None
    for field in dataclasses.fields(Experiment):
        value = getattr(made, field.name)
        assert not (isinstance(value, LabelSet) and value.role == "truth")
    assert all(set(table.columns) == {"id", "text", "group"} for table in made.rows.values())


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].oracle])
def test_oracles_are_those_that_fail_without_the_truth(name: str, tmp_path: Path) -> None:
    undeclared = dataclasses.replace(METHODS[name], oracle=False)
    with pytest.raises(Leak, match="reads ground truth"):
        completed(run_method(name, undeclared, experiment(tmp_path), truth_of_planted()), Untaught())


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].trusted is not None])
def test_what_is_trusted_fails_without_true_labels_of_weak_train_and_counts_them(name: str, tmp_path: Path) -> None:
    undeclared = dataclasses.replace(METHODS[name], trusted=None)
    made, rows = experiment(tmp_path), trusted_of_planted()
    with pytest.raises(Leak, match="reads true labels of weak-train"):
        completed(run_method(name, undeclared, made, truth_of_planted(), rows), Untaught())
    outcome = completed(run_method(name, METHODS[name], made, truth_of_planted(), rows), Untaught())
    if name == "prior-fewshot":  # rows are read until there are enough shots of both classes
        assert 4 <= outcome.trusted < 40
    else:
        assert outcome.trusted == (40 if name == "gate-learned" else 200)


@pytest.mark.parametrize("declared", [False, True])
def test_the_strong_models_opinions_are_seen_where_they_are_declared(declared: bool, tmp_path: Path) -> None:
    seen: list[bool] = []

    def looks(view: Experiment) -> Outcome:
        seen.append(view.opinions is not None)
        return Outcome({})

    completed(run_method("looks", Method(looks, asks=declared), experiment(tmp_path), truth_of_planted()), Untaught())
    assert seen == [declared]


def test_the_truth_of_train_and_validation_moves_oracles_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole run with the true labels of the students' rows turned: what is no oracle's gives the same numbers."""
    recipe = small_recipe('methods=["student-xent", "filter-knn", "relabel-topo", "control-oracle-filter"]')
    first = run(recipe, tmp_path / "a")

    def turned(*arguments: object) -> dict[int, RowSets]:
        return {
            seed: replace(
                sets,
                train=sets.train.assign(label=1 - sets.train["label"]),
                val=sets.val.assign(label=1 - sets.val["label"]),
            )
            for seed, sets in real(*arguments).items()  # type: ignore[arg-type]
        }

    real = splits.split_loaded
    monkeypatch.setattr("analyses.checked_recipe.split_loaded", turned)
    second = run(recipe, tmp_path / "b")
    for name in ("weak", "student-xent", "filter-knn", "relabel-topo"):
        plain = [
            table[(table["method"] == name) & table["metric"].isin(["auroc", "accuracy"])]["value"].to_numpy()
            for table in (first, second)
        ]
        assert np.array_equal(plain[0], plain[1]), name
    for name in ("ceiling", "control-oracle-filter"):
        values = [t.set_index(["method", "metric"])["value"][name, "auroc"] for t in (first, second)]
        assert values[0] != values[1]
    written = pd.read_csv(tmp_path / "a" / RESULTS)
    marked = written[written["oracle"] & (written["metric"] != "agreement_on_errors")]
    assert set(marked["method"]) == {"ceiling", "control-oracle-filter"}


def test_weak_train_is_the_supervisors_alone() -> None:
    (sets,) = split_task(small_recipe(), "miniature_price").values()
    assert "weak" not in sets.labelled
    own = set(sets.weak["id"]) | set(sets.weak["group"])
    for table in sets.labelled.values():
        assert not own & (set(table["id"]) | set(table["group"]))
