"""`w2s robust` follows a recipe's calibration: of each attack's students, to that attack's validation labels."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from analyses.experiment.outcomes import Outcome
from analyses.robustness.robust_result import RobustResult
from analyses.robustness.robust_run import run_robust
from tests.analyses.robustness.conftest import robust_recipe
from tests.worlds.experiments import taught
from w2s_probes.calibration import calibrate


def test_students_under_attack_are_calibrated_to_its_labels(made: tuple[Path, RobustResult], tmp_path: Path) -> None:
    plain, folder = made[1], made[0]
    recipe = robust_recipe('student.calibrate="platt"', "seeds=[0]", "methods=student-xent,filter-knn")
    (run,) = run_robust(recipe, tmp_path, cache=folder).runs
    before = plain.runs[0]
    for attack, view in run.trial.views(run.labels):
        (same,) = (one for one in before.labels if one == attack)
        assert all(np.array_equal(before.labels[same][part], run.labels[attack][part]) for part in ("train", "val"))
        outcome = before.outcomes[same, "student-xent"]
        assert isinstance(outcome, Outcome)
        trained = taught(replace(view, calibrate="platt").lesson(view.weak_train, loss="xent"))
        curve = calibrate(trained["val"], run.labels[attack]["val"])
        assert np.array_equal(run.scores(attack, "student-xent", "test"), curve(outcome.scores["test"]))
