"""Weights by agreement alone: planted rates, the closed form of three raters, and what three cannot be had from."""

import numpy as np
import pytest

from tests.worlds.rated import SENSITIVITY, SPECIFICITY, label_sets, rated
from w2s_probes import InputError, auroc
from w2s_probes.raters import Ratings, combine
from w2s_probes.raters.agreement_of_raters import rates_by_agreement


@pytest.mark.parametrize("soft", [False, True])
def test_planted_rates_are_found_without_truth(soft: bool) -> None:
    p, truth = rated(40_000, missing=0.3, soft=soft)
    found = rates_by_agreement(p)
    assert found.sensitivity == pytest.approx(SENSITIVITY, abs=0.03)
    assert found.specificity == pytest.approx(SPECIFICITY, abs=0.03)
    assert found.prior == pytest.approx(truth.mean(), abs=0.03)
    informed = np.array(SENSITIVITY) + np.array(SPECIFICITY) - 1
    assert found.weights == pytest.approx(informed / informed.sum(), abs=0.02)
    assert found.explained > 0.99


def test_three_raters_have_the_closed_form_of_their_covariances() -> None:
    p = rated(500, sensitivity=(0.9, 0.8, 0.7), specificity=(0.8, 0.8, 0.8))[0]
    q = np.cov(2 * p - 1, rowvar=False, ddof=0)
    v = np.sqrt([q[0, 1] * q[0, 2] / q[1, 2], q[0, 1] * q[1, 2] / q[0, 2], q[0, 2] * q[1, 2] / q[0, 1]])
    assert rates_by_agreement(p).weights == pytest.approx(v / v.sum(), abs=1e-6)
    assert rates_by_agreement(p).explained == pytest.approx(1, abs=1e-9)


def test_a_rater_worse_than_chance_is_turned_around() -> None:
    p, truth = rated(4000, sensitivity=(0.9, 0.8, 0.8, 0.2), specificity=(0.8, 0.8, 0.8, 0.3))
    combined = combine(Ratings.of(label_sets(p)), "weights", draws=2)
    assert combined.combiner.weights[3] < 0
    mean = combine(Ratings.of(label_sets(p)), "mean")
    assert auroc(truth, combined.labels.values([f"r{i}" for i in range(len(p))])) > auroc(truth, mean.labels.p) + 0.02


def test_a_copy_of_a_rater_is_taken_for_an_accurate_one() -> None:
    """What the model cannot know: raters who err together. Both by agreement; by trusted rows each counts as before."""
    p = rated(4000)[0]
    copied = np.column_stack([p, p[:, 3]])  # of the worst
    alone, beside = rates_by_agreement(p), rates_by_agreement(copied)
    assert beside.weights[[3, 4]].sum() > 2 * alone.weights[3]
    assert beside.explained < 0.9 < alone.explained


def test_too_little_agreement_is_refused() -> None:
    p = rated(100)[0]
    with pytest.raises(InputError, match="weights by agreement take 3 raters, and there are 2"):
        combine(Ratings.of(label_sets(p[:, :2])), "weights")
    p[:60, 0], p[55:, 1] = np.nan, np.nan
    p[58:, 1] = np.nan
    with pytest.raises(InputError, match="a and b share 0 rows, and weights by agreement take 10"):
        combine(Ratings.of(label_sets(p)), "weights")
