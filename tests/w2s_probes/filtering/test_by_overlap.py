"""Overlap density: planted kinds of rows, both splits beside brute force, kin, statuses and refusals."""

from typing import Any

import numpy as np
import pytest

from w2s_probes import InputError
from w2s_probes.filtering import overlap_density, overlap_filter, overlap_rows
from w2s_probes.labels import LabelSet

KINDS = np.repeat(np.array(["easy", "hard", "overlap"], dtype=object), [300, 200, 100])


def planted() -> tuple[np.ndarray, np.ndarray]:
    """Rows that show one pattern, which the supervisor knows, another, or both; and its labels, unsure of the other."""
    rng = np.random.default_rng(1)
    side = rng.integers(2, size=len(KINDS)) * 2 - 1
    X = rng.normal(size=(len(KINDS), 16)) * 0.1
    X[:, 0] += 3 * side * (KINDS != "hard")
    X[:, 1] += 3 * side * (KINDS != "easy")
    y = np.where(KINDS == "hard", rng.uniform(0.45, 0.55, len(KINDS)), np.where(side > 0, 0.95, 0.05))
    return X.astype(np.float32), np.clip(y + rng.uniform(-0.04, 0.04, len(KINDS)), 0, 1)


X, Y = planted()


def brute(X: np.ndarray, y: np.ndarray, similarity: str, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hard and overlap rows by both splits, tried one by one, row beside row."""

    def split(values: np.ndarray) -> float:
        v = np.sort(values)
        costs = [v[:i].var() * i + v[i:].var() * (len(v) - i) for i in range(1, len(v))]
        return float(v[int(np.argmin(costs)) + 1])

    confidence = np.abs(2 * y - 1)
    hard = confidence < split(confidence)
    scores = np.full(len(y), -np.inf)
    for row in np.flatnonzero(~hard):
        for other in np.flatnonzero(hard & (groups != groups[row])):
            product = float(X[row].astype(float) @ X[other].astype(float))
            if similarity == "cosine":
                product = abs(product) / float(np.linalg.norm(X[row].astype(float)) * np.linalg.norm(X[other]))
            scores[row] = max(scores[row], product)
    return hard, ~hard & (scores >= split(scores[~hard]))


def test_planted_rows_are_told_apart() -> None:
    found = overlap_density(X, Y)
    assert found.status == "ok"
    assert found.kinds.tolist() == KINDS.tolist()
    assert found.density == pytest.approx(1 / 6)
    assert found.notes["overlap_rows"] == 100
    assert np.isnan(found.similarity[KINDS == "hard"]).all()
    assert overlap_filter(found).removed.tolist() == np.flatnonzero(KINDS == "hard").tolist()
    alone = overlap_filter(found, ["overlap"])
    assert (KINDS[alone.mask] == "overlap").all()
    assert set(alone.reasons) == {"", "hard row", "easy row"}
    assert (alone.scores[KINDS == "hard"] > 0.8).all()  # 1 - confidence


@pytest.mark.parametrize("similarity", ["cosine", "inner"])
def test_both_splits_are_those_of_brute_force(similarity: Any) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X, y, groups = rng.normal(1, 1, size=(60, 5)).astype(np.float32), rng.random(60), rng.integers(20, size=60)
        found = overlap_density(X, y, similarity=similarity, least_gain=0, groups=groups)
        hard, overlap = brute(X, y, similarity, groups)
        assert ((found.kinds == "hard") == hard).all()
        assert ((found.kinds == "overlap") == overlap).all()


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = overlap_density(X, Y).similarity
    monkeypatch.setattr(overlap_rows, "BLOCK", 7 * 200)
    assert overlap_density(X, Y).similarity == pytest.approx(whole, abs=1e-6, nan_ok=True)


def test_a_hard_row_of_its_own_group_or_an_equal_one_says_nothing_of_a_row() -> None:
    rows, labels = np.eye(6, dtype=np.float32) + 0.05, np.array([0.5, 0.52, 0.95, 0.99, 0.02, 0.05])
    rows[2], rows[3] = rows[0], rows[1] * 1.001
    free = overlap_density(rows, labels, least_gain=0)
    assert free.similarity[2] < 0.5  # row 0 is its equal
    assert free.similarity[3] == pytest.approx(1)
    kin = overlap_density(rows, labels, least_gain=0, groups=["a", "b", "c", "b", "d", "e"])
    assert kin.similarity[3] < 0.5
    family = overlap_density(rows, labels, least_gain=0, groups=["a", "a", "c", "a", "d", "e"])
    assert family.similarity[3] == 0  # no hard row outside its group


def test_without_a_change_point_there_is_a_status_and_all_rows_stay() -> None:
    smooth = np.linspace(0, 1, len(X))
    for labels, least, status in (
        ((Y > 0.5) * 1.0, 0.0, "no change point in confidence"),  # hard labels: all are as sure
        (smooth, 0.8, "no change point in confidence"),
        (Y, 0.999, "no change point in confidence"),
        (np.where(KINDS == "hard", 0.5, np.round(Y)), 0.999, "no change point in similarity"),
    ):
        found = overlap_density(X, labels, least_gain=least)
        assert found.status == status
        assert found.meaning
        assert np.isnan(found.density)
        assert found.notes["no_change_point"] == 1
        result = overlap_filter(found, ["overlap"])
        assert result.mask.all()
        assert not result.reasons.any()
        assert np.isfinite(result.scores).all()
    same = overlap_density(np.ones_like(X), Y)
    assert same.status == "no change point in similarity"  # equal rows are kin: nothing is like anything
    assert overlap_density(X, smooth, least_gain=0).status == "ok"  # as published: any split


def test_rows_of_zeros_scale_and_dtype() -> None:
    rows = X.copy()
    rows[0] = 0
    assert overlap_density(rows, Y).similarity[0] == 0
    for other in (X * 1e15, X.astype(np.float64) * 1e-15, X.astype(np.float16)):
        assert overlap_density(other, Y).kinds.tolist() == KINDS.tolist()
    with pytest.raises(InputError, match="too large for inner products"):
        overlap_density(X * 1e30, Y, similarity="inner")


def test_ids_stay_and_wrong_input_is_refused() -> None:
    ids = np.array([f"r{i}" for i in range(len(X))], dtype=object)
    found, wrong = overlap_density(X, Y), "cosin"
    result = overlap_filter(overlap_density(X, LabelSet(ids, Y, "weak")))
    assert result.ids is not None
    assert result.ids.tolist() == ids.tolist()
    assert result.probe == "overlap"
    any_: Any = wrong
    for call, said in (
        (lambda: overlap_density(X, Y, similarity=any_), "did you mean 'cosine'"),
        (lambda: overlap_density(X, Y, least_gain=1.5), r"least_gain=1.5 must be in \[0, 1\]"),
        (lambda: overlap_density(X, Y, least_gain=float("nan")), "least_gain=nan"),
        (lambda: overlap_density(X[1:], Y), "600"),
        (lambda: overlap_density(X, np.where(Y > 0.9, np.nan, Y)), "NaN"),
        (lambda: overlap_filter(found, ["overlapp"]), "did you mean 'overlap'"),
        (lambda: overlap_filter(found, []), "kinds of rows that stay"),
        (lambda: overlap_filter(found, "overlap"), "kinds of rows that stay"),
    ):
        with pytest.raises(InputError, match=said):
            call()
