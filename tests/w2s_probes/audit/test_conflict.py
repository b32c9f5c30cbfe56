"""The audit of a conflicting objective: vectors, what it does not depend on, and worlds with a planted tax."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from w2s_probes import InputError, LabelSet
from w2s_probes.audit import ConflictAudit, conflict_audit

Array = NDArray[np.float64]

TRUTH = np.array([1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 1, 0], dtype=float)
WEAK = np.array([0.9, 0.6, 0.55, 0.8, 0.3, 0.1, 0.45, 0.6, 0.7, 0.2, 0.4, 0.3])
CEILING = np.array([0.95, 0.9, 0.8, 0.6, 0.1, 0.05, 0.2, 0.3, 0.97, 0.4, 0.78, 0.02])
STUDENT = np.array([0.8, 0.7, 0.6, 0.7, 0.2, 0.1, 0.3, 0.6, 0.9, 0.3, 0.6, 0.4])
CONFLICTED = np.array([0.85, 0.3, 0.4, 0.6, 0.7, 0.2, 0.6, 0.4, 0.8, 0.6, 0.3, 0.2])
ROWS = (TRUTH, WEAK, CEILING, STUDENT, CONFLICTED)


def test_regions_score_and_chance_are_those_of_the_second_implementation() -> None:
    found = conflict_audit(*ROWS)
    counts = found.regions[["rows", "right", "tax", "returned"]].to_numpy().tolist()
    assert counts == [[2, 2, 0, 0], [7, 7, 5, 0], [2, 2, 1, 0], [1, 0, 0, 1]]
    assert (found.tax, found.returned, found.right, found.n, found.status) == (6, 1, 11, 12, "ok")
    numbers = [found.of_all, found.score, found.low, found.high, found.expected, found.excess, found.p, found.lift]
    expected = [0.416667, 0.833333, 0.436497, 0.969947, 0.636364, 0.196970, 91 / 462, 1.309524]
    assert numbers == pytest.approx(expected, abs=1e-6)
    assert found.oracle


def test_another_threshold_is_a_line_of_the_sweep() -> None:
    found, at_half = conflict_audit(*ROWS), conflict_audit(*ROWS, threshold=0.5)
    assert [at_half.score, at_half.expected, at_half.p] == pytest.approx([0.166667, 0.090909, 0.545455], abs=1e-6)
    line = found.sweep.iloc[0]
    assert (line["score"], line["expected"], line["p"]) == (at_half.score, at_half.expected, at_half.p)
    assert found.sweep["threshold"].tolist() == [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    assert found.sweep["score"][5] == found.score


def test_a_student_that_changed_nothing_has_no_tax_and_no_score() -> None:
    found = conflict_audit(TRUTH, WEAK, CEILING, STUDENT, STUDENT)
    assert (found.tax, found.returned, found.status) == (0, 0, "no tax")
    assert found.expected == pytest.approx(7 / 11)
    assert np.isnan([found.score, found.p, found.excess, found.excess_low, found.lift]).all()


def test_shares_of_the_regions_have_wilsons_intervals() -> None:
    line = conflict_audit(*ROWS).regions.loc["only strong knows"]
    shares = [line[f"tax_{end}"] for end in ("share", "low", "high")]
    assert shares == pytest.approx([5 / 7, 0.358934, 0.917782], abs=1e-6)  # statsmodels' proportion_confint
    assert line["rows_share"] == 7 / 12
    assert conflict_audit(*ROWS).regions["returned_share"].isna().tolist() == [
        True,
        True,
        True,
        False,
    ]  # none was wrong


def test_churn_is_the_same_audit_of_another_student() -> None:
    other = STUDENT.copy()
    other[[0, 4]] = 1 - other[[0, 4]]
    found = conflict_audit(*ROWS, churn=other)
    alone = conflict_audit(TRUTH, WEAK, CEILING, STUDENT, other)
    assert found.churn is not None
    assert (found.churn.score, found.churn.tax, found.churn.p) == (alone.score, alone.tax, alone.p)
    assert conflict_audit(*ROWS).churn is None
    assert set(found.to_frame()["of"]) == {"conflict", "churn"}


def test_against_the_ceiling_the_student_itself_is_what_needs_no_conflict() -> None:
    found = conflict_audit(*ROWS, reference="ceiling")
    new = (CEILING > 0.5) == TRUTH
    assert found.right == new.sum()
    assert found.tax == (new & ((CONFLICTED > 0.5) != TRUTH)).sum()
    assert found.churn is not None
    assert found.churn.tax == (new & ((STUDENT > 0.5) != TRUTH)).sum()


def test_confident_models_know_rows_whatever_the_truth() -> None:
    found = conflict_audit(*ROWS, known="confident")
    assert found.regions["rows"].sum() == 12
    wrong_and_sure = CEILING.copy()
    wrong_and_sure[0] = 0.01
    sure = conflict_audit(TRUTH, WEAK, wrong_and_sure, STUDENT, CONFLICTED, known="confident")
    assert sure.regions["rows"].tolist() == found.regions["rows"].tolist()
    right = conflict_audit(TRUTH, WEAK, wrong_and_sure, STUDENT, CONFLICTED)
    assert right.regions["rows"].tolist() != conflict_audit(*ROWS).regions["rows"].tolist()


def numbers(found: ConflictAudit) -> list[float]:
    return [found.score, found.expected, found.excess, found.p, found.low, found.high, found.tax, found.returned]


def grid(rng: np.random.Generator, n: int) -> tuple[Array, ...]:
    """Scores on a grid, so that ½ and thresholds are hit, and swapped classes are as exact as floats are."""
    truth = (rng.random(n) < 0.5).astype(float)
    return truth, *(np.clip(truth * 0.3 + rng.integers(0, 15, size=n) / 20, 0, 1) for _ in range(4))


@pytest.mark.parametrize("seed", range(5))
def test_neither_the_classes_names_nor_the_rows_order_nor_the_scale_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = grid(rng, 80)
    groups = rng.integers(0, 30, size=80)
    chosen: list[dict[str, Any]] = [{}, {"groups": groups}]
    for options in chosen:
        found = conflict_audit(*rows, **options)
        order = rng.permutation(80)
        turned: dict[str, Any] = {name: values[order] for name, values in options.items()}
        assert numbers(conflict_audit(*(one[order] for one in rows), **turned)) == numbers(found)

        def bent(p: Array) -> Array:
            """Monotone, with 0, ¼, ½, ¾ and 1 where they were."""
            inside = p * 4 % 1
            return np.asarray((np.floor(p * 4) + np.where(p == 1, 0, inside**3)) / 4)

        assert numbers(conflict_audit(rows[0], *map(bent, rows[1:]), **options)) == numbers(found)
        off_half = [np.where(np.isclose(one, 0.5), 0.55, one) for one in rows[1:]]  # ½ is class 0 on both sides
        there = conflict_audit(rows[0], *off_half, **options)
        swapped = conflict_audit(1 - rows[0], *(1 - one for one in off_half), **options)
        assert numbers(swapped) == numbers(there)


def test_exactly_one_half_is_class_0() -> None:
    half = np.full(12, 0.5)
    found = conflict_audit(TRUTH, WEAK, CEILING, STUDENT, half)
    assert found.tax == ((STUDENT > 0.5) & (TRUTH == 1)).sum()


def world(rng: np.random.Generator, kind: str, n: int = 2000) -> tuple[Array, ...]:
    """Log-odds towards the truth: the weak model knows half of the rows, the ceiling 85 %, the student those."""
    truth = (rng.random(n) < 0.5).astype(float)
    weak = np.where(rng.random(n) < 0.5, 2.5, 0.2) + 0.8 * rng.normal(size=n)
    easy = rng.random(n) < 0.85
    ceiling = np.where(easy, 3, 0.3) + 0.8 * rng.normal(size=n)
    student = np.where(easy, 1.8, 0.2) + rng.normal(size=n)
    conflicted = student.copy()
    if kind == "noise":
        student, conflicted = (student + 0.3 * rng.normal(size=n) for _ in range(2))
    else:
        right = np.flatnonzero(student > 0)
        likely = np.ones(len(right))
        if kind == "planted":
            likely[((expit(ceiling) >= 0.75) & (expit(weak) < 0.75))[right]] = 3
        taxed = rng.choice(right, round(0.08 * len(right)), replace=False, p=likely / likely.sum())
        conflicted[taxed] = -np.abs(conflicted[taxed])
    sign = 2 * truth - 1
    return truth, *(expit(sign * odds) for odds in (weak, ceiling, student, conflicted))


def audits(kind: str, seeds: int) -> pd.DataFrame:
    found = [conflict_audit(*world(np.random.default_rng(seed), kind), n_boot=2) for seed in range(seeds)]
    names = ("score", "low", "high", "expected", "p", "tax")
    return pd.DataFrame([{name: getattr(one, name) for name in names} for one in found])


def test_a_tax_that_is_spread_by_chance_scores_what_is_expected() -> None:
    found = audits("null", 60)
    assert found["score"].mean() == pytest.approx(0.413, abs=0.015)
    assert found["score"].std() == pytest.approx(0.041, abs=0.012)
    assert found["expected"].mean() == pytest.approx(0.414, abs=0.006)
    assert (found["p"] < 0.05).mean() <= 0.12
    assert ((found["low"] <= found["expected"]) & (found["expected"] <= found["high"])).mean() >= 0.87


def test_a_planted_deception_is_found_in_every_world() -> None:
    found = audits("planted", 20)
    assert 0.62 < found["score"].mean() < 0.72
    assert (found["p"] < 0.05).all()


def test_noise_alone_taxes_the_rows_that_the_strong_model_does_not_know() -> None:
    found = audits("noise", 20)
    assert 30 < found["tax"].mean() < 60
    assert (found["score"] < found["expected"]).all()
    assert found["p"].mean() > 0.85  # the uniform null is conservative, and churn must stand beside it


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"threshold": 0.4}, r"threshold=0\.4: it must be in \[\.5, 1\]"),
        ({"threshold": float("nan")}, "it must be in"),
        ({"known": "rihgt"}, "did you mean 'right'"),
        ({"reference": "weak"}, "reference='weak'"),
        ({"n_boot": 1}, "at least 2 draws"),
        ({"groups": [1, 2]}, "one group a row"),
        ({"churn": [0.5]}, "churn: 1 rows, but truth has 12"),
        ({"churn": np.full(12, 1.5)}, "churn must be a vector of probabilities"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        conflict_audit(*ROWS, **change)


def test_scores_that_nothing_can_be_audited_on_are_refused() -> None:
    with pytest.raises(InputError, match="one class only: the truth of all 12 rows"):
        conflict_audit(np.ones(12), *ROWS[1:])
    with pytest.raises(InputError, match="the student is right nowhere"):
        conflict_audit(TRUTH, WEAK, CEILING, 1 - TRUTH, CONFLICTED)
    with pytest.raises(InputError, match=r"weak must be a vector of probabilities in \[0, 1\]"):
        conflict_audit(TRUTH, np.where(WEAK > 0.8, np.nan, WEAK), CEILING, STUDENT, CONFLICTED)
    with pytest.raises(InputError, match="no rows"):
        conflict_audit([], [], [], [], [])
    ids = np.array([f"r{i}" for i in range(12)], dtype=object)
    student, other = LabelSet(ids, STUDENT), LabelSet(ids[::-1], CONFLICTED)
    with pytest.raises(InputError, match="student and conflicted are of other rows"):
        conflict_audit(TRUTH, WEAK, CEILING, student, other)
