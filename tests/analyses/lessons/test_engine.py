"""The engine: methods ask for lessons, what they ask for is taught together, and each receives its own results."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyses.experiment import Experiment, Lesson, Lessons, Method, Misuse, Outcome, Trained
from analyses.experiment.method import run_method
from analyses.lessons import teaching
from analyses.lessons.clock import Clock
from analyses.lessons.engine import Answers, Here, Steps, conduct, drive, side_by_side, together
from analyses.lessons.teaching import Taught
from analyses.methods import METHODS, find_method
from analyses.protocol import run
from tests.worlds.experiments import Untaught, completed, experiment, small_recipe, taught, truth_of_planted
from w2s_probes.errors import InputError
from w2s_probes.losses import LOSSES


@pytest.fixture
def batches_taught(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The steps whose heads were trained together, batch by batch."""
    seen: list[list[str]] = []
    real = teaching.teach_heads

    def watched(lessons: Any) -> Any:
        seen.append([lesson.step.rpartition(": ")[2] for lesson in lessons])
        return real(lessons)

    monkeypatch.setattr(teaching, "teach_heads", watched)
    return seen


def test_the_heads_of_a_trial_are_trained_together_round_by_round(
    tmp_path: Path, batches_taught: list[list[str]]
) -> None:
    methods = ["student-logconf", "s2s-2", "filter-knn", "control-random:filter-knn", "relabel-knn", "probe-knn"]
    run(small_recipe(f"methods={methods}", "student.epochs=4"), tmp_path)
    supervisor, first, *rounds = batches_taught
    assert supervisor == ["weak supervisor"]
    controls = ["control-random:filter-knn"] * 5
    assert first == ["ceiling", "student-logconf", "s2s-2", "filter-knn", *controls, "relabel-knn"]
    assert rounds == [["s2s-2"], ["s2s-2"]]


def steps_of(made: Experiment, names: Iterable[str]) -> dict[str, Steps[Outcome]]:
    return {name: run_method(name, find_method(name), made, truth_of_planted()) for name in names}


def test_trials_under_way_at_once_give_what_they_give_one_after_the_other(tmp_path: Path) -> None:
    made = [experiment(tmp_path / str(seed), seed=seed) for seed in range(3)]

    def rounds(clock: Clock) -> list[Any]:
        return [together(steps_of(one, names), clock) for one in made]

    names, clock = ("s2s-1", "filter-knn"), Clock()
    apart = conduct(rounds(clock), Here(clock))
    for one in made:
        for path in (tmp_path / str(one.seed) / "trained").iterdir():
            path.unlink()
    at_once = conduct(rounds(clock), Here(clock), at_once=2)
    for one, other in zip(apart, at_once, strict=True):
        assert all(np.array_equal(one[name].scores["test"], other[name].scores["test"]) for name in names)


class InParts(Untaught):
    """Gives the answers one at a time, the last asked for first."""

    def answers(self) -> Answers:
        key, answer = self._answers.popitem()
        return {key: answer}


def test_a_step_goes_on_as_soon_as_its_own_lessons_are_taught(tmp_path: Path) -> None:
    made, ended = experiment(tmp_path), []

    def step(name: str, count: int) -> Steps[int]:
        results = yield [made.lesson(made.weak_train, seed=seed) for seed in range(count)]
        ended.append(name)
        return len(results)

    results = drive(together({"three": step("three", 3), "one": step("one", 1)}, Clock()), InParts())
    assert results == {"three": 3, "one": 1}
    assert ended == ["three", "one"]  # the lesson of both came last, and the others were not waited for twice


def method(generator: Any) -> Method:
    return Method(generator, activations=False)


def yields_nothing(made: Experiment) -> Lessons:
    yield []
    return made.outcome(Trained({}))


def yields_no_lesson(made: Experiment) -> Any:
    yield made.weak_train
    return made.outcome(Trained({}))


def returns_nothing(made: Experiment) -> Any:
    yield made.lesson(made.weak_train)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (yields_nothing, "method 'mine' yields an empty list: it yields `experiment.lesson"),
        (yields_no_lesson, "method 'mine' yields a ndarray: it yields `experiment.lesson"),
        (returns_nothing, "method 'mine' returns nothing: it returns an Outcome"),
        (lambda _: None, "method 'mine' returns nothing: it returns an Outcome"),
        (lambda made: made.lesson(made.weak_train), "method 'mine' returns a Lesson: it returns an Outcome"),
    ],
)
def test_a_method_that_yields_or_returns_something_else_ends_the_run(
    wrong: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Misuse, match=message):
        completed(run_method("mine", method(wrong), experiment(tmp_path), truth_of_planted()), Untaught())
    monkeypatch.setitem(METHODS, "mine", method(wrong))
    with pytest.raises(Misuse, match=message):
        run(small_recipe('methods=["mine", "student-xent"]', "student.epochs=2"), tmp_path / "run")
    assert not (tmp_path / "run" / "results.csv").exists()


