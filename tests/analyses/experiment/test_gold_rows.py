"""Gold rows: drawn by seed and nested, read by methods that declare it alone, counted, and never rows of other sets."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from analyses.costs import plan_recipe
from analyses.experiment import Experiment, GoldUse, Lessons, Method
from analyses.experiment.gold_rows import gold_order
from analyses.experiment.kept_methods import method_description
from analyses.experiment.method import run_method
from analyses.experiment.splits import split_task
from analyses.lessons.lesson import Leak, Lesson, Misuse, Trained
from analyses.lessons.teaching import Taught, teach_heads
from analyses.methods import METHODS, find_method
from analyses.recipe.gold import Gold
from tests.conftest import planted
from tests.worlds.experiments import (
    Untaught,
    completed,
    experiment,
    gold_of_planted,
    outcome_by,
    small_recipe,
    trusted_of_planted,
    truth_of_planted,
)
from w2s_probes import InputError, auroc
from w2s_probes.store.manifest import identity_key
from w2s_probes.students import HeadLesson, HeadStudent, train_heads
from w2s_probes.students.head_start import HeadStart

TRUE = planted(n=300).truth


def test_rows_are_drawn_by_seed_in_whole_groups_and_fewer_are_the_first_of_more(tmp_path: Path) -> None:
    groups = np.repeat(np.arange(150), 2).astype(str)
    made = experiment(tmp_path, groups=groups)
    order = gold_order(made.rows["train"], 0, "task")
    assert sorted(order) == list(range(300))
    assert (groups[order][::2] == groups[order][1::2]).all()
    assert not np.array_equal(order, gold_order(made.rows["train"], 1, "task"))
    masks = [gold_of_planted(made).of(GoldUse(gold=n)).mask for n in (10, 40, 120)]
    assert [mask.sum() for mask in masks] == [10, 40, 120]
    assert (masks[0] <= masks[1]).all()
    assert (masks[1] <= masks[2]).all()
    weak = [gold_of_planted(made).of(GoldUse(gold=10, weak=m)).weak_mask for m in (50, 200)]
    assert (weak[0] <= weak[1]).all()
    assert not (weak[1] & masks[0]).any()  # taken from the other end


def test_only_a_declared_method_reads_gold_rows_and_they_are_counted(tmp_path: Path) -> None:
    def reading(made: Experiment) -> Lessons:
        made.gold_rows().truth()
        student = yield made.lesson(made.weak_train)
        return made.outcome(student)

    made = experiment(tmp_path)
    true = truth_of_planted(), trusted_of_planted(), gold_of_planted(made)
    with pytest.raises(Leak, match=r"reads true labels of gold rows: declare it with `gold=GoldUse"):
        completed(run_method("mine", Method(reading, oracle=True), made, *true), Untaught())
    outcome = completed(run_method("mine", Method(reading, gold=GoldUse(gold=25)), made, *true), Untaught())
    assert outcome.trusted == 25
    assert true[2].read == 0
    with pytest.raises(InputError, match=r"needs true labels of gold rows, and there are none"):
        completed(run_method("mine", Method(reading, gold=GoldUse()), made, *true[:2]), Untaught())


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.gold is not None])
def test_what_reads_gold_rows_fails_undeclared_and_its_control_reads_none(name: str, tmp_path: Path) -> None:
    made = experiment(tmp_path)
    true = truth_of_planted(), trusted_of_planted(), gold_of_planted(made)
    with pytest.raises(Leak, match="true labels of gold rows"):
        completed(run_method(name, replace(METHODS[name], gold=None), made, *true), Untaught())
    assert outcome_by(name, made, Untaught()).trusted == (0 if name == "control-weak-alone" else 60)
    if name.startswith("gold-"):
        turned = replace(true[2], _labels=type(true[2]._labels)(true[2]._labels.ids, 1 - true[2]._labels.p, "truth"))
        control = find_method(f"control-gold-weak:{name}")
        found = [
            completed(run_method("c", control, made, *true[:2], rows)).scores["test"] for rows in (true[2], turned)
        ]
        assert np.array_equal(found[0], found[1])  # the truth moves nothing
        assert outcome_by(f"control-gold-weak:{name}", made, Untaught()).trusted == 0


def test_uses_are_what_heads_of_ones_own_give(tmp_path: Path) -> None:
    """Each by hand: labels, masks, weights and starts, and the rows that stop."""
    made = experiment(tmp_path)
    X, X_val, X_test = (made.activations.of(made.rows[part]) for part in ("train", "val", "test"))
    weak, val = made.weak_train, made.weak.values(made.rows["val"]["id"].to_numpy(dtype=object))
    gold = gold_of_planted(made).of(GoldUse(gold=25)).mask
    mixed = np.where(gold, TRUE, weak)
    weight = np.where(gold, 0.5 / 25, 0.5 / 275)

    def head(labels: np.ndarray, **more: object) -> HeadStudent:
        (found,) = train_heads(X, [HeadLesson(labels, val_labels=val, epochs=40, **more)], X_val, seed=0)  # type: ignore[arg-type]
        assert isinstance(found, HeadStudent)
        return found

    first = head(weak)
    expected = {
        "gold-append:25": head(mixed),
        "gold-weight:25": head(mixed, weight=weight),
        "gold-after:25": head(mixed, rows=gold, start=HeadStart(first.coef_[0], float(first.intercept_[0]))),
        "control-gold-alone:25": head(mixed, rows=gold),
        "control-gold-weak:gold-append:25": first,
    }
    for name, student in expected.items():
        found = outcome_by(name, made).scores["test"]
        np.testing.assert_allclose(found, student.predict_proba(X_test)[:, 1], atol=1e-6, err_msg=name)
    for use, weak_rows in (("append", 275), ("weight", 275), ("after", 300)):
        read = [outcome_by(name, made).notes for name in (f"gold-{use}:25", f"control-gold-weak:gold-{use}:25")]
        assert [(one["gold_rows"], one["weak_rows"]) for one in read] == [(25, weak_rows), (0, 300)]
    stopped, _ = train_heads(
        X, [HeadLesson(weak, rows=~gold, val_labels=TRUE[gold], epochs=40), HeadLesson(weak)], X[gold], seed=0
    )
    assert isinstance(stopped, HeadStudent)
    chosen = outcome_by("gold-select-checkpoint:25", made)
    np.testing.assert_allclose(chosen.scores["test"], stopped.predict_proba(X_test)[:, 1], atol=1e-6)
    assert chosen.notes["chosen"] == stopped.n_epochs_


def test_heads_go_on_from_heads_that_other_rows_have_stopped(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    rows = gold_of_planted(made).of(GoldUse(gold=60))
    begun = [made.lesson(made.weak_train, stop=stop) for stop in (None, rows.examples())]
    later = [made.lesson(np.where(rows.mask, TRUE, made.weak_train), rows.mask, start=start) for start in begun]
    together = teach_heads(later)
    alone = [teach_heads([lesson])[0] for lesson in later]
    for found, expected in zip(together, alone, strict=True):
        assert isinstance(found, Trained)
        assert isinstance(expected, Trained)
        np.testing.assert_allclose(found["test"], expected["test"], atol=1e-6)
    assert not np.allclose(alone[0]["test"], alone[1]["test"], atol=1e-4)  # type: ignore[index]


def test_gold_rows_choose_the_value_that_ranks_them_best_out_of_sample(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    found = outcome_by("gold-select-knn:60", made)
    gold = gold_of_planted(made).of(GoldUse(gold=60)).mask
    scores = {}
    for k in (20, 5, 10, 50, 100):
        view = replace(made, probes=made.probes.model_copy(update={"knn_k": k}))
        scores[k] = auroc(TRUE[gold], view.out_of_sample_scores("knn")[gold])
    assert found.k == max(scores, key=lambda k: scores[k])
    assert found.notes["gold_auroc"] == pytest.approx(max(scores.values()))


class Scripted(Untaught):
    """Stands in for a teacher: students have an epoch, and scores of training rows, by the labels that stop them."""

    def __init__(self, by_gold: NDArray[np.float64], by_weak: NDArray[np.float64]) -> None:
        super().__init__()
        self.train = {"truth": by_gold, None: by_weak}

    def ask(self, lessons: Iterable[Lesson]) -> None:
        lessons = list(lessons)
        super().ask(lessons)
        for lesson in lessons:
            epoch = 3 if lesson.stop_role else 40
            scores = {"train": self.train[lesson.stop_role], "test": np.full(200, epoch / 100)}
            self._answers[lesson.key] = Taught(Trained(scores, epoch), 0.0)


def test_the_student_of_a_chosen_checkpoint_is_the_one_that_the_table_names(tmp_path: Path) -> None:
    made, noise = experiment(tmp_path), np.random.default_rng(0).normal(size=300)
    better, worse = TRUE + noise / 4, TRUE + noise
    for by_gold, by_weak, epoch in ((better, worse, 3), (worse, better, 40), (better, better, 3)):
        found = outcome_by("gold-select-checkpoint:60", made, Scripted(by_gold, by_weak))
        assert (found.notes["chosen"], found.notes["epoch"], found.scores["test"][0]) == (epoch, epoch, epoch / 100)
        assert (found.notes["second"], found.notes["candidates"]) == (43 - epoch, 2)
        assert found.notes["lead"] >= 0


def test_a_setting_of_gold_counts_in_the_keys_of_the_methods_that_read_it_and_of_no_other(tmp_path: Path) -> None:
    made, (sets,) = experiment(tmp_path), split_task(small_recipe(), "miniature_price").values()

    def keys(settings: Gold) -> dict[str, str]:
        gold = gold_of_planted(made, settings)
        names = [name for name, method in METHODS.items() if method.gold is not None]
        described = {name: method_description(name, find_method(name), made, sets, None, gold) for name in names}
        return {name: identity_key(one) for name, one in described.items()}

    before = keys(Gold(n=[60]))
    for name, value, reader in (
        ("share", 0.7, "gold-weight"),
        ("values", {"knn_k": [3.0]}, "gold-select-knn"),
        ("layers", [1, 2], "gold-select-layer"),
        ("costs", {"gold": 5.0}, None),
    ):
        after = keys(Gold.model_validate({"n": 60, name: value}))
        assert [method for method, key in before.items() if after[method] != key] == ([reader] if reader else [])
    assert all(key != before[name] for name, key in keys(Gold(n=[61])).items() if name != "control-weak-alone")
    with pytest.raises(Misuse, match=r"reads gold.share: declare it, `gold=GoldUse\(reads=frozenset\(\{'share'\}\)\)`"):
        gold_of_planted(made).of(GoldUse()).setting("share")


def test_plans_count_the_true_labels_and_the_students_of_gold_rows(tmp_path: Path) -> None:
    few = ["data.n_train=80", "data.n_val=40", "data.n_test=60", "weak={kind='text',n_truth=60}", "seeds=[0,1]"]
    few += ["probes.topo_k=5", "probes.knn_k=5"]
    layers = ["gold.use=append,select", "gold.select=layer", "gold.layers=[1,2,3]", "strong.layer=2"]
    curve = plan_recipe(
        small_recipe("methods=student-xent", "gold.n=[0,10,30]", "gold.costs={gold=2.5}", *layers, *few)
    )
    assert curve.gold is not None
    assert (curve.gold.most, curve.gold.labels, curve.gold.cost) == (30, 60, 150)
    assert "at most 30 true labels on each of tasks 1 x seeds 2, 60 in all, a cost of 150" in curve.gold.line
    assert list(curve.models) == ["strong", "strong, layer 1", "strong, layer 3"]  # 2 is the recipe's own
    assert curve.students == 2 * (1 + 2 + 2 + 2 * 3)  # plain, appended, alone; chosen among three layers, twice
    (sets, _) = split_task(small_recipe(*few), "miniature_price").values()
    file = tmp_path / "audited.jsonl"
    sets.train[["id", "label"]][:12].to_json(file, orient="records", lines=True)
    audited = plan_recipe(small_recipe("methods=gold-append", f"gold.file={file}", *few, "seeds=[0]"))
    assert audited.gold is not None
    assert audited.gold.labels == 12
    assert plan_recipe(small_recipe("methods=student-xent,control-weak-alone:20", *few)).gold is None
