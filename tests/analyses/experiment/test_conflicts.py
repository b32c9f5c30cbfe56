"""Students taught a conflict: what they are equal to without it, what they may not read, and which rows are refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.experiment import Experiment, Lesson, Lessons, Method
from analyses.experiment.kept_methods import method_description
from analyses.experiment.method import run_method
from analyses.experiment.row_sets import RowSets
from analyses.experiment.splits import split_task
from analyses.lessons.lesson import Examples, Leak, LessonConflict, Misuse
from analyses.methods import METHODS
from analyses.recipe.conflict import Conflict
from tests.conftest import planted
from tests.worlds.experiments import (
    Untaught,
    completed,
    experiment,
    outcome_by,
    small_recipe,
    taught,
    truth_of_planted,
)
from w2s_probes import InputError
from w2s_probes.io.tables import read_table, write_table

KINDS = ("explicit", "implicit")
OTHER = 'conflict={task="miniature_mood"}'


def lessons_of(name: str, made: Experiment) -> list[Lesson]:
    teacher = Untaught()
    outcome_by(name, made, teacher)
    return teacher.lessons


@pytest.mark.parametrize("kind", KINDS)
def test_a_conflict_without_weight_is_the_plain_student(kind: str, tmp_path: Path) -> None:
    made = experiment(tmp_path, conflict=Conflict(alpha=0.0))
    if kind == "implicit":
        made = replace(made, rows={name: rows for name, rows in made.rows.items() if name != "conflict"})
    (plain,), (conflicted,) = lessons_of("student-xent", made), lessons_of(f"student-conflict-{kind}", made)
    assert conflicted.key == plain.key
    (churned,) = lessons_of("control-churn", made)
    assert churned.key != plain.key
    assert replace(churned, seed=plain.seed).key == plain.key


def test_the_weight_and_the_truth_of_a_conflict_make_another_lesson(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    (half,) = lessons_of("student-conflict-explicit", made)
    (one,) = lessons_of("student-conflict-explicit", replace(made, conflict=Conflict(alpha=1.0)))
    assert half.conflict is not None
    truth = half.conflict.truth
    turned = replace(half, conflict=LessonConflict(type(truth)(truth.ids, 1 - truth.p, "truth"), 0.5))
    assert len({half.key, one.key, turned.key}) == 3


def test_a_conflicts_student_is_less_sure_of_the_truth_and_churn_hardly_differs(tmp_path: Path) -> None:
    """The other task's labels are turned here, so that mixing it in teaches half of the rows the wrong class."""
    made = experiment(tmp_path)
    truth = truth_of_planted()
    p = truth.p.copy()
    own = made.rows["conflict"]["id"].str.removeprefix("conflict-").astype(int)
    p[-60:] = 1 - planted(n=60, seed=3).truth[own]
    against = replace(made, truth=type(truth)(truth.ids, p, "truth"))
    test = planted(n=200, seed=2).truth > 0.5

    def of_truth(lesson: Lesson) -> float:
        p = taught(lesson)["test"]
        return float(np.where(test, p, 1 - p).mean())

    plain = of_truth(made.lesson(made.weak_train))
    assert of_truth(against.lesson(against.weak_train, beside=against.true_conflict())) < plain - 0.05
    assert of_truth(made.lesson(made.weak_train, seed=7)) == pytest.approx(plain, abs=0.01)


def test_the_rows_of_another_task_are_all_taught_beside_a_mask_and_weights(tmp_path: Path) -> None:
    made = replace(experiment(tmp_path), truth=truth_of_planted())
    mask = np.arange(300) < 200
    lesson = made.lesson(made.weak_train, mask, weight=np.full(300, 2.0), beside=made.true_conflict())
    assert len(lesson.fit.rows) == 360
    assert lesson.taught.sum() == 260
    assert lesson.weight is not None
    assert lesson.weight[[0, -1]].tolist() == [2.0, 1.0]
    assert lesson.fit.p[-60:].tolist() == truth_of_planted().p[-60:].tolist()
    assert set(lesson.predict) == {"train", "test"}  # nobody scores a conflict's rows


@pytest.mark.parametrize("name", ["student-conflict-explicit", "student-conflict-implicit"])
def test_a_conflict_is_an_oracles_and_a_planted_leak_is_refused(name: str, tmp_path: Path) -> None:
    def leaky(made: Experiment) -> Lessons:
        student = yield made.lesson(made.weak_train, against=0.5)
        return made.outcome(student)

    def leaky_rows(made: Experiment) -> Lessons:
        student = yield made.lesson(made.weak_train, beside=made.true_conflict())
        return made.outcome(student)

    assert METHODS[name].oracle
    undeclared = leaky if name.endswith("explicit") else leaky_rows
    for method in (Method(undeclared), replace(METHODS[name], oracle=False)):
        with pytest.raises(Leak, match="this method reads ground truth: declare it with `oracle=True`"):
            completed(run_method("leaky", method, experiment(tmp_path), truth_of_planted()), Untaught())


