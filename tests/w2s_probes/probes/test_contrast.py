"""The contrast-consistent probe: its closed form, worlds in which it finds the truth and in which it cannot."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from w2s_probes import InputError, auroc, relabel
from w2s_probes.probes import ContrastProbe, LogisticProbe, paired_sides, shuffled_sides, swapped_sides
from w2s_probes.rows.folds import fold_numbers

Matrix = NDArray[np.float32]
Vector = NDArray[np.float64]


def world(
    n: int = 600, d: int = 12, truth: float = 1.5, other: float = 0.0, noise: float = 0.3, seed: int = 0
) -> tuple[Matrix, Vector, Vector]:
    """[x⁺, x⁻] (n, 2d), the truth, weak labels of which an exact share is wrong.

    Column 0 has the truth with another sign on each side, column 1 a feature beside it that flips likewise, column 2
    what tells the sides apart, and all columns a topic that both sides share.
    """
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % 2).astype(float)
    feature = rng.choice([-1.0, 1.0], n)
    topic = rng.normal(0, 2, (n, d))
    sides = []
    for sign in (1.0, -1.0):
        side = topic + rng.normal(0, 1, (n, d))
        side[:, 0] += sign * truth * (2 * y - 1)
        side[:, 1] += sign * other * feature
        side[:, 2] += sign * 5
        sides.append(side)
    weak = y.copy()
    wrong = rng.permutation(n)[: round(noise * n)]
    weak[wrong] = 1 - weak[wrong]
    return paired_sides(*sides), y, np.where(weak > 0.5, 0.8, 0.2)


def test_the_direction_is_the_first_principal_component_of_standardised_differences() -> None:
    X, _, weak = world(n=200)
    probe = ContrastProbe().fit(X, weak)
    plus, minus = (StandardScaler().fit_transform(side.astype(np.float64)) for side in np.hsplit(X, 2))
    component = PCA(1).fit(plus - minus)
    expected = component.components_[0]
    assert abs(float(expected @ probe.direction_)) == pytest.approx(1, abs=1e-6)
    assert probe.explained_ == pytest.approx(component.explained_variance_ratio_[0], rel=1e-6)


def test_narrow_and_wide_matrices_have_one_closed_form_and_consistency_is_the_eigenvector_of_its_matrix() -> None:
    X, _, weak = world(n=60, d=90, noise=0.2)
    sides = [StandardScaler().fit_transform(side.astype(np.float64)) for side in np.hsplit(X, 2)]
    difference, total = sides[0] - sides[1], sides[0] + sides[1]
    for consistency in (0.0, 0.5, 2.0):
        matrix = (difference.T @ difference - consistency * total.T @ total) / len(X)
        values, vectors = np.linalg.eigh(matrix)
        found = ContrastProbe(consistency).fit(X, weak).direction_
        assert abs(float(found @ vectors[:, -1])) == pytest.approx(1, abs=1e-6)
        assert float(found @ matrix @ found) == pytest.approx(values[-1], rel=1e-6)


def test_weak_labels_choose_the_sign_and_the_calibration_and_nothing_else() -> None:
    X, _, weak = world()
    probe = ContrastProbe().fit(X, weak)
    plus, minus = (StandardScaler().fit_transform(side.astype(np.float64)) for side in np.hsplit(X, 2))
    s = (plus - minus) @ probe.direction_
    s = (s / s.std())[:, None]
    twice, weights = np.vstack([s, s]), np.concatenate([weak, 1 - weak])
    labels = np.repeat([1, 0], len(s))
    by_hand = LogisticRegression(C=1 / (2 * len(s) * 1e-3), tol=1e-10).fit(twice, labels, sample_weight=weights)
    np.testing.assert_allclose(probe.predict_proba(X)[:, 1], by_hand.predict_proba(s)[:, 1], atol=1e-4)
    turned = ContrastProbe().fit(X, 1 - weak)
    np.testing.assert_allclose(turned.predict_proba(X)[:, 1], 1 - probe.predict_proba(X)[:, 1], atol=1e-5)
    np.testing.assert_array_equal(turned.direction_, probe.direction_)


def test_it_finds_the_truth_where_a_third_of_the_weak_labels_are_wrong() -> None:
    X, y, weak = world(noise=0.35)
    p = relabel(ContrastProbe(), X, weak)
    assert auroc(y, p) > 0.95
    assert auroc(y, p) > auroc(y, relabel(LogisticProbe(1e-2), X, weak)) + 0.02
    shuffled = relabel(ContrastProbe(), shuffled_sides(X, seed=1), weak)
    assert auroc(y, shuffled) < 0.8  # the control: x⁻ of other rows
    swapped = swapped_sides(X, seed=1)
    assert 0.4 < auroc(y, relabel(ContrastProbe(), swapped, weak)) < 0.6  # the other: no side has a sense
    same = (swapped == X).all(axis=1)
    assert 0.4 < same.mean() < 0.6
    np.testing.assert_array_equal(swapped[~same], np.hstack(np.hsplit(X, 2)[::-1])[~same])


def test_a_column_that_one_side_lacks_is_left_out_of_both() -> None:
    X, _, weak = world(n=100)
    X[:, 12 + 1] = 7  # of x⁻
    without = np.delete(X, [1, 12 + 1], axis=1)
    expected = ContrastProbe().fit(without, weak).predict_proba(without)
    np.testing.assert_allclose(ContrastProbe().fit(X, weak).predict_proba(X), expected, atol=1e-6)


def test_it_fails_where_another_feature_flips_more_than_the_truth() -> None:
    X, y, weak = world(truth=1.0, other=3.0, noise=0.2)
    assert 0.4 < auroc(y, relabel(ContrastProbe(), X, weak)) < 0.65
    assert auroc(y, relabel(LogisticProbe(1e-2), X, weak)) > 0.8  # labels tell it, contrast alone does not


def test_scores_of_training_rows_are_cross_fitted_direction_sign_and_calibration() -> None:
    X, _, weak = world(n=120)
    groups = np.arange(120) // 2
    p, fold = relabel(ContrastProbe(), X, weak, groups=groups), fold_numbers(X, weak, groups=groups)
    for number in range(5):
        fitted = ContrastProbe().fit(X[fold != number], weak[fold != number])
        np.testing.assert_array_equal(p[fold == number], fitted.predict_proba(X[fold == number])[:, 1])


def test_weak_labels_of_noise_are_not_learned() -> None:
    X, _, weak = world()
    noise = np.random.default_rng(5).permutation(weak)
    assert 0.4 < auroc(noise > 0.5, relabel(ContrastProbe(), X, noise)) < 0.6


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda X, y: ContrastProbe().fit(X[:, :5], y), "an even number of columns; got shape"),
        (lambda X, y: ContrastProbe(-1).fit(X, y), "consistency=-1: give 0"),
        (lambda X, y: ContrastProbe().fit(np.hstack([X[:, :12], X[:, :12]]), y), "is it one text twice"),
        (lambda X, y: ContrastProbe().fit(np.hstack([X[:, :12], X[:, :12] * (1 + 1e-7)]), y), "is it one text twice"),
        (lambda X, y: ContrastProbe().fit(np.hstack([X[:, :12], X[:1, 12:].repeat(40, 0)]), y), "is one side a single"),
        (lambda X, y: swapped_sides(X[:, :3]), "an even number of columns"),
        (lambda X, y: paired_sides(X[:, :4], X[:3, :4]), "the two sides have shapes"),
        (lambda X, y: shuffled_sides(X[:, :3]), "an even number of columns"),
    ],
)
def test_what_is_no_pair_is_refused(call: Any, said: str) -> None:
    X, _, weak = world(n=40)
    with pytest.raises(InputError, match="(?s)" + said.replace("?", r"\?")):
        call(X, weak)
