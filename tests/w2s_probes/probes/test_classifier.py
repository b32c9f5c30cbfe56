"""Classifiers of scikit-learn as probes: by name in sweeps, filters and relabelings, taught by soft labels."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from tests.conftest import ROOT
from tests.worlds.sweeping import Swept, planted_store
from w2s_probes import InputError, LogisticProbe, auroc, relabel
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.probes import PROBES, ClassifierProbe, probe_name, save_probe
from w2s_probes.probes.class_specs import ClassSpec
from w2s_probes.rows.folds import fold_numbers
from w2s_probes.sweep import sweep

BAYES = "sklearn.naive_bayes:GaussianNB"
FOREST = "sklearn.ensemble:RandomForestClassifier(n_estimators=5)"


def two_classes(n: int, d: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n).astype(np.float64)
    X = rng.normal(size=(n, d)).astype(np.float32)
    X[:, 0] += 1.5 * y.astype(np.float32)
    return X, y


def soft(X: NDArray[np.float32], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(0.15 + 0.7 * y + np.random.default_rng(1).normal(0, 0.1, len(y)), 0.02, 0.98)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    return planted_store(tmp_path_factory.mktemp("sweep") / "acts", apart=(0.0, 2.0))


def test_soft_labels_are_weights_of_both_classes_so_that_scikit_learn_finds_what_our_logistic_finds() -> None:
    X, y = two_classes(200, 5, seed=0)
    p, l2 = soft(X, y), 0.01
    spec = f"sklearn.linear_model:LogisticRegression(C={1 / (2 * len(X) * l2)}, tol=1e-10, max_iter=1000)"
    theirs = ClassifierProbe(spec).fit(X, p).predict_proba(X)[:, 1]
    ours = LogisticProbe(l2).fit(X, p).predict_proba(X)[:, 1]
    np.testing.assert_allclose(theirs, ours, atol=1e-3)
    hard = LogisticProbe(l2).fit(X, (p > 0.5).astype(float)).predict_proba(X)[:, 1]
    assert np.abs(hard - ours).max() > 0.05  # the control: hard labels teach something else


def test_hard_labels_and_classifiers_without_weights_are_taught_as_scikit_learn_teaches_them() -> None:
    X, y = two_classes(120, 4, seed=1)
    expected = GaussianNB().fit(X, y.astype(int)).predict_proba(X)[:, 1]
    np.testing.assert_array_equal(ClassifierProbe(BAYES).fit(X, y).predict_proba(X)[:, 1], expected)
    near = KNeighborsClassifier(7).fit(X, (soft(X, y) > 0.5).astype(int)).predict_proba(X)[:, 1]
    probe = ClassifierProbe("sklearn.neighbors:KNeighborsClassifier(n_neighbors=7)").fit(X, soft(X, y))
    np.testing.assert_array_equal(probe.predict_proba(X)[:, 1], near)


def test_scores_of_training_rows_are_cross_fitted_with_groups_in_one_fold() -> None:
    X, y = two_classes(90, 4, seed=2)
    p, groups = soft(X, y), np.arange(90) // 3
    scores = relabel(ClassifierProbe(BAYES), X, p, groups=groups, seed=4)
    fold = fold_numbers(X, p, groups=groups, seed=4)
    for number in range(5):
        fitted = ClassifierProbe(BAYES).fit(X[fold != number], p[fold != number])
        np.testing.assert_array_equal(scores[fold == number], fitted.predict_proba(X[fold == number])[:, 1])
    np.testing.assert_array_equal(scores, relabel(GaussianNB(), X, p, groups=groups, seed=4))  # an instance, likewise


def test_noise_is_not_learned_by_heart() -> None:
    X = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    noise = np.random.default_rng(1).integers(0, 2, 300).astype(float)
    out = relabel(ClassifierProbe(FOREST), X, noise)
    assert 0.38 < auroc(noise, out) < 0.62
    assert auroc(noise, relabel(ClassifierProbe(FOREST), X, noise, in_sample=True)) > 0.9  # the control
    np.testing.assert_array_equal(out, relabel(ClassifierProbe(FOREST), X, noise))  # it draws from a seed


def test_a_sweep_measures_them_beside_ours_and_keeps_them_by_arguments_and_version(
    world: Swept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, Any] = {"layers": [1], "knn_k": [5], "parts": tmp_path}
    result = sweep(world.path, world.table, classifiers=[BAYES, "sklearn.naive_bayes:GaussianNB()"], **kept)
    assert result.probes == ["knn", BAYES, "sklearn.naive_bayes:GaussianNB()"]
    first, second = (result.grid(name, "weak_brier").to_numpy(dtype=float) for name in result.probes[1:])
    np.testing.assert_array_equal(first, second)
    assert first[0, 0] < 0.2
    assert len(list(tmp_path.glob("layer-*"))) == 1
    sweep(world.path, world.table, classifiers=[BAYES, "sklearn.naive_bayes:GaussianNB()"], **kept)
    assert len(list(tmp_path.glob("layer-*"))) == 1  # read, not made again
    monkeypatch.setattr("w2s_probes.probes.class_specs._package", lambda module: "scikit-learn 99")
    sweep(world.path, world.table, classifiers=[BAYES, "sklearn.naive_bayes:GaussianNB()"], **kept)
    assert len(list(tmp_path.glob("layer-*"))) == 2


def test_the_command_line_sweeps_filters_and_relabels_by_them_and_reports_it(world: Swept, tmp_path: Path) -> None:
    write_table(world.table, tmp_path / "weak.jsonl")
    acts, labels = str(world.path), str(tmp_path / "weak.jsonl")
    spec = "sklearn.linear_model:LogisticRegression(C=0.5)"

    def w2s(*words: str) -> str:
        command = [sys.executable, "-m", "w2s_probes", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    said = w2s("sweep", acts, labels, "--classifier", spec, "--layers", "1", "--out", str(tmp_path / "sweep.csv"))
    assert spec in said
    best = ("--layer", "best", "--by", "best", "--from", str(tmp_path / "sweep.json"))
    w2s("filter", acts, labels, *best, "--out", str(tmp_path / "kept.jsonl"))
    table = read_table(tmp_path / "kept.jsonl")
    assert set(table["probe"].dropna()) == {spec}
    X = world.layers[1][world.rows(table["id"].to_numpy())]
    expected = relabel(LogisticRegression(C=0.5), X, table["label"].to_numpy(dtype=float))
    np.testing.assert_allclose(table["p"].to_numpy(dtype=float), expected, atol=1e-9)
    w2s("report", str(tmp_path))
    assert "LogisticRegression(C=0.5)" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_classifier_has_a_name_a_code_and_no_file(tmp_path: Path) -> None:
    X, y = two_classes(60, 3, seed=3)
    probe = ClassifierProbe(BAYES).fit(X, y)
    assert probe_name(probe) == BAYES
    assert PROBES[BAYES].title == "GaussianNB"
    assert BAYES in PROBES
    assert BAYES not in list(PROBES)
    assert PROBES[BAYES].code != PROBES[f"{BAYES}(var_smoothing=0.1)"].code
    with pytest.raises(InputError, match=f"{BAYES} cannot be saved without pickle: fit it again"):
        save_probe(probe, tmp_path / "probe")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("sklearn.naive_bayes:Gauss", "cannot be made"),
        ("no_such_package:Probe", "cannot be made (No module named 'no_such_package')"),
        ("sklearn.naive_bayes:GaussianNB(prior=1)", "cannot be made"),
        ("sklearn.svm:LinearSVC", "has no predict_proba"),
        ("sklearn.naive_bayes:", "is not module:Class"),
        ("sklearn naive:GaussianNB", "is not module:Class"),
        ("sklearn.svm:SVC(1)", "arguments are name=value"),
        ("sklearn.svm:SVC(C=open('x'))", "arguments are name=value"),
        ("sklearn.svm:SVC(C=1", "arguments are name=value"),
    ],
)
def test_what_is_no_classifier_is_refused_in_one_line(spec: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        ClassSpec.parse(spec, "--by").make("--by")
    assert str(refused.value).startswith(f"--by {spec}: ")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
