"""Someone who adds a probe, a task and a loss of their own, and uses the program as a module."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.journeys.conftest import Study
from w2s_probes.labels.label_set import read_label_table

OWN = '''
"""A classifier of one's own."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class NearestMean(ClassifierMixin, BaseEstimator):
    """P(label = 1) by the distances to the two class means."""

    def fit(self, X, y, sample_weight=None):
        y = np.asarray(y) > 0.5
        self.classes_ = np.array([0, 1])
        self.means_ = np.stack([X[~y].mean(axis=0), X[y].mean(axis=0)])
        return self

    def predict_proba(self, X):
        far = np.linalg.norm(np.asarray(X)[:, None] - self.means_, axis=2)
        p = far[:, 0] / far.sum(axis=1)
        return np.column_stack([1 - p, p])

    def predict(self, X):
        return (self.predict_proba(X)[:, 1] > 0.5).astype(int)
'''


def typed(*words: object) -> str:
    """`python -m w2s_probes`, in a process of its own that finds what lies in the folder."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([".", str(ROOT)])}
    command = [sys.executable, "-m", "w2s_probes", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_program_is_a_module_and_says_its_version(here: Study) -> None:
    assert typed("-V") == typed("--version")
    assert typed("-V").startswith("w2s-probes ")
    assert "filter" in typed("--help")


def test_a_classifier_of_ones_own_filters_and_relabels(here: Study) -> None:
    Path("mine.py").write_text(OWN)
    common = ["acts", "weak.jsonl", "--layer", here.layer, "--by", "mine:NearestMean"]
    said = typed("filter", *common, "--out", "kept.jsonl")
    assert "by `truth`" in said
    assert set(read_label_table("kept.jsonl")["probe"]) == {"mine:NearestMean"}
    said = typed("relabel", *common, "--out", "new.jsonl")
    assert "relabelled by mine:NearestMean" in said
