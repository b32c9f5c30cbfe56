"""Noise estimates against planted noise: what the confident joint gets right, where it fails, and that it says so."""

from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from tests.conftest import planted
from w2s_probes import InputError, KNNProbe, LogisticProbe, relabel
from w2s_probes.noise import Estimate, noise_model
from w2s_probes.noise.calibration import auroc_interval, expected_calibration_error, reliability
from w2s_probes.noise.confident import confident_counts, confident_joint
from w2s_probes.noise.estimate import MEANING, NoiseStatus
from w2s_probes.noise.model import LEAST_AUROC

Rows = tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]  # truth, weak labels, scores


def flipped(rng: np.random.Generator, n: int, apart: float, to_1: float, to_0: float) -> Rows:
    """Classes of one Gaussian feature; labels flipped at random by class; scores P(weak = 1 | x), the best probe's."""
    truth = rng.random(n) < 0.5
    x = rng.normal(size=n) + apart * (truth - 0.5)
    weak = truth ^ (rng.random(n) < np.where(truth, to_0, to_1))
    q = 1 / (1 + np.exp(-apart * x))
    return truth, weak.astype(float), q * (1 - to_0) + (1 - q) * to_1


def misled(rng: np.random.Generator, n: int, apart: float, blur: float) -> Rows:
    """A supervisor that sees the feature blurred: its errors sit on rows near the border, and the probe learns them."""
    truth = rng.random(n) < 0.5
    x = rng.normal(size=n) + apart * (truth - 0.5)
    weak = x + blur * rng.normal(size=n) > 0
    return truth, weak.astype(float), norm.cdf(x / blur)


def noise_of(rows: Rows) -> float:
    joint = confident_joint(rows[1] > 0.5, rows[2])
    return float(joint[0, 1] + joint[1, 0])


def holds(estimate: Estimate, value: float) -> bool:
    return estimate.low <= value <= estimate.high


# Weak labels and probe scores, as below, with what cleanlab 2.9.0's count module made of them: confident joint,
# uncalibrated, and the same calibrated to whole rows.
CLEANLAB = {
    0: ([[24, 7], [7, 14]], [[29, 8], [8, 15]]),
    1: ([[23, 4], [4, 13]], [[32, 6], [5, 17]]),
    2: ([[22, 8], [6, 11]], [[29, 10], [7, 14]]),
}


def parity_case(seed: int, n: int = 60) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.4
    weak = truth ^ (rng.random(n) < 0.2)
    p = np.clip(0.25 + 0.5 * truth + 0.2 * rng.normal(size=n), 0, 1)
    return weak, np.asarray(p.round(3), dtype=np.float64)


@pytest.mark.parametrize("seed", CLEANLAB)
def test_the_confident_joint_is_what_cleanlab_found(seed: int) -> None:
    counts, calibrated = CLEANLAB[seed]
    assert confident_counts(*parity_case(seed)).tolist() == counts
    # It rounds to whole rows, we do not.
    assert np.abs(60 * confident_joint(*parity_case(seed)) - calibrated).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("seed", range(12))
def test_the_confident_joint_is_cleanlabs_own(seed: int) -> None:
    reason = "cleanlab is not installed: parity is tested on stored figures alone"
    count = pytest.importorskip("cleanlab.count", reason=reason)
    weak, p = parity_case(seed, 20 + 40 * (seed % 3))
    p = np.round(p, 1) if seed % 2 else 1 - p  # ties, and a probe that is worse than chance
    both = np.column_stack([1 - p, p])
    theirs = count.compute_confident_joint(weak.astype(int), both, calibrate=False)
    ours = confident_counts(weak, p)
    np.fill_diagonal(ours, np.maximum(np.diag(ours), 1))
    assert np.array_equal(ours, theirs)
    assert np.abs(confident_joint(weak, p) - count.estimate_joint(weak.astype(int), both)).max() <= 0.51 / len(p)


