"""Probes in scikit-learn's tools with soft labels: measured as what they are, or refused in one sentence."""

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import accuracy_score, brier_score_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.conftest import planted
from w2s_probes import InputError, KNNProbe, LogisticProbe, TopoProbe, auroc, load_probe, save_probe
from w2s_probes.labels.label_set import LabelSet
from w2s_probes.probes import Probe, auroc_scorer
from w2s_probes.students import HeadStudent

DATA, FRESH = planted(n=240), planted(n=200, seed=1)
PROBES: list[Any] = [KNNProbe(15), LogisticProbe(), TopoProbe(15, 15), HeadStudent(epochs=20)]
every_probe = pytest.mark.parametrize("probe", PROBES, ids=lambda probe: type(probe).__name__)


def softened(hard: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    """As many soft labels on the same side of ½, no two alike."""
    return np.abs(hard - np.random.default_rng(seed).uniform(0.05, 0.45, len(hard)))


SOFT = softened(DATA.weak)


@every_probe
def test_a_score_by_soft_labels_is_minus_the_brier_score(probe: Probe) -> None:
    fitted, y = clone(probe).fit(DATA.X, SOFT), softened(FRESH.truth, 1)
    p = fitted.predict_proba(FRESH.X)[:, 1]
    assert fitted.score(FRESH.X, y) == pytest.approx(-np.mean((p - y) ** 2))
    assert fitted.score(FRESH.X, FRESH.truth) == pytest.approx(-brier_score_loss(FRESH.truth, p))
    assert fitted.score(FRESH.X, p) == 0  # the best there is
    weight = np.arange(1.0, len(p) + 1)
    assert fitted.score(FRESH.X, y, weight) == pytest.approx(-np.average((p - y) ** 2, weights=weight))
    assert auroc_scorer(fitted, FRESH.X, y) == pytest.approx(roc_auc_score(FRESH.truth, p))
    assert fitted.score(FRESH.X[:3], [0.2, 0.3, 0.4]) < 0  # rows to be scored may be of one class


@every_probe
@pytest.mark.parametrize("names", [(0, 1), ("no", "yes"), (3, 7)], ids=str)
def test_a_score_by_two_classes_is_the_accuracy(probe: Probe, names: tuple[Any, Any]) -> None:
    y, other = (np.where(side > 0.5, names[1], names[0]) for side in (DATA.weak, FRESH.truth))
    fitted = clone(probe).fit(DATA.X, y)
    assert fitted.score(FRESH.X, other) == accuracy_score(other, fitted.predict(FRESH.X))
    assert fitted.score(FRESH.X[:5], other[:5]) <= 1
    p = fitted.predict_proba(FRESH.X)[:, 1]
    assert auroc_scorer(fitted, FRESH.X, other) == pytest.approx(roc_auc_score(other == names[1], p))
    with pytest.raises(InputError, match=r"learned the classes|(must be|give) P\(label = 1\)"):
        fitted.score(FRESH.X, np.where(FRESH.truth > 0.5, "other", str(names[0])))


def test_probes_that_are_saved_or_taken_from_a_path_score_as_those_fitted(tmp_path: Any) -> None:
    for y in (SOFT, DATA.weak):
        path = LogisticProbe.path(DATA.X, y, l2=[0.01])
        fitted = LogisticProbe(0.01).fit(DATA.X, y)
        save_probe(fitted, tmp_path / "p.safetensors")
        for other in (path.best_probe(), load_probe(tmp_path / "p.safetensors")):
            assert other.score(FRESH.X, FRESH.truth) == pytest.approx(fitted.score(FRESH.X, FRESH.truth), abs=1e-6)
    assert fitted.score(FRESH.X, FRESH.truth) > 0.9  # hard labels: an accuracy


@every_probe
def test_every_fold_of_a_label_set_is_measured_alike(probe: Probe) -> None:
    """One soft label among hard ones: the fold that holds it, and the others, are all by the Brier score."""
    y = DATA.weak.copy()
    y[3] = 0.4
    assert (cross_val_score(probe, DATA.X, y, cv=KFold(4, shuffle=True, random_state=0)) <= 0).all()
    assert (cross_val_score(probe, DATA.X, DATA.weak) > 0.5).all()  # the control: hard labels, accuracies


@every_probe
def test_cross_validation_with_soft_labels_is_that_by_hand(probe: Probe) -> None:
    folds = KFold(3, shuffle=True, random_state=0)
    pipeline = make_pipeline(StandardScaler(), clone(probe))
    scores, ranks = (cross_val_score(pipeline, DATA.X, SOFT, cv=folds, scoring=by) for by in (None, auroc_scorer))
    classes = cross_val_predict(pipeline, DATA.X, SOFT, cv=folds)  # classes are not numbered first
    for at, (train, test) in enumerate(folds.split(DATA.X)):
        fitted = clone(pipeline).fit(DATA.X[train], SOFT[train])
        p = fitted.predict_proba(DATA.X[test])[:, 1]
        assert scores[at] == pytest.approx(-np.mean((p - SOFT[test]) ** 2))
        assert ranks[at] == auroc(SOFT[test], p)
        assert np.array_equal(classes[test], (p > 0.5).astype(int))


def test_a_grid_search_over_soft_labels_chooses_by_their_brier_score() -> None:
    grid = {"logisticprobe__l2": [1e-3, 1.0, 1e4]}
    pipeline = make_pipeline(StandardScaler(), LogisticProbe())
    search = GridSearchCV(pipeline, grid, cv=KFold(4, shuffle=True, random_state=0)).fit(DATA.X, SOFT)
    means = search.cv_results_["mean_test_score"]
    assert np.isfinite(means).all()
    assert (means < 0).all()
    assert search.best_params_ == {"logisticprobe__l2": grid["logisticprobe__l2"][int(np.argmax(means))]}
    assert search.best_params_["logisticprobe__l2"] < 1e4  # which says ½ of every row
    assert auroc(FRESH.truth, search.predict_proba(FRESH.X)[:, 1]) > 0.95
    labels = LabelSet(np.array([f"r{i}" for i in range(len(SOFT))], dtype=object), SOFT)
    same = GridSearchCV(pipeline, grid, cv=KFold(4, shuffle=True, random_state=0)).fit(DATA.X, labels)
    assert np.array_equal(same.cv_results_["mean_test_score"], means)


@every_probe
@pytest.mark.parametrize("values", [None, (0.0, 0.5, 1.0)], ids=["all different", "three values"])
def test_labels_that_scikit_learn_has_numbered_are_refused_in_one_sentence(probe: Probe, values: Any) -> None:
    y = SOFT if values is None else np.random.default_rng(0).permutation(np.resize(values, len(SOFT)))
    for estimator in (probe, make_pipeline(StandardScaler(), clone(probe))):
        with pytest.raises(InputError) as refused:
            cross_val_predict(estimator, DATA.X, y, cv=KFold(3), method="predict_proba")
        message = str(refused.value)
        assert "\n" not in message
        for word in ("soft", "cross_val_predict", "relabel(probe, X, y)", "LogisticProbe.path", "sweep"):
            assert word in message


def test_numbering_leaves_no_trace_of_two_soft_values_which_are_then_two_classes() -> None:
    """As the docstring says: nothing can tell 0 and 1 that stand for .3 and .8 from labels that are 0 and 1."""
    y = np.where(DATA.weak > 0.5, 0.8, 0.3)
    numbered = cross_val_predict(KNNProbe(15), DATA.X, y, cv=KFold(3), method="predict_proba")
    hard = cross_val_predict(KNNProbe(15), DATA.X, DATA.weak, cv=KFold(3), method="predict_proba")
    assert np.array_equal(numbered, hard)


def test_calibration_takes_classes_and_refuses_soft_labels() -> None:
    calibrated = CalibratedClassifierCV(KNNProbe(15), cv=3).fit(DATA.X, DATA.weak.astype(int))
    assert auroc(FRESH.truth, calibrated.predict_proba(FRESH.X)[:, 1]) > 0.95
    with pytest.raises(ValueError, match="continuous"):
        CalibratedClassifierCV(KNNProbe(15), cv=3).fit(DATA.X, SOFT)


def test_no_tool_warns_about_soft_labels() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cross_val_score(KNNProbe(5), DATA.X, SOFT, cv=3)
        GridSearchCV(KNNProbe(), {"k": [5, 15]}, scoring=auroc_scorer).fit(DATA.X, SOFT)
