"""Every metric of the registry beside scikit-learn or a direct computation, and at the edges of what data can be."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    log_loss,
    roc_auc_score,
    roc_curve,
)

from w2s_probes import InputError, performance_gap_recovered
from w2s_probes.metrics import METRICS
from w2s_probes.metrics.calibration_error import BINS, ROWS_A_BIN, bins, folded_normal
from w2s_probes.metrics.metric_names import DEFAULT_METRICS, Metric
from w2s_probes.metrics.paired_scores import difference, estimate
from w2s_probes.metrics.recovery import bootstrap, hardened
from w2s_probes.metrics.recovery_over_seeds import gap_recovered_over_seeds
from w2s_probes.metrics.resampling import resamples

NEW: tuple[Metric, ...] = tuple(name for name in get_args(Metric) if name not in DEFAULT_METRICS)
Rows = tuple[NDArray[np.float64], NDArray[np.float64]]  # truth and P(1)


def rows(seed: int, n: int = 90, *, ties: bool = False) -> Rows:
    rng = np.random.default_rng(seed)
    truth = (np.arange(n) % 3 == 0).astype(float)
    p = 1 / (1 + np.exp(-(1.5 * rng.normal(size=n) + 2 * truth - 1)))
    return truth, np.round(p, 1) if ties else p


def recall_by_roc_curve(truth: NDArray[np.float64], p: NDArray[np.float64], rate: float) -> float:
    """Where scikit-learn's ROC, as drawn, leaves the rate."""
    fpr, tpr, _ = roc_curve(truth, p, drop_intermediate=False)
    at = int(np.flatnonzero(fpr <= rate + 1e-12)[-1])
    if at == len(fpr) - 1:
        return float(tpr[at])
    share = (rate - fpr[at]) / (fpr[at + 1] - fpr[at])
    flat = tpr[at + 1] == tpr[at]
    alone = np.isclose((fpr[at + 1] - fpr[at]) * (truth == 0).sum(), 1) and flat
    return float(tpr[at] if alone else tpr[at] + share * (tpr[at + 1] - tpr[at]))