@pytest.mark.parametrize(("to_1", "to_0"), [(0.0, 0.0), (0.1, 0.1), (0.1, 0.3), (0.35, 0.35)])
def test_separated_classes_give_the_planted_noise_without_an_audit(to_1: float, to_0: float) -> None:
    rng = np.random.default_rng(0)
    found = [noise_of(flipped(rng, 3000, 4, to_1, to_0)) for _ in range(40)]
    assert abs(np.mean(found) - (to_1 + to_0) / 2) < 0.01
    rows = flipped(rng, 3000, 6, to_1, to_0)
    estimate = noise_model(rows[1], rows[2])
    assert not estimate.oracle
    assert abs(estimate.noise.value - (to_1 + to_0) / 2) < 0.02
    for (i, j), rate in {(0, 1): to_1, (1, 0): to_0}.items():
        assert abs(estimate.weak_given_true[i][j].value - rate) < 0.04
    assert sum(e.value for e in estimate.true_given_weak[0]) == pytest.approx(1)


@pytest.mark.parametrize(("to_1", "to_0"), [(0.1, 0.1), (0.1, 0.3)])
def test_bootstrap_intervals_cover_where_the_assumption_holds(to_1: float, to_0: float) -> None:
    rng = np.random.default_rng(1)
    estimates = [noise_model(*flipped(rng, 600, 6, to_1, to_0)[1:], draws=200, seed=s) for s in range(200)]
    assert np.mean([holds(e.noise, (to_1 + to_0) / 2) for e in estimates]) > 0.9
    assert np.mean([e.status == "assumption not checked" for e in estimates]) > 0.9
    assert all(np.isnan(e.contamination.value) for e in estimates)


def test_overlapping_classes_are_overestimated_and_flagged() -> None:
    rng = np.random.default_rng(2)
    assert np.mean([noise_of(flipped(rng, 2000, 1, 0, 0)) for _ in range(10)]) == pytest.approx(0.25, abs=0.02)
    assert np.mean([noise_of(flipped(rng, 2000, 2, 0.2, 0.2)) for _ in range(10)]) == pytest.approx(0.26, abs=0.02)
    for rows in (flipped(rng, 3000, 1, 0, 0), flipped(rng, 3000, 2, 0.2, 0.2)):
        estimate = noise_model(rows[1], rows[2], draws=200)
        assert estimate.status == "hard rows"
        assert np.isnan(estimate.contamination.value)


def test_errors_that_the_probe_learns_are_underestimated_and_flagged() -> None:
    rng = np.random.default_rng(3)
    truth, weak, p = misled(rng, 3000, 2, 1)
    assert ((weak > 0.5) != truth).mean() > 0.22
    estimate = noise_model(weak, p, draws=200)
    assert estimate.noise.high < 0.12
    assert estimate.status == "hard rows"
    rows = rng.permutation(3000)[:200]
    assert holds(noise_model(weak, p, audited=(rows, truth[rows])).noise, ((weak > 0.5) != truth).mean())


def test_clean_labels_and_a_perfect_probe_have_no_noise() -> None:
    y = (np.arange(200) % 2).astype(float)
    estimate = noise_model(y, y)
    assert (estimate.noise.value, estimate.noise.high, estimate.status) == (0, 0, "assumption not checked")
    assert estimate.calibration_error == 0
    audit = noise_model(y, y, audited=(np.arange(40), y[:40]))
    assert (audit.noise.value, audit.status) == (0, "ok")
    assert audit.contamination == audit.noise
    assert 0.02 < audit.noise.high < 0.15  # forty right rows do not prove that none is wrong


def test_scores_that_know_nothing_are_called_so() -> None:
    rng = np.random.default_rng(4)
    found = [noise_model(rng.integers(0, 2, 500), rng.random(500), draws=20).status for _ in range(400)]
    assert np.mean([status == "uninformative" for status in found]) > 0.94
    backwards = flipped(rng, 500, 4, 0.1, 0.1)
    assert noise_model(backwards[1], 1 - backwards[2]).status == "uninformative"
    assert noise_model(rng.integers(0, 2, 500), np.full(500, 0.5)).status == "uninformative"


def test_right_labels_of_classes_that_hardly_differ_are_given_no_number() -> None:
    rng = np.random.default_rng(18)
    apart = np.sqrt(2) * norm.ppf(0.55)  # AUROC .55, which is above chance in 1500 rows
    estimates = [noise_model(*flipped(rng, 1500, apart, 0, 0)[1:], draws=50) for _ in range(40)]
    assert np.mean([e.auroc.low > 0.5 for e in estimates]) > 0.8
    assert np.mean([e.noise.value for e in estimates]) > 0.4  # not one label is wrong
    assert {e.status for e in estimates} == {"uninformative"}
    assert not any("noise" in repr(e) for e in estimates)


