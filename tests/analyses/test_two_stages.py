"""Students in two stages: who is taught what, and that no removed row's kin teaches the student that labels it."""

from pathlib import Path

import numpy as np

from analyses.methods import METHODS
from tests.conftest import planted
from tests.worlds.experiments import Untaught, experiment, outcome_by


def test_the_first_student_does_without_the_removed_rows_and_their_kin_and_the_second_has_all(tmp_path: Path) -> None:
    groups, teacher = np.repeat(np.arange(100), 3).astype(str), Untaught()
    made = experiment(tmp_path, groups=groups)
    outcome = outcome_by("two-stage-knn", made, teacher)
    gone = ~made.filtered("knn").mask
    first, second = teacher.lessons
    assert np.array_equal(first.taught, ~np.isin(groups, groups[gone]))
    assert second.taught.all()
    labels = second.fit.labels.p
    assert np.array_equal(labels[~gone], made.weak_train[~gone])
    assert not np.array_equal(labels[gone], made.weak_train[gone])
    assert outcome.notes["removed"] == gone.sum() == 30


def test_random_rows_of_the_control_match_the_filters(tmp_path: Path) -> None:
    teacher, made = Untaught(), experiment(tmp_path)
    outcome_by("control-random-two-stage-knn", made, teacher)
    gone, positive = ~made.filtered("knn").mask, made.weak_train > 0.5
    firsts = [~lesson.taught for lesson in teacher.lessons[:5]]
    assert len(teacher.lessons) == 10
    assert len({one.tobytes() for one in firsts}) == 5
    for one in firsts:
        assert ((one & positive).sum(), one.sum()) == ((gone & positive).sum(), gone.sum())


def test_removed_labels_that_are_wrong_are_mended(tmp_path: Path) -> None:
    data = planted(n=300, noise=0.2)
    outcome = outcome_by("two-stage-logistic", experiment(tmp_path))
    gone = ~experiment(tmp_path).filtered("logistic").mask
    wrong = ((data.weak > 0.5) != (data.truth > 0.5)) & gone
    assert outcome.notes["changed"] >= 0.9 * wrong.sum() > 0
    assert METHODS["two-stage-logistic"].students == 2
