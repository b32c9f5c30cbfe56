"""No score that drops or relabels a row knows that row's label, its duplicates', or its group's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from tests.conftest import ROOT, planted
from w2s_probes import KNNProbe, LogisticProbe, TopoProbe, auroc, probe_filter, relabel, topo_filter
from w2s_probes.probes import MeanDifferenceProbe, WhitenedMeanDifferenceProbe
from w2s_probes.rows.folds import fold_numbers

PROBES: list[Any] = [
    KNNProbe(1),
    KNNProbe(25),
    TopoProbe(10, 10, "weak"),
    LogisticProbe(1e-4),
    MeanDifferenceProbe(),
    WhitenedMeanDifferenceProbe(),
    make_pipeline(StandardScaler(), LogisticProbe(1e-3)),
    make_pipeline(StandardScaler(), KNNProbe(5)),
    LogisticRegression(max_iter=1000),
    RandomForestClassifier(20, random_state=0),
]
DISTINCT, COPIES = 400, 3


def noise(related: str) -> tuple[Any, Any, Any]:
    """Random labels, one for each of many texts, which come three times: as exact duplicates, or as a group."""
    base = planted(n=DISTINCT, d=30, noise=0.5, apart=0, seed=3)
    X, y = np.repeat(base.X, COPIES, axis=0), np.repeat(base.weak, COPIES)
    if related == "duplicates":
        return X, y, None
    X = X + np.random.default_rng(0).normal(scale=0.01, size=X.shape).astype(np.float32)
    return X, y, np.repeat(np.arange(DISTINCT), COPIES)


@pytest.mark.parametrize("related", ["duplicates", "group"])
@pytest.mark.parametrize("probe", PROBES, ids=lambda p: type(p).__name__ + str(getattr(p, "k", "")))
def test_out_of_sample_scores_of_pure_noise_are_worth_nothing(probe: Any, related: str) -> None:
    X, y, groups = noise(related)
    p = relabel(probe, X, y, groups=groups)
    error = np.sqrt(1 / (12 * DISTINCT / 4))  # of an AUROC of ½, from so many independent rows, half of each class
    assert abs(auroc(y, p) - 0.5) < 3 * error
    assert auroc(y, relabel(probe, X, y, in_sample=True)) > 0.6  # the control: noise can be learned by heart


@pytest.mark.parametrize("related", ["duplicates", "group"])
def test_filters_of_pure_noise_do_not_spare_the_rows_that_vouch_for_themselves(related: str) -> None:
    X, y, groups = noise(related)
    for result in (
        topo_filter(X, y, 12, 2, 0.2, "weak", groups=groups),
        probe_filter(KNNProbe(2), X, y, 0.2, groups=groups),
        probe_filter(LogisticProbe(1e-3), X, y, 0.2, groups=groups),
    ):
        assert not result.in_sample
        assert result.p is not None
        assert 0.3 < ((result.p > 0.5) == (y > 0.5)).mean() < 0.65
    learned = probe_filter(KNNProbe(2), X, y, 0.2, in_sample=True)
    assert learned.in_sample
    assert learned.p is not None
    assert ((learned.p > 0.5) == (y > 0.5)).mean() > 0.95


@pytest.mark.parametrize("probe", [KNNProbe(1), KNNProbe(25), TopoProbe(10, 10)], ids=repr)
def test_changing_the_labels_of_a_group_changes_none_of_its_own_scores(probe: Any) -> None:
    X, y, groups = noise("group")
    before, others_move = relabel(probe, X, y, groups=groups), False
    for group in range(0, DISTINCT, 10):
        changed = y.copy()
        mine = groups == group
        changed[mine] = 1 - changed[mine]
        after = relabel(probe, X, changed, groups=groups)
        assert np.array_equal(before[mine], after[mine])
        others_move |= not np.array_equal(before, after)
    assert others_move


def test_a_folds_labels_change_none_of_its_own_cross_fitted_scores() -> None:
    X, y, groups = noise("group")
    fold = fold_numbers(X, y, groups=groups)
    before = LogisticProbe.path(X, y, l2=[1e-3], cv=fold).out_of_fold[0]
    changed = np.where(fold == 2, 1 - y, y)
    after = LogisticProbe.path(X, changed, l2=[1e-3], cv=fold).out_of_fold[0]
    assert before[fold == 2] == pytest.approx(after[fold == 2], abs=1e-9)
    assert np.abs(before - after)[fold != 2].max() > 0.01


@pytest.mark.parametrize("probe", [KNNProbe(20), TopoProbe(20, 20), LogisticProbe(1e-3)], ids=repr)
def test_the_number_of_threads_changes_scores_by_a_millionth_at_most(probe: Any) -> None:
    data = planted(n=3000, d=400, noise=0.2)
    scores = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            scores.append(relabel(probe, data.X, data.weak))
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def _on_noise(n: int, seeds: int, score: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> tuple[float, float]:
    """Mean AUROC of out-of-sample scores against labels that no feature tells, and its standard error."""
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(n, 16)).astype(np.float32), (rng.random(n) < 0.5).astype(float)
        found.append(auroc(y, score(X, y)))
    return float(np.mean(found)), float(np.std(found) / np.sqrt(seeds))


def test_topos_scores_of_noise_do_not_see_the_label_that_picks_the_core_and_its_filters_scores_do() -> None:
    by_folds, error = _on_noise(400, 30, lambda X, y: TopoProbe(5, 5).fit(X, y).out_of_sample_)
    assert abs(by_folds - 0.491) < 3 * error  # as all leave-one-out scores of noise, a little under one half
    by_core, error = _on_noise(400, 30, lambda X, y: np.asarray(topo_filter(X, y, 5, 5).p))
    assert abs(by_core - 0.554) < 3 * error
    assert by_core - 3 * error > 0.52


# Rows, k, draws, and what docs/probes.md says.
SAID = [(100, 50, 150, 0.431), (100, 5, 150, 0.487), (400, 50, 100, 0.488), (400, 5, 100, 0.497)]


@pytest.mark.parametrize(("n", "k", "draws", "said"), SAID)
def test_leave_one_out_scores_of_noise_are_under_one_half_by_as_much_as_the_docs_say(
    n: int, k: int, draws: int, said: float
) -> None:
    """Others' labels make up the balance that one's own leaves: the fewer rows for each neighbour, the more."""
    found, error = _on_noise(n, draws, lambda X, y: KNNProbe(k).fit(X, y).out_of_sample_)
    assert abs(found - said) < 3 * error
    if k == 50:
        assert found + 2 * error < 0.5
    page = (ROOT / "docs" / "probes.md").read_text().splitlines()
    header, line = (
        next(line for line in page if line.startswith(start)) for start in ("| scores |", f"| kNN, k = {k} |")
    )
    column = header.split("|").index(f" {n} rows ")
    assert line.split("|")[column].strip() == f"{said:.3f}".lstrip("0")


def test_scores_of_held_out_noise_are_worth_one_half() -> None:
    """The control: rows that no fit has seen owe nothing to a balance of labels."""

    def held_out(X: np.ndarray, y: np.ndarray) -> np.ndarray:
        return KNNProbe(50).fit(X[:100], y[:100]).predict_proba(X[100:])[:, 1]

    found = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(300, 16)).astype(np.float32), (rng.random(300) < 0.5).astype(float)
        found.append(auroc(y[100:], held_out(X, y)))
    assert abs(np.mean(found) - 0.5) < 3 * np.std(found) / np.sqrt(len(found))


@pytest.mark.parametrize("n", [100, 400])
def test_cross_fitted_logistic_scores_of_noise_are_near_one_half(n: int) -> None:
    found, error = _on_noise(n, 100, lambda X, y: relabel(LogisticProbe(1e-2), X, y))
    assert abs(found - 0.496) < 3 * error