def test_the_joint_says_one_less_the_auroc_whether_labels_are_wrong_or_classes_overlap() -> None:
    rng = np.random.default_rng(19)
    for auroc in (LEAST_AUROC, 0.75, 0.9):
        right = flipped(rng, 20_000, np.sqrt(2) * norm.ppf(auroc), 0, 0)
        wrong = flipped(rng, 20_000, 8, 1 - auroc, 1 - auroc)
        for rows in (right, wrong):
            assert noise_of(rows) == pytest.approx(1 - auroc, abs=0.03)
    for auroc, status in ((LEAST_AUROC - 0.04, "uninformative"), (LEAST_AUROC + 0.04, "assumption not checked")):
        _, weak, p = flipped(rng, 4000, 8, 1 - auroc, 1 - auroc)
        assert noise_model(weak, p, draws=50).status == status


def test_a_probe_that_shares_the_supervisors_mistakes_is_never_ok_until_rows_are_audited() -> None:
    rng = np.random.default_rng(20)
    truth = rng.random(1500) < 0.5
    weak = truth ^ (rng.random(1500) < 0.133)  # a kind of row that the supervisor takes for the other class,
    p = np.where(weak, 0.95, 0.05) + 0.04 * rng.random(1500) - 0.02  # as does the probe
    alone = noise_model(weak, p, draws=50)
    assert alone.noise.high == 0
    assert alone.status == "assumption not checked"
    assert np.isnan(alone.contamination.value)
    rows = np.concatenate([rng.permutation(np.flatnonzero(weak == side))[:30] for side in (False, True)])
    audit = noise_model(weak, p, audited=(rows, truth[rows]))
    assert audit.status == "ok"
    assert holds(audit.contamination, float((weak != truth).mean()))
    assert audit.contamination.value > 0.05


