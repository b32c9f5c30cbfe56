"""The deception recipe on the miniature: methods and marks, what its audit reads, and a conflict without weight."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.protocol import run
from analyses.recipe.read import RECIPES, read_recipe
from analyses.report import write_report
from analyses.results.names import predictions_file
from w2s_probes.audit import audit_files
from w2s_probes.io.json_files import read_json

TASK = "miniature_price"
SMALL = ["seeds=[0]", f'data.tasks=["{TASK}"]', "data.n_train=300", "data.n_val=100", "data.n_test=300"]
SMALL += ["weak.n_truth=150", "n_boot=50", "student.epochs=30"]
EXPLICIT, IMPLICIT = "student-conflict-explicit", "student-conflict-implicit"


def result(folder: Path, *settings: str) -> pd.DataFrame:
    return run(read_recipe(RECIPES / "deception.toml", [*SMALL, *settings]), folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("deception")
    result(place)
    return place


def test_conflicts_are_marked_as_oracles_and_churn_is_not(folder: Path) -> None:
    results = pd.read_csv(folder / "results.csv")
    marked = results[results["metric"] == "auroc"].set_index("method")["oracle"]
    assert marked.loc[[EXPLICIT, IMPLICIT, "control-truth-conflict-explicit", "control-truth-conflict-implicit"]].all()
    assert not marked.loc[["student-xent", "control-churn"]].any()
    (made,) = read_json(folder / "run.json")["runs"].values()
    assert made["splits"]["conflict"]["rows"] == 300
    assert made["methods"][IMPLICIT]["conflict_rows"] == 300
    assert made["methods"][EXPLICIT]["conflict_alpha"] == 0.5


def test_another_task_costs_more_rows_than_another_seed(folder: Path) -> None:
    found = audit_files(folder / predictions_file(TASK, 0), student="student-xent", conflicted=[EXPLICIT, IMPLICIT])
    for audit in found.audits.values():
        assert audit.churn is not None
        assert audit.right == audit.churn.right > 200
    implicit = found.audits[IMPLICIT]
    assert implicit.churn is not None
    assert implicit.tax > 10 * implicit.churn.tax
    assert found.rows == 300


def test_the_report_shows_its_audit(folder: Path) -> None:
    html = write_report(folder).read_text()
    assert "What conflicting objectives cost" in html
    assert "control-churn" in html.partition("What conflicting objectives cost")[2]


def test_a_conflict_without_weight_scores_as_the_plain_student_does(folder: Path, tmp_path: Path) -> None:
    methods = f'methods=["student-xent", "{EXPLICIT}", "{IMPLICIT}"]'
    result(tmp_path, methods, "conflict.alpha=0", "conflict.share=0")
    scores, before = (pd.read_csv(place / predictions_file(TASK, 0)) for place in (tmp_path, folder))
    assert np.array_equal(scores[EXPLICIT], scores["student-xent"])
    assert np.array_equal(scores[IMPLICIT], scores["student-xent"])
    assert scores["student-xent"].to_numpy() == pytest.approx(before["student-xent"].to_numpy(), abs=1e-6)
    assert not np.allclose(before[EXPLICIT], before["student-xent"], atol=1e-3)