def calibration_error_bin_by_bin(truth: NDArray[np.float64], p: NDArray[np.float64]) -> float:
    """Equal-mass bins made by hand, each bin's correction by numerical integration."""
    number = min(BINS, max(1, len(p) // ROWS_A_BIN))
    by_bin: dict[int, list[int]] = {}
    for i, one in enumerate(p):
        below = sum(other < one for other in p)
        by_bin.setdefault(below * number // len(p), []).append(i)
    total = 0.0
    for members in by_bin.values():
        share, said = truth[members].mean(), p[members].mean()
        deviation = np.sqrt(share * (1 - share) / len(members))
        grid = (np.arange(20_000) + 0.5) / 20_000
        redrawn = np.abs(share + deviation * norm.ppf(grid) - said).mean()
        total += len(members) / len(p) * (2 * abs(share - said) - redrawn)
    return max(total, 0.0)


REFERENCES = {
    "auroc": roc_auc_score,
    "accuracy": lambda t, p: accuracy_score(t, p > 0.5),
    "average_precision": average_precision_score,
    "recall_at_1_fpr": lambda t, p: recall_by_roc_curve(t, p, 0.01),
    "recall_at_5_fpr": lambda t, p: recall_by_roc_curve(t, p, 0.05),
    "brier": brier_score_loss,
    "ece": calibration_error_bin_by_bin,
    "log_loss": lambda t, p: log_loss(t, p),
}


def test_names_and_entries_are_the_same() -> None:
    assert tuple(METRICS) == get_args(Metric) == tuple(REFERENCES)
    assert {name for name, entry in METRICS.items() if not entry.higher} == {"brier", "ece", "log_loss"}


@pytest.mark.parametrize("metric", METRICS)
@given(seed=st.integers(0, 1000), ties=st.booleans())
def test_values_are_those_of_the_reference(metric: Metric, seed: int, ties: bool) -> None:
    truth, p = rows(seed, 130, ties=ties)
    assert METRICS[metric](truth, p) == pytest.approx(REFERENCES[metric](truth, p), abs=2e-5)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("ties", [False, True])
def test_resamples_are_the_metric_of_the_rows_drawn(metric: Metric, ties: bool) -> None:
    truth, p = rows(3, 60, ties=ties)
    (counts,) = resamples(truth > 0.5, 20, 0)
    draws = bootstrap(truth, {"a": p}, metric, 20, 0)["a"]
    for drawn, found in zip(counts.astype(int), draws, strict=True):
        again = np.repeat(np.arange(60), drawn)
        if metric == "ece":  # in the bins of all rows, not of the rows drawn
            codes, total = bins(p)[again], 0.0
            for code in np.unique(codes):
                own = again[codes == code]
                share, off = truth[own].mean(), abs(truth[own].mean() - p[own].mean())
                deviation = np.sqrt(share * (1 - share) / len(own))
                total += len(own) / 60 * (2 * off - float(folded_normal(np.array(off), np.array(deviation))))
            expected = max(total, 0)
        else:
            expected = REFERENCES[metric](truth[again], p[again])
        assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("ties", [False, True])
def test_influences_are_derivatives_by_a_rows_weight(metric: Metric, ties: bool) -> None:
    entry = METRICS[metric]
    if entry.influence is None:
        assert metric in ("recall_at_1_fpr", "recall_at_5_fpr", "ece")
        return
    truth, p = rows(5, 40, ties=ties)
    positive = truth > 0.5
    found = entry.influence(positive, p)
    assert found.value == pytest.approx(entry.value(positive, p))
    assert found.influence.sum() == pytest.approx(0, abs=1e-12)
    if metric == "auroc":  # of fixed classes: beside DeLong in test_influence
        return
    weight = 2000
    for row in range(0, 40, 7):  # a row a little heavier: once more beside each row two thousand times
        heavier = np.repeat(np.arange(40), np.where(np.arange(40) == row, weight + 1, weight))
        moved = entry.value(positive[heavier], p[heavier]) - found.value
        assert moved * weight == pytest.approx(found.influence[row], rel=5e-3, abs=1e-4)


@pytest.mark.parametrize("metric", METRICS)
def test_values_do_not_depend_on_the_order_of_rows(metric: Metric) -> None:
    truth, p = rows(7, 120, ties=True)
    order = np.random.default_rng(0).permutation(120)
    assert METRICS[metric](truth[order], p[order]) == pytest.approx(METRICS[metric](truth, p))


def test_constant_scores_get_what_guessing_gets() -> None:
    truth, p = rows(0, 90)[0], np.full(90, 0.4)
    values = {name: entry(truth, p) for name, entry in METRICS.items()}
    assert values["auroc"] == 0.5
    assert values["average_precision"] == pytest.approx(1 / 3)
    assert (values["recall_at_1_fpr"], values["recall_at_5_fpr"]) == pytest.approx((0.01, 0.05))


def test_perfect_probabilities_and_a_single_positive() -> None:
    truth = np.array([0.0] * 20 + [1.0])
    for name, entry in METRICS.items():
        assert entry(truth, truth) == pytest.approx(float(entry.higher), abs=1e-12)
        found = estimate(name, truth, np.linspace(0.1, 0.9, 21))
        assert found is not None
        assert np.isnan(found.error) == entry.ranks  # one row of a class says nothing of the next one
        if entry.higher:
            assert found.value == 1 or name == "accuracy"


@pytest.mark.parametrize("metric", METRICS)
def test_one_class_is_refused_where_rows_are_ranked_and_nothing_is_invented(metric: Metric) -> None:
    with pytest.raises(InputError, match="one class only"):
        METRICS[metric](np.ones(5), np.linspace(0, 1, 5))
    found = estimate(metric, np.ones(5), np.linspace(0.1, 1, 5))
    assert (found is None) == METRICS[metric].ranks


@pytest.mark.parametrize("metric", [name for name, entry in METRICS.items() if entry.probabilities])
def test_scores_that_are_no_probabilities_are_refused(metric: Metric) -> None:
    with pytest.raises(InputError, match=f"{metric} is of probabilities"):
        METRICS[metric]([0, 1], [-0.5, 2.0])
    METRICS["average_precision"]([0, 1], [-0.5, 2.0])  # control: a ranking needs none


def test_equal_weights_of_all_rows_twice_change_nothing_but_bins() -> None:
    truth, p = rows(11, 200)
    for name in ("average_precision", "recall_at_5_fpr", "brier", "log_loss"):
        assert METRICS[name](np.tile(truth, 2), np.tile(p, 2)) == pytest.approx(METRICS[name](truth, p))


def test_debiased_calibration_error_is_nearer_the_truth_than_the_plain_one() -> None:
    rng = np.random.default_rng(0)
    plain, debiased = [], []
    for _ in range(200):
        p = rng.random(600)
        truth = (rng.random(600) < p).astype(float)  # perfectly calibrated: 0
        codes = bins(p)
        errors = [abs((truth - p)[codes == code].mean()) * (codes == code).mean() for code in np.unique(codes)]
        plain.append(sum(errors))
        debiased.append(METRICS["ece"](truth, p))
    assert np.mean(debiased) < 0.65 * np.mean(plain)
    far = np.clip(p + 0.3, 0, 1)
    codes = bins(far)
    errors = [abs((truth - far)[codes == code].mean()) * (codes == code).mean() for code in np.unique(codes)]
    assert METRICS["ece"](truth, far) == pytest.approx(sum(errors), abs=0.02)  # control: little to take away


def draw(rng: np.random.Generator, n: int) -> Rows:
    """Over-confident probabilities."""
    truth = (rng.random(n) < 0.5).astype(float)
    return truth, 1 / (1 + np.exp(-2.2 * (rng.normal(size=n) + 1.2 * truth - 0.6)))


@pytest.mark.parametrize("metric", NEW)
def test_intervals_cover_the_value_of_all_rows_there_could_be(metric: Metric) -> None:
    rng = np.random.default_rng(1)
    true = METRICS[metric](*draw(rng, 400_000))
    held = apart_held = 0
    times = 150
    for _ in range(times):
        truth, p = draw(rng, 400)
        other = np.clip(p + 0.05 * rng.normal(size=400), 0, 1)
        found = estimate(metric, truth, p)
        apart = difference(metric, truth, p, (p + other) / 2)
        assert found is not None
        assert apart is not None
        held += found.low <= true <= found.high
        apart_held += apart.high - apart.low < found.high - found.low
    assert 0.9 <= held / times
    assert apart_held / times > 0.9  # a difference of scores that are alike is known better than either


@pytest.mark.parametrize("metric", NEW)
def test_errors_count_groups_and_not_rows(metric: Metric) -> None:
    truth, p = draw(np.random.default_rng(2), 300)
    groups = np.tile(np.arange(300).astype(str), 4)
    once, four = estimate(metric, truth, p), estimate(metric, np.tile(truth, 4), np.tile(p, 4), groups)
    blind = estimate(metric, np.tile(truth, 4), np.tile(p, 4))
    assert once is not None
    assert four is not None
    assert blind is not None
    if metric == "ece":  # four times the rows: a smaller correction, in other bins of equal scores
        assert four.error == pytest.approx(once.error, rel=0.35)
    else:
        assert four.error == pytest.approx(once.error, rel=0.15 if METRICS[metric].influence is None else 1e-6)
    assert blind.error < 0.7 * four.error


@pytest.mark.parametrize("metric", NEW)
def test_pgr_is_of_improvements_and_has_the_interval_of_its_gap(metric: Metric) -> None:
    rng = np.random.default_rng(4)
    truth = (rng.random(3000) < 0.5).astype(float)
    weak, student, best = (  # calibrated, of one noise
        1 / (1 + np.exp(-apart * (noise + apart * (truth - 0.5))))
        for noise in [rng.normal(size=3000)]
        for apart in (0.8, 1.6, 3.0)
    )
    if not METRICS[metric].pgr:
        with pytest.raises(InputError, match="has no PGR"):
            performance_gap_recovered(truth, weak, student, best, metric)
        results = gap_recovered_over_seeds(truth, [{"weak": weak, "s": student, "ceiling": best}], metric)
        assert results.recovered == {}
        assert results.improvement("s", "weak").value == pytest.approx(
            METRICS[metric](truth, weak) - METRICS[metric](truth, student)
        )
        return
    values = [METRICS[metric].sign * METRICS[metric](truth, one) for one in (weak, student, best)]
    found = performance_gap_recovered(truth, weak, student, best, metric, 300)
    by_seeds = gap_recovered_over_seeds(truth, [{"weak": weak, "s": student, "ceiling": best}], metric).recovered["s"]
    assert found.gap == pytest.approx(values[2] - values[0])
    assert found.gap > 0
    assert found.value == pytest.approx((values[1] - values[0]) / (values[2] - values[0]))
    assert by_seeds.value == pytest.approx(found.value)
    assert by_seeds.high - by_seeds.low == pytest.approx(found.high - found.low, rel=0.3)
    assert found.status == by_seeds.status == "ok"
    worse = performance_gap_recovered(truth, best, student, weak, metric, 300)
    assert worse.status == "undefined"


def test_a_supervisor_of_hard_labels_leaves_no_pgr_where_labels_have_no_such_value() -> None:
    rng = np.random.default_rng(5)
    truth, best = draw(rng, 500)
    weak = hardened(np.where(rng.random(500) < 0.4, 1 - truth, truth))
    for name in METRICS:
        if name == "ece":
            continue
        found = performance_gap_recovered(truth, weak, (weak + best) / 2, best, name, 200)
        over = gap_recovered_over_seeds(truth, [{"weak": weak, "s": (weak + best) / 2, "ceiling": best}], name)
        left_out = name in ("log_loss", "recall_at_1_fpr", "recall_at_5_fpr")
        assert np.isnan(found.value) == np.isnan(over.recovered["s"].value) == left_out
        assert found.status == over.recovered["s"].status == ("ok" if name == "accuracy" else "hard labels")
    repeats = performance_gap_recovered(truth, weak, 0.4 + 0.2 * weak, best, "brier", 200)
    assert repeats.value == 0  # the same labels said less surely recover nothing


def test_an_unknown_metric_is_named_beside_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'brier'"):
        performance_gap_recovered([0, 1], [0, 1], [0, 1], [0, 1], "briar")  # type: ignore[arg-type]
