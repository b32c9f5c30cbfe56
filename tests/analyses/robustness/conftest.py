"""A small robust run on the miniature, made once."""

from pathlib import Path
from typing import Any

import pytest

from analyses.recipe.read import read_recipe
from analyses.recipe.schema import Recipe
from analyses.robustness.robust_result import RobustResult
from analyses.robustness.robust_run import run_robust

SMALL = ["seeds=[0,1]", 'data.tasks=["miniature_price"]', "methods=student-xent,filter-knn,relabel-knn"]
SMALL += ["weak={kind='text', n_truth=400}", "student.epochs=30", "n_boot=100", "probes.knn_k=15", "data.n_train=20"]
SMALL += ["data.n_val=10", "data.n_test=300", "robustness.rounds=100", "robustness.rates=[0.3]"]
SMALL += ["robustness.families=own,random,strong-confidently-correct"]


def robust_recipe(*settings: str) -> Recipe:
    return read_recipe("robust", [*SMALL, *settings])


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RobustResult]:
    out = tmp_path_factory.mktemp("robust")
    return out, run_robust(robust_recipe(), out)


def tables(folder: Path) -> dict[str, Any]:
    return {file.name: file.read_bytes() for file in folder.glob("*.csv")}
