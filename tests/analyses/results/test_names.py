"""Names of a run's folder: one place builds and parses them, and needs no package for it."""

import subprocess
import sys

import pytest

from analyses.methods import METHODS
from analyses.results.names import (
    COMPARISON_COLUMNS,
    RESULT_COLUMNS,
    ceiling_of,
    parse_trial_key,
    trial_files,
    trial_key,
)
from tests.conftest import ROOT


@pytest.mark.parametrize("task", ["boolq", "a, seed 3", "two\nlines", "ß"])
def test_a_trials_key_gives_back_its_task_and_seed(task: str) -> None:
    assert parse_trial_key(trial_key(task, 12)) == (task, 12)


@pytest.mark.parametrize("key", ["", "boolq", "boolq, seed ", "boolq, seed x", "boolq, seed -1", ", seed 1"])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="'TASK, seed SEED' was expected"):
        parse_trial_key(key)


def test_a_trials_files_are_named_by_task_seed_and_method() -> None:
    assert trial_files({("boolq", 1): ["filter-knn"]}) == {
        "labels/boolq-1-weak.jsonl",
        "labels/boolq-1-test.jsonl",
        "predictions/boolq-1.csv",
        "filters/boolq-1-filter-knn.jsonl.gz",
        "debates/boolq-1.jsonl.gz",
    }


def test_no_column_is_named_twice() -> None:
    for columns in (RESULT_COLUMNS, COMPARISON_COLUMNS):
        assert len(set(columns)) == len(columns)


def test_the_names_are_there_without_any_package() -> None:
    code = (
        "import sys, analyses.results.names; "
        "print(sorted({'torch', 'pandas', 'numpy', 'w2s_probes', 'extract'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_tables_show_the_ceiling_by_which_the_gap_of_a_method_is_measured() -> None:
    assert {name: ceiling_of(name) for name in METHODS} == {name: method.ceiling for name, method in METHODS.items()}
