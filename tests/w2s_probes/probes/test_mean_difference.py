"""Mean differences: scores without a row are those of a fit without it, and the whitened one is scikit-learn's LDA."""

from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.covariance import ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from tests.conftest import planted
from w2s_probes import InputError, auroc, load_probe, relabel, save_probe
from w2s_probes.probes import PROBES, MeanDifferenceProbe, WhitenedMeanDifferenceProbe
from w2s_probes.rows.groups import group_ids

KINDS: list[Any] = [MeanDifferenceProbe, WhitenedMeanDifferenceProbe]


def world(n: int, width: int, *, soft: bool = True, mean: float = 0.0, seed: int = 0) -> tuple[Any, Any]:
    """Rows (n, width) of unequal columns around a mean, and labels (n,) that three columns tell something of."""
    rng = np.random.default_rng(seed)
    y = rng.uniform(size=n)
    X = rng.normal(size=(n, width)) * rng.uniform(0.1, 3, size=width) + mean
    X[:, :3] += y[:, None]
    return X.astype(np.float32), y if soft else (y > 0.5).astype(float)


def left_out_by_hand(kind: Any, X: Any, y: Any, ids: Any) -> Any:
    """Log-odds (n,) of each row from a fit without all rows of its code."""
    found = np.empty(len(X))
    for code in np.unique(ids):
        out = ids == code
        found[out] = kind().fit(X[~out], y[~out]).decision_function(X[out])
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize(
    ("n", "width", "groups", "mean"),
    [
        (60, 5, None, 0),
        (60, 200, None, 0),  # wider than the rows
        (200, 30, 20, 0),
        (60, 90, 6, 0),  # six groups of ten
        (200, 20, None, 1000),  # as large means as bfloat16 has them
        (60, 1, 9, 0),
    ],
)
def test_scores_without_a_row_are_those_of_a_fit_without_it(
    kind: Any, soft: bool, n: int, width: int, groups: int | None, mean: float
) -> None:
    X, y = world(n, width, soft=soft, mean=mean)
    ids = np.arange(n) if groups is None else np.random.default_rng(1).integers(groups, size=n)
    probe = kind().fit(X, y, group_ids=ids)
    expected = left_out_by_hand(kind, X, y, ids)
    assert logit(probe.out_of_sample_) == pytest.approx(expected, rel=1e-6, abs=1e-6 * np.abs(expected).max())
    assert np.abs(probe.decision_function(X) - expected).max() > 1e-4  # the control: in-sample scores are others