def test_a_conflict_with_what_is_no_truth_is_refused(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    weak = Examples(made.rows["train"], made.weak)
    with pytest.raises(Misuse, match="a conflict is with the truth, and not with labels of role 'weak'"):
        Lesson(made.student, weak, weak, {}, "xent", 0, conflict=LessonConflict(made.weak, 0.5))


def test_results_are_kept_under_the_recipes_conflict(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    tables = {name: rows.assign(label=0) for name, rows in made.rows.items()}
    sets = RowSets(tables["train"][:0], tables["train"], tables["val"], tables["test"], conflict=tables["conflict"])

    def described(conflict: Conflict) -> dict[str, Any]:
        name = "student-conflict-explicit"
        return method_description(name, METHODS[name], replace(made, conflict=conflict), sets)

    assert described(Conflict()) != described(Conflict(alpha=0.2))
    assert "conflict" not in described(Conflict())


def test_as_many_rows_of_the_other_task_are_drawn_for_each_seed_from_its_training_part() -> None:
    recipe = small_recipe(OTHER, "seeds=[0,1]", "conflict.share=0.5")
    splits = split_task(recipe, "miniature_price")
    drawn = [sets.conflict for sets in splits.values()]
    assert all(rows is not None and len(rows) == 150 for rows in drawn)
    first, second = (set(rows["id"]) for rows in drawn if rows is not None)
    assert first != second
    source = read_table(recipe.data.folder / "miniature_mood" / "train.jsonl.gz")  # type: ignore[operator]
    texts = dict(zip(source["text"], source["label"], strict=True))
    assert drawn[0] is not None
    assert [texts[text] for text in drawn[0]["text"]] == drawn[0]["label"].tolist()
    plain = split_task(small_recipe("seeds=[0,1]"), "miniature_price")
    for seed, sets in splits.items():
        assert "conflict" not in sets.labelled
        pd.testing.assert_frame_equal(sets.train, plain[seed].train)
        assert plain[seed].conflict is None
    assert splits[0].summary()["conflict"]["rows"] == 150
    assert split_task(small_recipe(OTHER, "conflict.share=0"), "miniature_price")[0].conflict is None


def test_rows_that_cannot_be_mixed_in_are_refused(tmp_path: Path) -> None:
    folder = small_recipe().data.folder
    assert folder is not None
    for name in ("miniature_price", "miniature_mood"):
        for part in ("train", "test"):
            table = read_table(folder / name / f"{part}.jsonl.gz")
            (tmp_path / name).mkdir(exist_ok=True)
            if (name, part) == ("miniature_mood", "train"):
                judged = read_table(folder / "miniature_price" / "test.jsonl.gz")
                table = pd.concat([table, judged], ignore_index=True)
            write_table(table, tmp_path / name / f"{part}.jsonl.gz")
    leaking = small_recipe(OTHER, f"data.folder={tmp_path}")
    with pytest.raises(
        InputError, match=r"300 training rows of miniature_mood have the id of a test row of miniature_p"
    ):
        split_task(leaking, "miniature_price")
    with pytest.raises(InputError, match=r"conflict.task: 'miniature_price' is the task itself"):
        split_task(small_recipe('conflict={task="miniature_price"}'), "miniature_price")
    with pytest.raises(
        InputError, match=r"conflict.share = 9 asks for 2700 rows of miniature_mood, whose train part has"
    ):
        split_task(small_recipe(OTHER, "conflict.share=9"), "miniature_price")
    with pytest.raises(InputError, match=r"conflict.share = 0.001 of 300 training rows is no row of miniature_mood"):
        split_task(small_recipe(OTHER, "conflict.share=0.001"), "miniature_price")
    most = split_task(small_recipe(OTHER, "conflict.share=9", "data.at_most=true"), "miniature_price")[0].conflict
    assert most is not None
    assert 2000 < len(most) < 2700
    with pytest.raises(InputError, match=r"task 'miniature_moo': no file .*; did you mean 'miniature_mood'"):
        split_task(small_recipe('conflict={task="miniature_moo"}'), "miniature_price")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (['methods=["student-conflict-implicit"]'], "method 'student-conflict-implicit' needs conflict.task"),
        (['methods=["control-truth-conflict-implicit"]'], "needs conflict.task"),
        (['conflict={kind="implicit"}'], "kind = 'implicit' needs `task`"),
        (['conflict={kind="explicit",task="miniature_mood"}'], "kind = 'explicit' takes no `task`"),
        (
            ['methods=["student-conflict-explicit"]', 'conflict={kind="implicit",task="miniature_mood"}'],
            "conflict.kind = 'implicit', but method 'student-conflict-explicit' is not of it",
        ),
        (["conflict.alpha=-1"], "conflict.alpha"),
        (["conflict.share=-1"], "conflict.share"),
        (['conflict={kind="explcit"}'], "conflict.kind"),
        (["conflict.colour=x"], r"unknown key 'conflict\.colour'"),
    ],
)
def test_a_recipe_says_what_its_conflict_lacks(settings: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        small_recipe(*settings)