def test_few_rows_are_called_so() -> None:
    rng = np.random.default_rng(5)
    _, weak, p = flipped(rng, 30, 4, 0.1, 0.1)
    assert noise_model(weak, p).status == "few rows"
    _, weak, p = flipped(rng, 600, 4, 0.1, 0.1)
    assert noise_model(weak, p, groups=np.arange(600) // 60).status == "few rows"
    assert noise_model(weak, p, audited=(np.arange(12), weak[:12])).status == "few rows"
    for seed in range(5):
        assert noise_model([1, 0], [0.9, 0.2], draws=2, seed=seed).status == "few rows"


@pytest.mark.parametrize("probe", [KNNProbe(30), LogisticProbe(1e-3)], ids=repr)
def test_probes_on_activations_find_the_planted_share(probe: Any) -> None:
    data = planted(n=1200, noise=0.2, apart=6)
    estimate = noise_model(data.weak, relabel(probe, data.X, data.weak))
    assert abs(estimate.noise.value - 0.2) < 0.03
    leaky = noise_model(data.weak, relabel(KNNProbe(1), data.X, data.weak, in_sample=True))
    assert leaky.noise.value == 0  # the control: a probe that saw the labels finds no error in them


def test_auroc_and_its_interval_are_those_of_scikit_learn_and_the_bootstrap() -> None:
    _, weak, p = flipped(np.random.default_rng(14), 300, 1, 0.1, 0.1)
    p = np.round(p, 1)
    value, low, high = auroc_interval(weak > 0.5, p)
    assert value == pytest.approx(roc_auc_score(weak, p))
    rng = np.random.default_rng(0)
    drawn = [roc_auc_score(weak[i], p[i]) for i in rng.integers(300, size=(400, 300))]
    assert (high - low) / (2 * 1.96) == pytest.approx(np.std(drawn), rel=0.1)
    twice = np.tile(np.arange(300), 2)
    doubled = auroc_interval(np.tile(weak > 0.5, 2), np.tile(p, 2), twice)
    assert doubled == pytest.approx((value, low, high))
    fewest = min((weak > 0.5).sum(), (weak <= 0.5).sum())
    assert auroc_interval(weak > 0.5, weak) == pytest.approx((1, 0.025 ** (1 / fewest), 1))  # of as many that agree


def test_a_class_of_one_row_or_group_has_no_interval_of_auroc_nor_of_noise() -> None:
    rng = np.random.default_rng(3)
    for few in (1, 3):
        y, p = (np.arange(60) < few) * 1.0, rng.uniform(size=60)
        groups = np.where(np.arange(60) < few, 0, np.arange(60))
        for estimate in (auroc_interval(y > 0.5, p, groups)[1:], noise_model(y, p, groups=groups, draws=50)):
            if isinstance(estimate, tuple):
                assert np.isnan(estimate).all()
                continue
            assert estimate.status == "few rows"
            shown = estimate.to_frame().dropna(subset=["value"])
            assert not shown.empty
            assert shown[["low", "high"]].isna().all(axis=None)


def test_reliability_counts_rows_and_calibrated_scores_have_a_small_error() -> None:
    table = reliability(np.array([0, 0.05, 0.1, 0.15, 1]), np.array([0, 1, 0, 1, 1.0]))
    assert table["rows"].tolist() == [3, 1, 1]
    assert table["mean_score"].tolist() == pytest.approx([0.05, 0.15, 1])
    assert table["positive"].tolist() == pytest.approx([1 / 3, 1, 1])
    assert expected_calibration_error(table) == pytest.approx(0.6 * (1 / 3 - 0.05) + 0.2 * 0.85)
    _, weak, p = flipped(np.random.default_rng(15), 20_000, 2, 0.1, 0.3)
    assert noise_model(weak, p, draws=2).calibration_error < 0.02
    assert noise_model(weak, p**3, draws=2).calibration_error > 0.1


def test_estimates_are_tidy_and_say_where_they_come_from() -> None:
    truth, weak, p = flipped(np.random.default_rng(16), 400, 4, 0.1, 0.1)
    plain, audit = noise_model(weak, p), noise_model(weak, p, audited=(np.arange(100), truth[:100]))
    assert not plain.to_frame()["oracle"].any()
    assert audit.to_frame().query("not oracle")["measure"].tolist() == ["excess", "auroc"]
    assert repr(plain).startswith("NoiseEstimate(assumption not checked: confident joint's noise 0.")
    assert f"AUROC {plain.auroc.value:.3f} [" in repr(plain)
    assert repr(audit).startswith("NoiseEstimate(ok: noise 0.")
    assert repr(audit).endswith("100 of 400 rows audited, oracle)")
    assert "<table" in plain._repr_html_()
    assert f"assumption not checked: {plain.meaning}." in plain._repr_html_()
    assert set(MEANING) == set(get_args(NoiseStatus))
    assert noise_model(weak, p, seed=3).to_frame().equals(noise_model(weak, p, seed=3).to_frame())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p": [0.5]}, "6 labels but 1 probe scores"),
        ({"p": [2.0] * 6}, "probe scores must be a vector of probabilities"),
        ({"y": [float("nan")] * 6}, "labels must be a vector of probabilities"),
        ({"y": [1.0] * 6}, "one class only: all 6 labels"),
        ({"draws": 1}, "draws=1 must be at least 2"),
        ({"groups": [1, 2]}, "groups have shape"),
        ({"audited": 3}, "audited must be a pair"),
        ({"audited": ([0, 6], [1, 1])}, "audited rows 6 are out of range: there are 6 rows"),
        ({"audited": ([-1, 2], [1, 1])}, "audited rows -1 are out of range"),
        ({"audited": ([1, 1, 2], [1, 1, 1])}, "audited rows 1 are named more than once"),
        ({"audited": ([0.5, 1.0], [1, 1])}, "audited rows must be a vector of row numbers"),
        ({"audited": ([True], [1])}, "the mask of audited rows has shape"),
        ({"audited": ([0, 1, 3], [1, 1])}, "2 truths but 3 rows"),
        ({"audited": ([0, 1, 3], [1, 1, 7])}, "truth must be a vector of probabilities"),
        ({"audited": ([0, 1, 3], [1, 1, 1])}, "the audit holds 1 rows of weak class 0 and 2 of weak class 1"),
        ({"audited": ([], [])}, "the audit holds 0 rows of weak class 0 and 0"),
    ],
)
def test_wrong_input_is_refused_in_one_line(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"y": [1, 1, 1, 0, 0, 0], "p": [0.9, 0.8, 0.6, 0.2, 0.1, 0.4], **change}
    with pytest.raises(InputError, match=message) as error:
        noise_model(given.pop("y"), given.pop("p"), **given)
    assert "\n" not in str(error.value)