class Refusing(Untaught):
    """Cannot teach the lessons of one loss."""

    def ask(self, lessons: Iterable[Lesson]) -> None:
        for lesson in lessons:
            super().ask([lesson])
            if lesson.loss == "window":
                self._answers[lesson.key] = Taught(InputError("the head diverged"), 1.0)


def test_a_lesson_that_cannot_be_taught_is_its_own_methods_affair(tmp_path: Path) -> None:
    made = experiment(tmp_path)

    def careful(view: Experiment) -> Lessons:
        try:
            student = yield view.lesson(view.weak_train, loss="window")
        except InputError:
            student = yield view.lesson(view.weak_train, loss="kl")
        return view.outcome(student)

    steps = steps_of(made, ("student-window", "s2s-1"))
    steps["careful"] = run_method("careful", method(careful), made, truth_of_planted())
    results = drive(together(steps, Clock()), Refusing())
    assert isinstance(results["careful"], Outcome)
    assert isinstance(results["s2s-1"], Outcome)
    assert str(results["student-window"]) == "the head diverged"


def test_steps_side_by_side_ask_at_once_and_receive_their_own(tmp_path: Path) -> None:
    made, teacher = experiment(tmp_path), Untaught()

    def member(rounds: int) -> Steps[int]:
        for number in range(rounds):
            (one,) = yield [made.lesson(made.weak_train, seed=10 * rounds + number)]
            assert isinstance(one, Trained)
        return rounds

    assert completed(side_by_side([member(2), member(0), member(1)]), teacher) == [2, 0, 1]
    assert [lesson.seed for lesson in teacher.lessons] == [20, 10, 21]


def test_equal_lessons_are_taught_once_whoever_asks_and_when(tmp_path: Path, batches_taught: list[list[str]]) -> None:
    made = experiment(tmp_path)

    def late(view: Experiment) -> Lessons:
        yield view.lesson(view.weak_train, loss="kl")
        student = yield view.lesson(view.weak_train, np.ones(300, dtype=bool))  # a mask that leaves nothing out
        return view.outcome(student)

    steps = {"late": run_method("late", method(late), made, truth_of_planted()), **steps_of(made, ["s2s-1"])}
    drive(together(steps, Clock()), Here(Clock()))
    assert sum(map(len, batches_taught)) == 3


def test_rows_outside_the_mask_teach_nothing_and_weights_count(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    mask = np.arange(300) % 3 > 0
    other = np.where(mask, made.weak_train, 1 - made.weak_train)
    first = made.lesson(made.weak_train, mask)
    assert first.key == made.lesson(other, mask).key
    assert first.key != made.lesson(made.weak_train).key
    np.testing.assert_array_equal(taught(first)["test"], taught(made.lesson(other, mask))["test"])
    even = made.lesson(made.weak_train, weight=np.full(300, 2.0))
    np.testing.assert_allclose(taught(even)["test"], taught(made.lesson(made.weak_train))["test"], atol=1e-6)
    uneven = made.lesson(made.weak_train, weight=np.linspace(0, 1, 300))
    assert np.abs(taught(uneven)["test"] - taught(even)["test"]).max() > 1e-3
    with pytest.raises(InputError, match=r"a lesson's mask has the shape \(299,\): one value for each of the 300"):
        replace(first, mask=np.ones(299, dtype=bool))
    with pytest.raises(InputError, match=r"a lesson's weight has the shape \(300, 2\): one value for each of the 300"):
        replace(first, weight=np.ones((300, 2)))


def test_progress_says_which_heads_are_trained_together(tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []
    run(
        small_recipe('methods=["student-xent", "relabel-knn"]', "student.epochs=2"),
        tmp_path,
        lambda *at: said.append(at),
    )
    assert "miniature_price, seed 0: ceiling and 2 more heads together" in [doing for doing, _, _ in said]
    counts = [done for _, done, _ in said]
    assert counts == sorted(counts)
    assert said[-1] == ("done", 4, 4)


def test_a_loss_without_a_leading_axis_is_taught_alone(
    tmp_path: Path, batches_taught: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`xent` under another name, written for one head: its student is that of `xent`."""

    def of_one(logits: Any, soft: Any, *, weight: Any = None) -> Any:
        log_p = logits.log_softmax(dim=1)
        rows = -(soft * log_p[:, 1] + (1 - soft) * log_p[:, 0])
        return rows.mean() if weight is None else (rows * weight).mean()

    monkeypatch.setitem(LOSSES, "window", of_one)
    made = experiment(tmp_path)
    results = drive(together(steps_of(made, ["student-window", "student-xent", "relabel-knn"]), Clock()), Here(Clock()))
    assert batches_taught == [["student-window"], ["student-xent", "relabel-knn"]]
    ours, theirs = (results[f"student-{loss}"] for loss in ("window", "xent"))
    assert isinstance(ours, Outcome)
    assert isinstance(theirs, Outcome)
    np.testing.assert_allclose(ours.scores["test"], theirs.scores["test"], atol=1e-5)
