"""Dawid and Skene's model: crowd-kit's numbers, a maximum of the likelihood by brute force, and planted rates."""

import warnings
from itertools import product

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from tests.worlds.rated import SENSITIVITY, SPECIFICITY, rated
from w2s_probes.raters import dawid_skene
from w2s_probes.raters.dawid_skene import fit_patterns
from w2s_probes.raters.rules import posterior
from w2s_probes.raters.vote_patterns import VotePatterns

ITERATIONS = 12  # of crowd-kit, which takes a tenth of a second for one

# What crowd-kit 1.4.2's DawidSkene(n_iter=5000, tol=-1) made of `votes(seed)`, without and with the known rows as
# `true_labels`: the share of label 1, the sensitivities and the specificities.
CROWD_KIT = {
    (0, False): (0.642655, (0.789415, 0.800946, 0.707972, 0.551338), (1.0, 0.915072, 0.733939, 0.882040)),
    (0, True): (0.435042, (0.941318, 1.0, 0.739355, 0.506956), (0.818007, 0.774994, 0.573101, 0.692970)),
    (1, False): (0.300372, (0.851987, 1.0, 0.935044, 0.729152), (0.744248, 0.899315, 0.744172, 0.746268)),
    (1, True): (0.263811, (0.906101, 1.0, 0.947270, 0.800914), (0.717870, 0.846439, 0.722273, 0.745195)),
}


