"""Probes: the published numbers where those are asked for, independent oracles elsewhere, no leakage by default."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from tests.conftest import GOLDEN, planted
from w2s_probes import InputError, KNNProbe, LogisticProbe, TopoProbe, auroc, topo_cc
from w2s_probes.probes import PROBES, MeanDifferenceProbe, Probe, WhitenedMeanDifferenceProbe
from w2s_probes.probes.topo import components
from w2s_probes.students import HeadStudent

CASES = ("overshoot", "small_hard", "soft", "two_clusters", "wide")


@pytest.fixture(params=CASES)
def golden(request: pytest.FixtureRequest) -> Any:
    """Inputs and outputs of the published reference implementation."""
    return np.load(GOLDEN / f"{request.param}.npz")


def test_knn_equals_the_reference_on_new_rows_and_in_sample(golden: Any) -> None:
    probe = KNNProbe(int(golden["k_zeta"])).fit(golden["X"], golden["soft"])
    assert probe.predict_proba(golden["topolabel_query"])[:, 1] == pytest.approx(golden["knn_pred_query"], abs=1e-6)
    assert probe.predict_proba(golden["X"])[:, 1] == pytest.approx(golden["knn_pred_including_self"], abs=1e-6)


def test_topo_equals_the_reference(golden: Any) -> None:
    k_cc, k_zeta = int(golden["k_cc"]), int(golden["k_zeta"])
    assert np.array_equal(topo_cc(golden["X"], golden["soft"], k_cc), golden["topocc"])
    probe = TopoProbe(k_cc, k_zeta).fit(golden["X"], golden["soft"])
    assert probe.predict_proba(golden["topolabel_query"])[:, 1] == pytest.approx(golden["topolabel"], abs=1e-6)


EXAMPLE_A = np.array([(5, 6), (7, 10), (0, 5), (8, 5), (11, 11), (9, 5), (24, 0), (21, 3), (16, 8), (23, 10)], float)
LABELS_A = np.array([1, 0, 1, 1, 1, 1, 0, 0, 0, 0], float)
EXAMPLE_B = np.array([[0, 1, 1.9, 3.1, 4, 7.5, 8.6, 20, 21, 21.9, 23.1, 22.3]]).T
LABELS_B = np.array([1] * 7 + [0] * 4 + [1], float)


def test_an_unknown_connectivity_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'strong'"):
        components(np.array([[1], [0]]), np.array([True, False]), "strang")  # type: ignore[arg-type]


NOISE = planted(n=1000, d=16, noise=0.5, apart=0)


@pytest.mark.parametrize("probe", [KNNProbe(1), KNNProbe(50), TopoProbe(50, 50)], ids=repr)
def test_on_pure_noise_out_of_sample_scores_know_nothing(probe: Any) -> None:
    fitted = probe.fit(NOISE.X, NOISE.weak)
    assert abs(auroc(NOISE.weak, fitted.out_of_sample_) - 0.5) < 0.06  # three standard errors at n = 1000
    if probe == KNNProbe(1):
        assert auroc(NOISE.weak, fitted.predict_proba(NOISE.X)[:, 1]) == 1  # the control: in-sample knows everything


@given(st.integers(1, 10), st.integers(0, 10**6))
def test_out_of_sample_knn_ignores_a_rows_own_label(k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(30, 3)), rng.uniform(size=30)
    y[:2] = 0, 1
    before = KNNProbe(k).fit(X, y).out_of_sample_
    row = int(rng.integers(2, 30))
    y[row] = 1 - y[row]
    after = KNNProbe(k).fit(X, y).out_of_sample_
    assert before[row] == after[row]


def test_topo_scores_a_row_by_a_core_that_its_own_label_has_no_part_in() -> None:
    """Turning a row's label changes the core of all rows, and nothing in the row's own score."""
    data = planted()
    before = TopoProbe(5, 5).fit(data.X, data.weak)
    moved = False
    for row in range(0, 300, 7):
        turned = data.weak.copy()
        turned[row] = 1 - turned[row]
        after = TopoProbe(5, 5).fit(data.X, turned)
        assert after.out_of_sample_[row] == before.out_of_sample_[row]
        moved |= bool(after.core_scores_[row] != before.core_scores_[row])
    assert moved  # the control: by the core of all rows it is not so


def test_core_scores_of_topo_average_the_core_without_the_row() -> None:
    data = planted()
    probe = TopoProbe(20, 10).fit(data.X, data.weak)
    inside = np.flatnonzero(probe.core_)
    distances = ((data.X[:, None] - data.X[inside][None]) ** 2).sum(axis=2)
    distances[inside, np.arange(len(inside))] = np.inf
    nearest = inside[np.argsort(distances, axis=1, kind="stable")[:, :10]]
    assert probe.core_scores_ == pytest.approx(data.weak[nearest].mean(axis=1))


@pytest.mark.parametrize("probe", [KNNProbe(20), LogisticProbe(), TopoProbe(20, 20), HeadStudent()], ids=repr)
def test_probes_see_through_label_noise_and_nothing_in_noise(probe: Probe) -> None:
    data, fresh = planted(n=600, noise=0.2), planted(n=400, seed=1)
    assert auroc(fresh.truth, clone(probe).fit(data.X, data.weak).predict_proba(fresh.X)[:, 1]) > 0.97
    blank, other = planted(n=600, noise=0.5, apart=0), planted(n=1000, apart=0, seed=1)
    assert abs(auroc(other.truth, clone(probe).fit(blank.X, blank.weak).predict_proba(other.X)[:, 1]) - 0.5) < 0.06


@pytest.mark.parametrize("probe", [KNNProbe(20), LogisticProbe(), TopoProbe(20, 20)], ids=repr)
def test_probes_live_in_pipelines_searches_and_cross_validation(probe: Probe) -> None:
    data = planted()
    pipeline = make_pipeline(StandardScaler(), clone(probe))
    p = cross_val_predict(pipeline, data.X, data.weak, method="predict_proba")[:, 1]
    assert auroc(data.truth, p) > 0.9
    name = next(iter(probe.get_params()))
    search = GridSearchCV(probe, {name: [probe.get_params()[name]]}).fit(data.X, data.weak)
    assert clone(search.best_estimator_).get_params() == probe.get_params()


def test_a_search_over_numpy_integers_finds_a_good_k() -> None:
    data = planted(noise=0.3)
    search = GridSearchCV(KNNProbe(), {"k": np.arange(1, 42, 20)}).fit(data.X, data.weak)
    assert search.best_params_["k"] > 1
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_two_classes_of_any_name_keep_their_names() -> None:
    data = planted()
    names = np.where(data.weak > 0.5, "yes", "no")
    probe = KNNProbe(20).fit(data.X, names)
    assert probe.classes_.tolist() == ["no", "yes"]
    assert (probe.predict(data.X) == np.where(data.truth > 0.5, "yes", "no")).mean() > 0.95
    assert np.array_equal(probe.predict_proba(data.X), KNNProbe(20).fit(data.X, data.weak).predict_proba(data.X))


@pytest.mark.parametrize("name", PROBES)
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X, y: (np.where(X == X[3, 1], np.nan, X), y), "1 rows contain NaN or infinity, first row 3"),
        (lambda X, y: (X * np.float32(1e30) * np.float32(1e30), y), "contain NaN or infinity"),
        (lambda X, y: (X, y * 0), "one class only: all 300 labels are at most 0.5"),
        (lambda X, y: (X, y * 3), "one class|labels must lie in|Only binary"),
        (lambda X, y: (X, np.arange(300)), "Only binary classification is supported"),
        (lambda X, y: (X, y[:-1]), r"labels have shape \(299,\), but there are 300 rows"),
        (lambda X, y: (X[:20], y[:20]), "k=50 needs at least 51 rows, got 20: lower k or add data"),
    ],
    ids=["nan", "infinite", "one class", "outside", "many classes", "lengths", "k"],
)
def test_bad_input_is_refused_with_the_numbers(name: str, spoil: Any, message: str) -> None:
    data = planted()
    with np.errstate(over="ignore"):
        X, y = spoil(data.X, data.weak)
    if (PROBES[name].value != "k" and "k=50" in message) or y.max() == 3:
        PROBES[name].make().fit(X, y)  # two classes called 0 and 3, and a probe without k, are fine
        return
    with pytest.raises(InputError, match=message):
        PROBES[name].make(50 if PROBES[name].value == "k" else None).fit(X, y)


def test_components_that_leave_too_few_rows_are_refused() -> None:
    with pytest.raises(InputError, match="k_zeta=8 needs at least 9 rows in the components, but TopoCC"):
        TopoProbe(2, 8).fit(EXAMPLE_A, LABELS_A)


@parametrize_with_checks(
    [KNNProbe(k=3), TopoProbe(k_cc=5, k_zeta=3), MeanDifferenceProbe(), WhitenedMeanDifferenceProbe()]
)
def test_sklearn_estimator_checks(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks warn on purpose
        check(estimator)