@pytest.mark.parametrize("n", [1500, 1100])
def test_large_layers_in_float32_products_lose_no_digit_that_counts(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ways to the same squares: by the columns where rows are many, by the rows where they are few."""
    X, y = world(n, 1000, soft=True)
    ids = np.random.default_rng(1).permutation(n) // 2
    scored = logit(MeanDifferenceProbe().fit(X, y, group_ids=ids).out_of_sample_)
    for code in range(5):
        out = ids == code
        by_hand = MeanDifferenceProbe().fit(X[~out], y[~out]).decision_function(X[out])
        assert scored[out] == pytest.approx(by_hand, rel=1e-6, abs=1e-7)


def test_rows_taken_in_many_blocks_give_the_line_of_plain_float64() -> None:
    """Sorted by label and far from 0, so that the first block is like no other."""
    X, y = world(900, 300, mean=1000)
    order = np.argsort(y)
    X, y = X[order], y[order]
    wide = X.astype(np.float64)
    ones, zeros = (np.average(wide, axis=0, weights=weight) for weight in (y, 1 - y))
    gap = ones - zeros
    projected = [wide @ gap - mean @ gap for mean in (ones, zeros)]
    variance = (y @ projected[0] ** 2 + (1 - y) @ projected[1] ** 2) / len(y)
    direction = gap @ gap / variance * gap
    offset = np.log(y.sum() / (1 - y).sum()) - direction @ (ones + zeros) / 2
    probe = MeanDifferenceProbe().fit(X, y)
    assert probe.coef_[0] == pytest.approx(direction, rel=1e-8, abs=1e-10 * np.abs(direction).max())
    assert probe.decision_function(X) == pytest.approx(wide @ direction + offset, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("far", [1e4, 1e7, 1e10])
def test_a_row_far_from_all_others_is_scored_as_by_a_fit_without_it(kind: Any, far: float) -> None:
    X, y = world(60, 5)
    X[7] *= np.float32(far)
    X[[11, 30]] *= np.float32(far)  # of one group: nothing of the other's size is left without it
    ids = np.arange(60)
    ids[[7, 30]] = 11
    expected = expit(left_out_by_hand(kind, X, y, ids))
    assert kind().fit(X, y, group_ids=ids).out_of_sample_ == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_duplicates_and_groups_are_left_out_together(kind: Any) -> None:
    X, y = world(80, 10)
    X[1], X[3] = X[0], X[2]
    groups = np.array([None] * 80, dtype=object)
    groups[[2, 5, 7]] = "a"
    expected = left_out_by_hand(kind, X, y, group_ids(X, groups))
    assert relabel(kind(), X, y, groups=groups) == pytest.approx(expit(expected), rel=1e-6)
    alone = kind().fit(X, y).out_of_sample_
    assert abs(alone[0] - expit(expected)[0]) > 1e-6  # the control: a row whose twin stays


def test_log_odds_are_those_of_two_normal_distributions_along_the_line() -> None:
    """Worked by hand, with scikit-learn's LDA of the projections as the oracle."""
    X, y = world(300, 6, soft=False)
    probe = MeanDifferenceProbe().fit(X, y)
    wide = X.astype(np.float64)
    line = wide[y == 1].mean(axis=0) - wide[y == 0].mean(axis=0)
    projected = (wide @ line)[:, None]
    lda = LinearDiscriminantAnalysis(solver="lsqr").fit(projected, y)
    assert probe.decision_function(X) == pytest.approx(lda.decision_function(projected), rel=1e-8)
    cosine = probe.coef_[0] @ line / np.linalg.norm(probe.coef_[0]) / np.linalg.norm(line)
    assert cosine == pytest.approx(1)


@pytest.mark.parametrize(("n", "width"), [(200, 30), (40, 100), (50, 1), (300, 299)])
def test_the_whitened_one_is_discriminant_analysis_with_the_shrinkage_of_ledoit_and_wolf(n: int, width: int) -> None:
    X, y = world(n, width, soft=False, mean=5)
    probe = WhitenedMeanDifferenceProbe().fit(X, y)
    wide = X.astype(np.float64)
    within = wide - np.where(y[:, None] > 0, wide[y == 1].mean(axis=0), wide[y == 0].mean(axis=0))
    shrinkage = ledoit_wolf(within, assume_centered=True)[1]
    assert probe.shrinkage_ == pytest.approx(shrinkage)
    assert (shrinkage > 0) == (width > 1)
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(wide, y)
    assert probe.coef_ == pytest.approx(lda.coef_, rel=1e-6, abs=1e-8)
    assert probe.decision_function(X) == pytest.approx(lda.decision_function(wide), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_a_soft_label_counts_as_two_rows_of_its_weights(kind: Any) -> None:
    """¼ and ¾ of a row, four times, are one hard row of either class and three of the other."""
    X, _ = world(40, 6)
    soft = np.where(np.arange(40) % 2, 0.75, 0.25)
    hard = np.concatenate([soft > 0.5, soft > 0.5, soft > 0.5, soft < 0.5]).astype(float)
    whole, parts = kind().fit(X, soft), kind().fit(np.concatenate([X] * 4), hard)
    if kind is MeanDifferenceProbe:
        assert whole.decision_function(X) == pytest.approx(parts.decision_function(X), rel=1e-6)
    else:  # four times the rows are shrunk less
        assert parts.shrinkage_ < whole.shrinkage_
    assert whole.intercept_.shape == (1,)


@pytest.mark.parametrize("kind", KINDS)
def test_they_see_through_label_noise_and_nothing_in_noise(kind: Any) -> None:
    data, fresh = planted(n=600, noise=0.2), planted(n=400, seed=1)
    fitted = kind().fit(data.X, data.weak)
    assert auroc(fresh.truth, fitted.predict_proba(fresh.X)[:, 1]) > 0.97
    assert auroc(data.truth, fitted.out_of_sample_) > 0.97
    blank = planted(n=1000, d=16, noise=0.5, apart=0)
    noise = kind().fit(blank.X, blank.weak)
    assert abs(auroc(blank.weak, noise.out_of_sample_) - 0.5) < 0.06  # three standard errors at n = 1000


@pytest.mark.parametrize("kind", KINDS)
def test_bad_input_is_one_line(kind: Any) -> None:
    X, y = world(40, 6, soft=False)
    with pytest.raises(InputError, match=r"the means of both classes are equal over these 40 rows.*another layer"):
        kind().fit(np.tile(X[:1], (40, 1)), y)
    mirrored = np.concatenate([X[:20], X[:20]])
    with pytest.raises(InputError, match="the means of both classes are equal"):
        kind().fit(mirrored, np.repeat([0.0, 1.0], 20))
    with pytest.raises(InputError, match="one class only"):
        kind().fit(X, np.zeros(40))
    with pytest.raises(InputError, match="labels have shape"):
        kind().fit(X, y[:-1])
    with pytest.raises(ValueError, match=r"X has 5 features, but .*Probe is expecting 6"):
        kind().fit(X, y).predict_proba(X[:, :5])
    single = np.zeros(40)
    single[7] = 1
    fitted = kind().fit(X, single)
    with pytest.raises(InputError, match=r"without row 7 and those equal or related to it no row of class 1 is left"):
        _ = fitted.out_of_sample_


@pytest.mark.parametrize("kind", KINDS)
def test_constant_columns_and_rows_without_scatter_stay_finite(kind: Any) -> None:
    X, y = world(50, 8)
    X[:, 4] = 3
    probe = kind().fit(X, y)
    assert abs(probe.coef_[0, 4]) < 1e-6 * np.abs(probe.coef_).max()
    without = kind().fit(np.delete(X, 4, axis=1), y)
    if kind is MeanDifferenceProbe:  # shrinkage counts the columns
        assert probe.decision_function(X) == pytest.approx(without.decision_function(np.delete(X, 4, axis=1)), rel=1e-6)
    two = np.repeat([[0.0, 1.0], [1.0, 3.0]], 10, axis=0).astype(np.float32)
    apart = kind().fit(two, np.repeat([0.0, 1.0], 10))
    for p in (apart.predict_proba(two)[:, 1], apart.out_of_sample_):
        assert p == pytest.approx(np.repeat([0.0, 1.0], 10), abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_one_scores_new_rows_and_has_left_its_own(kind: Any, tmp_path: Any) -> None:
    X, y = world(60, 6)
    fitted = kind().fit(X, y)
    _ = fitted.out_of_sample_
    save_probe(fitted, tmp_path / "p.safetensors")
    assert (tmp_path / "p.safetensors").stat().st_size < 2000  # neither rows nor a matrix
    loaded = load_probe(tmp_path / "p.safetensors")
    assert np.array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert loaded.classes_.tolist() == [0, 1]
    with pytest.raises(InputError, match="has left its training rows: fit it again"):
        _ = loaded.out_of_sample_


def test_they_are_entries_without_a_value() -> None:
    for name, kind in zip(("mean-difference", "mean-difference-whitened"), KINDS, strict=True):
        assert type(PROBES[name].make(3, index="exact")) is kind
        assert PROBES[name].value is None
        assert not PROBES[name].cross_fitted
        assert PROBES[name].code is None
