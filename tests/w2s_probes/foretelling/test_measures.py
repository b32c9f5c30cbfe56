"""Measures that foretell gains, beside brute force, published code's figures and hand-worked ones."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import subspace_angles
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from w2s_probes import InputError, LogisticProbe
from w2s_probes.foretelling import (
    kernel_gap,
    mahalanobis_cosine,
    misfit,
    robust_expansion,
    shared_errors,
    subspace_overlap,
)
from w2s_probes.foretelling.expansion import expansion_of
from w2s_probes.foretelling.foretold_measure import ALIKE, blocks_of
from w2s_probes.foretelling.jackknife import jackknifed
from w2s_probes.foretelling.kernels import LeadingComponents, drawn_rows, gap_of
from w2s_probes.metrics.audit_design import AuditDesign
from w2s_probes.neighbors import search
from w2s_probes.neighbors.symmetric import symmetric_edges


def drawn(seed: int = 0, n: int = 200) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0.05, 0.95, n), rng.uniform(0.05, 0.95, n), rng.integers(0, 2, n).astype(float)


def test_shared_errors_are_those_of_the_published_package() -> None:
    weak, probe, truth = [0.9, 0.2, 0.6, 0.3], [0.8, 0.4, 0.3, 0.1], [1, 0, 1, 1]
    # Of lm-sim 0.1.1, CAPA().compute_k on [1 - p, p] of each row: observed .605, by chance .485.
    assert shared_errors(weak, probe, truth).estimate.value == pytest.approx(0.23300970873786422)
    # Hard labels, by hand: two of four agree, both right on half: (.5 - .5) / (1 - .5).
    assert shared_errors([1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1]).estimate.value == pytest.approx(0)
    assert shared_errors([1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 0, 0]).estimate.value == pytest.approx(1)


def test_the_error_of_shared_errors_is_that_of_a_jackknife_over_groups() -> None:
    weak, probe, truth = drawn()
    groups = np.repeat(np.arange(50), 4)
    left_out = [shared_errors(*(one[groups != g] for one in (weak, probe, truth))).estimate.value for g in range(50)]
    error = np.sqrt(49 / 50 * ((np.array(left_out) - np.mean(left_out)) ** 2).sum())
    assert shared_errors(weak, probe, truth, groups=groups).estimate.error == pytest.approx(error, rel=0.03)


def test_kappa_has_no_value_where_chance_agreement_is_one() -> None:
    sure = np.array([1.0, 0.0, 1.0])
    assert shared_errors(sure, sure, sure).status == "agreement by chance is 1: κ is undefined"
    assert shared_errors(sure, sure, 1 - sure).estimate.value != shared_errors(sure, sure, 1 - sure).estimate.value
    assert "no truth" in shared_errors(sure, sure, np.full(3, np.nan)).status


def test_rows_without_truth_are_left_out() -> None:
    weak, probe, truth = drawn()
    some = np.where(np.arange(200) < 80, truth, np.nan)
    found = shared_errors(weak, probe, some)
    assert found.n == 80
    assert found.estimate == shared_errors(weak[:80], probe[:80], truth[:80]).estimate


def test_misfits_are_mean_divergences() -> None:
    weak, probe, _ = drawn()
    assert misfit(weak, probe).estimate.value == pytest.approx(((weak - probe) ** 2).mean())
    kl = probe * np.log(probe / weak) + (1 - probe) * np.log((1 - probe) / (1 - weak))
    found = misfit(weak, probe, by="kl")
    assert found.estimate.value == pytest.approx(kl.mean())
    assert found.estimate.error == pytest.approx(kl.std(ddof=1) / np.sqrt(200))
    assert misfit(weak, probe, by="kl", groups=np.zeros(200)).status == "no interval: the rows are one group"
    assert misfit([0.0, 0.4], [0.1, 0.4], by="kl").status == "infinite: 1 weak labels are 0 or 1"
    assert misfit([0.0, 0.4], [0.0, 0.4], by="kl").estimate.value == 0
    with pytest.raises(InputError, match="by='kll': did you mean 'kl'"):
        misfit(weak, probe, by="kll")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="200 weak labels but 3 scores"):
        misfit(weak, probe[:3])


def test_the_gain_of_a_projection_is_at_least_its_misfit() -> None:
    """Charikar et al., theorem 1: the strong class is a span that holds the truth, the fit a projection."""
    rng = np.random.default_rng(0)
    strong = np.linalg.qr(rng.normal(size=(300, 20)))[0]
    truth = strong @ rng.normal(size=20)
    weak = truth + rng.normal(size=300) * 0.3
    student = strong @ (strong.T @ weak)
    gain = ((weak - truth) ** 2).mean() - ((student - truth) ** 2).mean()
    # In probabilities, which the function takes: the misfit of any shifted and shrunk numbers is shrunk alike.
    low, span = min(weak.min(), student.min()), np.ptp(np.concatenate([weak, student]))
    found = misfit((weak - low) / span, (student - low) / span).estimate.value * span**2
    assert gain == pytest.approx(found)  # the class is a subspace: equality


def dense_projection(X: NDArray[np.float64], share: float, ridge: float) -> tuple[NDArray[np.float64], int]:
    values, vectors = np.linalg.eigh((X - X.mean(0)) @ (X - X.mean(0)).T / len(X))
    k = next(k for k in range(1, len(X)) if values[-k:].sum() >= share * values.sum() - 1e-9)
    kernel = (vectors[:, -k:] * values[-k:]) @ vectors[:, -k:].T
    return kernel @ np.linalg.inv(kernel + ridge * values[-k:].mean() * np.eye(len(X))), k


@pytest.mark.parametrize(("weak_width", "strong_width"), [(6, 30), (90, 5)])
def test_kernels_are_those_of_dense_matrices(weak_width: int, strong_width: int) -> None:
    rng = np.random.default_rng(weak_width)
    common = rng.normal(size=(60, 5))
    weak = np.hstack([common, rng.normal(size=(60, weak_width - 5))])
    strong = np.hstack([common + 0.5 * rng.normal(size=(60, 5)), rng.normal(size=(60, strong_width - 5))])
    weak, strong = weak.astype(np.float32).astype(np.float64), strong.astype(np.float32).astype(np.float64)
    (p_weak, k), (p_strong, _) = (dense_projection(X, 0.9, 0.1) for X in (weak, strong))
    gap = np.linalg.norm(p_strong @ (np.eye(60) - p_weak), 2)
    assert kernel_gap(weak, strong, blocks=0).estimate.value == pytest.approx(gap, abs=1e-6)
    bases = [LeadingComponents.of(X).scores for X in (weak, strong)]
    cosines = np.cos(subspace_angles(*bases)) ** 2
    found = subspace_overlap(weak, strong)
    assert found.estimate.value == pytest.approx(cosines.sum() / k, abs=1e-6)
    assert found.estimate.low < found.estimate.value < found.estimate.high


def test_a_model_overlaps_wholly_with_itself_and_its_turned_self_and_no_more_than_chance_with_noise() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 12))
    turn = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    assert subspace_overlap(X, X @ turn * 3, share=1, blocks=0).estimate.value == pytest.approx(1)
    noise = [subspace_overlap(rng.normal(size=(400, 12)), X, share=1, blocks=0).estimate.value for _ in range(30)]
    assert np.mean(noise) == pytest.approx(12 / 399, rel=0.15)
    both = (LeadingComponents.of(X, 1), LeadingComponents.of(X, 1))
    assert gap_of(*both, 0) == pytest.approx(0, abs=1e-6)  # nothing that the strong one alone can learn
    assert kernel_gap(rng.normal(size=(400, 12)), X, blocks=0).estimate.value > 0.85


def test_kernels_of_equal_rows_have_a_status_and_wrong_settings_are_refused() -> None:
    X = np.random.default_rng(0).normal(size=(20, 3))
    assert subspace_overlap(np.ones((20, 2)), X).status == "all rows of a model are equal"
    assert "equal" in kernel_gap(X, np.ones((20, 2))).status
    with pytest.raises(InputError, match="20 rows of the weak model but 19 of the strong one"):
        subspace_overlap(X, X[1:])
    with pytest.raises(InputError, match="share=0"):
        subspace_overlap(X, X, share=0)
    with pytest.raises(InputError, match="ridge=-1"):
        kernel_gap(X, X, ridge=-1)


def test_large_sets_are_read_in_whole_groups() -> None:
    X = np.random.default_rng(0).normal(size=(300, 4))
    found = subspace_overlap(X, X, groups=np.repeat(np.arange(60), 5), rows=100, blocks=0)
    assert found.n == 100
    assert found.estimate.value == pytest.approx(1)
    assert len(drawn_rows(None, 1001, 1000, 0)) == 1000
    uneven = np.r_[np.zeros(600, np.intp), 1 + np.arange(600) // 2]
    drawn_groups = uneven[drawn_rows(uneven, 1200, 500, 0)]
    assert len(drawn_groups) == 500
    assert (np.unique(drawn_groups, return_counts=True)[1] == 2).all()
    assert len(drawn_rows(np.repeat([0, 1], 600), 1200, 500, 0)) == 500  # no group fits: rows of both


def brute(good: set[int], bad: set[int], found: set[int], near: set[tuple[int, int]], eta: float, n: int) -> float:
    """The least share of `bad` in any V of all 2^n that holds 1 - eta of the edges of `found`."""
    own = [edge for edge in near if edge[1] in found]
    least = min(
        len(bad & set(V))
        for size in range(n + 1)
        for V in itertools.combinations(range(n), size)
        if sum(edge[0] in V for edge in own) >= (1 - eta) * len(own) - 1e-9
    )
    return least / len(bad) / (len(found) / len(good))


@pytest.mark.parametrize("eta", [0, 0.1, 0.25, 0.5])
def test_expansion_is_the_least_over_all_sets(eta: float) -> None:
    rng = np.random.default_rng(round(100 * eta))
    for _ in range(6):
        X = rng.normal(size=(10, 2)).astype(np.float32)
        near = symmetric_edges(search(X, 2).indices)
        kind = rng.permutation([0] * 5 + [1] * 4 + [2])
        good, bad = kind == 0, kind == 1
        found = good & (rng.random(10) < 0.7)
        if not found.any():
            continue
        of_good, of_bad, of_found = (set(np.flatnonzero(one).tolist()) for one in (good, bad, found))
        expected = brute(of_good, of_bad, of_found, {(int(a), int(b)) for a, b in near}, eta, 10)
        assert expansion_of(good, bad, found, near, eta) == pytest.approx(expected)


def test_mistakes_among_right_rows_are_expanded_into_and_a_cluster_of_mistakes_is_not() -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (100, 2)), rng.normal(9, 1, (100, 2))]).astype(np.float32)
    truth, graph = np.ones(200), search(X, 10)
    truth[::2] = 0
    wrong = {"scattered": rng.random(200) < 0.3, "apart": np.arange(200) >= 100}
    values = {}
    for name, mistaken in wrong.items():
        weak = np.where(mistaken, 1 - truth, truth)
        found = robust_expansion(weak, truth, truth, graph, eta=0)
        values[name] = found.estimate.value
        assert found.n == 200
    assert values["scattered"] > 0.9
    assert values["apart"] == 0
    assert robust_expansion(truth, truth, truth, graph).status.startswith("no weak label is wrong")
    assert "no class has rows" in robust_expansion(1 - truth, truth, truth, graph).status
    assert "no truth" in robust_expansion(truth, truth, np.full(200, np.nan), graph).status
    with pytest.raises(InputError, match="eta=1"):
        robust_expansion(truth, truth, truth, graph, eta=1)
    with pytest.raises(InputError, match="a graph of 200 rows"):
        robust_expansion(truth[:3], truth[:3], truth[:3], graph)


def test_the_mahalanobis_cosine_is_that_of_the_covariance() -> None:
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6))).astype(np.float32)
    a, b = rng.normal(size=6), rng.normal(size=6)
    cov = np.cov(X.astype(np.float64), rowvar=False)
    expected = a @ cov @ b / np.sqrt(a @ cov @ a * (b @ cov @ b))
    found = mahalanobis_cosine(a, b, X)
    assert found.estimate.value == pytest.approx(expected)
    draws = []
    for _ in range(400):
        rows = rng.integers(500, size=500)
        draws.append(mahalanobis_cosine(a, b, X[rows]).estimate.value)
    assert found.estimate.error == pytest.approx(np.std(draws), rel=0.15)
    assert mahalanobis_cosine(a, -3 * a, X).estimate.value == pytest.approx(-1)


def test_the_cosine_to_a_targets_probe_ranks_probes_as_their_auroc_there() -> None:
    rng = np.random.default_rng(0)
    w = rng.normal(size=8)
    X = rng.normal(size=(600, 8)).astype(np.float32)
    y = expit(3 * X @ w)
    target = LogisticProbe().fit(X, y)
    values, scores = [], []
    for mixed in (0.0, 0.5, 1.0, 2.0, 4.0):
        probe = LogisticProbe().fit(X, expit(3 * X @ (w + mixed * rng.normal(size=8))))
        values.append(mahalanobis_cosine(probe, target, X).estimate.value)
        scores.append(np.corrcoef(X @ probe.coef_[0], X @ w)[0, 1])
    assert np.argsort(values).tolist() == np.argsort(scores).tolist()


def test_directions_that_cannot_be_compared_are_refused() -> None:
    X = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    with pytest.raises(InputError, match="the direction is of width 4, the layer of width 3"):
        mahalanobis_cosine(np.ones(3), np.ones(4), X)
    with pytest.raises(InputError, match="all 0: it is no direction"):
        mahalanobis_cosine(np.zeros(3), np.ones(3), X)
    with pytest.raises(InputError, match="LogisticProbe has no direction"):
        mahalanobis_cosine(LogisticProbe(), np.ones(3), X)
    flat = X.copy()
    flat[:, 0] = 0.1
    assert mahalanobis_cosine([1, 0, 0], np.ones(3), flat).status == "all rows are equal along a direction"


def test_the_jackknife_leaves_out_whole_groups_and_is_exact_for_a_mean() -> None:
    values = np.random.default_rng(0).normal(size=60)
    found = jackknifed(lambda rows: float(values[rows].mean()), 60, blocks=60)
    assert found.error == pytest.approx(values.std(ddof=1) / np.sqrt(60))
    groups = np.repeat(np.arange(15), 4)
    blocks = blocks_of(groups, 60, 4, np.random.default_rng(0))
    assert all(len(np.unique(blocks[groups == g])) == 1 for g in range(15))
    assert np.bincount(blocks).tolist() == [16, 16, 16, 12]
    assert np.isnan(jackknifed(lambda rows: 1.0, 5, np.zeros(5, np.intp)).low)


def test_intervals_stay_among_the_values_that_there_are_and_none_is_without_width() -> None:
    rng = np.random.default_rng(0)
    X, weak_X = rng.normal(size=(14, 6)), rng.normal(size=(14, 6))
    for found in (subspace_overlap(weak_X, X), kernel_gap(weak_X, X)):
        assert 0 <= found.estimate.low < found.estimate.high <= 1
    assert misfit([0.1, 0.9, 0.5], [0.9, 0.9, 0.5]).estimate.low == 0
    truth = rng.integers(0, 2, 200).astype(float)
    perfect = shared_errors(truth, rng.uniform(size=200), truth)
    assert perfect.estimate.value == pytest.approx(0)
    assert perfect.status == ALIKE
    assert np.isnan(perfect.estimate.low)
    # Rows of two clusters; in each the mistakes of one class are apart, whatever block of rows is left out.
    rows = np.concatenate([rng.normal(0, 1, (100, 2)), rng.normal(30, 1, (100, 2))]).astype(np.float32)
    weak = np.repeat([1.0, 0.0], 100)
    apart = robust_expansion(weak, weak, np.ones(200), search(rows, 10))
    assert apart.estimate.value == 0
    assert apart.status == ALIKE


def test_the_interval_of_the_cosine_covers_at_few_groups() -> None:
    first, second, covered = np.r_[1, 0, 0.5, 0], np.r_[1, 1, 0, 0], []
    whole = 1 / np.sqrt(1.25 * 2)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(25), 4)
        X = rng.normal(size=(25, 4))[groups] + 0.2 * rng.normal(size=(100, 4))
        found = mahalanobis_cosine(first, second, X.astype(np.float32), groups=groups).estimate
        assert -1 <= found.low <= found.high <= 1
        covered.append(found.low <= whole <= found.high)
    assert 0.9 <= np.mean(covered) <= 0.99


def test_rows_drawn_with_known_probabilities_count_for_those_that_they_stand_for() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 2000).astype(float)
    probe = np.clip(truth * 0.4 + 0.3 + 0.2 * rng.normal(size=2000), 0.02, 0.98)
    weak = np.clip(probe + 0.25 * rng.normal(size=2000), 0.02, 0.98)
    whole = shared_errors(weak, probe, truth).estimate.value
    far = np.abs(weak - probe) > 0.3
    inclusion = np.where(far, 80 / far.sum(), 60 / (~far).sum())
    covered, plain = [], []
    for seed in range(150):
        draw = np.random.default_rng(seed)
        rows = np.r_[draw.permutation(np.flatnonzero(far))[:80], draw.permutation(np.flatnonzero(~far))[:60]]
        known = np.isin(np.arange(2000), rows)
        design = AuditDesign(inclusion[known], far[known].astype(int))
        some = np.where(known, truth, np.nan)
        found = shared_errors(weak, probe, some, design=design).estimate
        covered.append(found.low <= whole <= found.high)
        unweighted = shared_errors(weak, probe, some).estimate
        plain.append(unweighted.low <= whole <= unweighted.high)
    assert np.mean(covered) >= 0.9
    assert np.mean(plain) < 0.2  # as if all had been as likely
    with pytest.raises(InputError, match="the design is of 140 rows but the truth of 139"):
        shared_errors(weak, probe, np.where(np.arange(2000) == rows[0], np.nan, some), design=design)


def test_a_classifier_that_scores_by_more_than_its_weights_has_no_direction() -> None:
    X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    y = (X[:, 0] > 0).astype(int)

    class Squared(LogisticRegression):  # type: ignore[misc]
        def predict_proba(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
            return np.asarray(super().predict_proba(X**2))

    with pytest.raises(InputError, match="Squared does not score rows by its `coef_` alone"):
        mahalanobis_cosine(Squared().fit(X, y), np.ones(3), X)
    several = LogisticRegression().fit(X, np.arange(60) % 3)
    with pytest.raises(InputError, match="LogisticRegression has 3 directions"):
        mahalanobis_cosine(several, np.ones(3), X)
    with pytest.raises(InputError, match="AttentionProbe has no direction"):
        mahalanobis_cosine(type("AttentionProbe", (LogisticRegression,), {})().fit(X, y), np.ones(3), X)