def votes(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """60 rows of four raters, a quarter of the labels missing, and the truth of a fifth of the rows."""
    rng = np.random.default_rng(seed)
    truth = rng.random(60) < 0.4
    right = (rng.random((60, 4)) < np.array(SENSITIVITY), rng.random((60, 4)) >= np.array(SPECIFICITY))
    p = np.where(truth[:, None], *right).astype(float)
    p[rng.random((60, 4)) < 0.25] = np.nan
    p[np.isnan(p).all(axis=1), 0] = 1.0
    return p, np.where(rng.random(60) < 0.2, truth.astype(float), np.nan)


@pytest.mark.parametrize(("seed", "trusted"), CROWD_KIT)
def test_the_rates_are_those_that_crowd_kit_found(seed: int, trusted: bool) -> None:
    p, known = votes(seed)
    fit = dawid_skene(p, known if trusted else None)
    prior, sensitivity, specificity = CROWD_KIT[seed, trusted]
    assert fit.converged
    assert fit.prior == pytest.approx(prior, abs=2e-5)
    assert fit.sensitivity == pytest.approx(sensitivity, abs=2e-5)
    assert fit.specificity == pytest.approx(specificity, abs=2e-5)


@pytest.mark.parametrize("trusted", [False, True])
def test_each_iteration_is_crowd_kits_own(trusted: bool) -> None:
    reason = "crowd-kit is not installed: parity is tested on stored figures alone"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # crowd-kit's, of newer pandas
        aggregation = pytest.importorskip("crowdkit.aggregation", reason=reason)
        p, known = votes(2)
        rows, raters = np.nonzero(~np.isnan(p))
        data = pd.DataFrame({"task": rows, "worker": raters, "label": p[rows, raters].astype(int)})
        gold = pd.Series({row: int(side) for row, side in enumerate(known) if side == side}) if trusted else None
        theirs = aggregation.DawidSkene(n_iter=ITERATIONS, tol=-1).fit(data, gold)
    patterns = VotePatterns.of(p, known if trusted else None)
    fit = fit_patterns(patterns, np.ones(len(p)), tolerance=0, most=ITERATIONS + 1)
    errors = theirs.errors_
    assert fit.sensitivity == pytest.approx([errors.loc[(j, 1), 1] for j in range(4)], abs=1e-9)
    assert fit.specificity == pytest.approx([errors.loc[(j, 0), 0] for j in range(4)], abs=1e-9)
    last = fit_patterns(patterns, np.ones(len(p)), tolerance=0, most=ITERATIONS)  # by which they judge rows
    own = posterior(np.nan_to_num(p), np.nan_to_num(1 - p), last.prior, last.sensitivity, last.specificity)
    free = np.isnan(known) if trusted else np.ones(len(p), dtype=bool)
    assert own[free] == pytest.approx(theirs.probas_.sort_index()[1].to_numpy()[free], abs=1e-9)


def likelihood(p: NDArray[np.float64], rates: NDArray[np.float64]) -> float:
    """The expectation of log Σ_z P(z) Π P(vote | z) over every vote that raters may cast, by loops."""
    r, total = p.shape[1], 0.0
    for row in p:
        for votes in product(*[(0, 1) if label == label else (None,) for label in row]):
            chance, one, zero = 1.0, rates[0], 1 - rates[0]
            for j, vote in enumerate(votes):
                if vote is not None:
                    a, b = rates[1 + j], rates[1 + r + j]
                    chance *= row[j] if vote else 1 - row[j]
                    one *= a if vote else 1 - a
                    zero *= 1 - b if vote else b
            total += chance * np.log(one + zero)
    return total


@pytest.mark.parametrize("soft", [False, True])
def test_it_ends_at_a_maximum_of_the_likelihood_that_no_grid_point_beats(soft: bool) -> None:
    p = rated(25, sensitivity=(0.9, 0.8, 0.7), specificity=(0.8, 0.9, 0.7), missing=0.2, soft=soft, seed=3)[0]
    fit = dawid_skene(p)
    rates = np.concatenate([[fit.prior], fit.sensitivity, fit.specificity])
    best = likelihood(p, rates)
    for at in range(7):
        for step in (-1e-3, 1e-3):
            moved = rates.copy()
            moved[at] = np.clip(moved[at] + step, 1e-9, 1 - 1e-9)
            assert likelihood(p, moved) <= best + 1e-6
    # The two signs of the truth have one likelihood: the grid keeps to raters that are better than chance.
    assert max(likelihood(p, np.array(point)) for point in product((0.3, 0.6), *[(0.6, 0.9)] * 6)) <= best


def test_planted_rates_are_found_with_soft_and_missing_labels() -> None:
    p, truth = rated(20_000, missing=0.4, soft=True)
    fit = dawid_skene(p)
    assert fit.converged
    assert fit.sensitivity == pytest.approx(SENSITIVITY, abs=0.05)
    assert fit.specificity == pytest.approx(SPECIFICITY, abs=0.05)
    p, truth = rated(20_000, missing=0.4)
    fit = dawid_skene(p)
    assert fit.sensitivity == pytest.approx(SENSITIVITY, abs=0.03)
    assert fit.specificity == pytest.approx(SPECIFICITY, abs=0.03)
    assert fit.prior == pytest.approx(truth.mean(), abs=0.03)


def test_more_raters_than_votes_can_be_counted_of_have_votes_drawn() -> None:
    rates = (0.8,) * 10
    p = rated(3000, sensitivity=rates, specificity=rates, missing=0.2, soft=True)[0]
    fit = dawid_skene(p)
    assert fit.sensitivity == pytest.approx(rates, abs=0.03)
    assert fit.specificity == pytest.approx(rates, abs=0.03)
    turned = np.random.default_rng(0).permutation(len(p))
    assert dawid_skene(p[turned]).sensitivity == pytest.approx(fit.sensitivity, abs=1e-6)


def test_counts_stand_for_rows_that_are_there_so_often() -> None:
    p = rated(80, missing=0.2, seed=1)[0]
    counts = np.random.default_rng(0).integers(0, 4, 80)
    by_counts = fit_patterns(VotePatterns.of(p), counts.astype(float))
    by_rows = dawid_skene(np.repeat(p, counts, axis=0))
    assert by_counts.sensitivity == pytest.approx(by_rows.sensitivity, abs=1e-9)
    assert by_counts.prior == pytest.approx(by_rows.prior, abs=1e-9)


def test_a_rater_of_constant_answers_changes_no_label() -> None:
    p = rated(300, seed=2)[0]
    constant = np.column_stack([p, np.ones(len(p))])
    three, four = dawid_skene(p), dawid_skene(constant)
    assert four.sensitivity[-1] == pytest.approx(1)
    assert four.specificity[-1] == pytest.approx(0, abs=1e-8)
    one, more = (
        posterior(votes, 1 - votes, fit.prior, fit.sensitivity, fit.specificity)
        for votes, fit in ((p, three), (constant, four))
    )
    # The start counts its answer, too, and the way to the maximum is another one.
    assert more == pytest.approx(one, abs=1e-3)
