"""Simulated supervisors: errors as many and where asked for, and students do with them what was published."""

import re
from itertools import pairwise
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from tests.conftest import ROOT
from w2s_probes import InputError, LogisticProbe, accuracy, auroc
from w2s_probes.randomness import stream
from w2s_probes.simulated import (
    ERROR_KINDS,
    STRENGTHS,
    ErrorBalance,
    ErrorKind,
    error_balance,
    first_features,
    hard,
    mistaken,
    principal_coordinates,
    trivial_imitation,
)

Floats = NDArray[np.float64]
PICKED = tuple(kind for kind in ERROR_KINDS if kind != "own")  # kinds whose number of errors is free
FIT, TRAIN, TEST = slice(0, 2000), slice(2000, 5000), slice(5000, 7000)


def activations(seed: int, n: int = 7000, d: int = 60) -> tuple[NDArray[np.float32], Floats]:
    """Features that tell equally much of the truth, and a little that none tells."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)).astype(np.float32)
    truth = X.sum(axis=1) / np.sqrt(d) + 0.25 * rng.normal(size=n) > 0
    return X, truth.astype(np.float64)


def student_accuracy(X: NDArray[np.float32], truth: Floats, labels: Floats) -> float:
    """On test rows, of a probe on all features that learned from labels of the training rows."""
    student = LogisticProbe(1e-3).fit(X[TRAIN], labels)
    return accuracy(truth[TEST], student.predict_proba(X[TEST])[:, 1])


@pytest.mark.parametrize("order", ["stored", "principal"])
@pytest.mark.parametrize("seed", range(3))
def test_a_student_of_nested_features_gains_nothing_but_one_of_random_flips_does(seed: int, order: Any) -> None:
    X, truth = activations(seed)
    ceiling = student_accuracy(X, truth, truth[TRAIN])
    for k in (6, 15, 30):
        weak = hard(first_features(X[FIT], truth[FIT], X, k, l2=1e-3, order=order))
        supervisor = accuracy(truth[TEST], weak[TEST])
        nested = student_accuracy(X, truth, weak[TRAIN])
        flipped = mistaken("random", truth[TRAIN], weak=weak[TRAIN], seed=seed)
        assert error_balance(truth[TRAIN], flipped).errors == error_balance(truth[TRAIN], weak[TRAIN]).errors
        assert ceiling - supervisor > 0.1
        assert abs(nested - supervisor) < 0.1 * (ceiling - supervisor)
        assert student_accuracy(X, truth, flipped) - supervisor > 0.3 * (ceiling - supervisor)


def test_supervisors_grow_stronger_with_the_number_of_features() -> None:
    X, truth = activations(0)
    found = [accuracy(truth[TEST], first_features(X[FIT], truth[FIT], X[TEST], k)) for k in (2, 10, 30, 60)]
    assert (np.diff(found) > 0.03).all()
    assert STRENGTHS == (10, 30, 100, 300, 1000)


def test_the_supervisor_is_a_logistic_regression_on_the_first_columns_alone() -> None:
    X, truth = activations(1, n=400, d=10)
    oracle = LogisticRegression(C=1 / (2 * 300 * 1e-2), tol=1e-10, max_iter=10_000).fit(
        X[:300, :4].astype(float), truth[:300]
    )
    found = first_features(X[:300], truth[:300], X[300:], 4, l2=1e-2)
    np.testing.assert_allclose(found, oracle.predict_proba(X[300:, :4])[:, 1], atol=1e-6)
    unseen = X.copy()
    unseen[:, 4:] = 7 * unseen[:, 4:] + 1
    assert (first_features(unseen[:300], truth[:300], unseen[300:], 4, l2=1e-2) == found).all()
    assert (first_features(unseen[:300], truth[:300], unseen[300:], 5, l2=1e-2) != found).any()


@pytest.mark.parametrize("n", [300, 8])
def test_principal_components_are_scikit_learns_and_do_not_mind_a_common_offset(n: int) -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(400, 10)) * np.geomspace(1, 0.1, 10)
    k = min(6, n - 1)
    oracle = PCA(k, svd_solver="full").fit(X[:n])
    for offset, tolerance in ((0.0, 1e-5), (1000.0, 1e-3)):  # float32 rounds 1000 to 6e-5
        fit, rows = principal_coordinates(X[:n] + offset, X + offset, k)
        np.testing.assert_allclose(np.abs(fit), np.abs(oracle.transform(X[:n])), atol=tolerance)
        np.testing.assert_allclose(np.abs(rows), np.abs(oracle.transform(X)), atol=tolerance)


def test_turning_the_features_changes_the_stored_order_but_not_the_principal_one() -> None:
    X, truth = activations(3, n=600, d=12)
    X *= np.geomspace(3, 0.5, 12).astype(np.float32)
    turned = X @ np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))[0]
    for order, same in (("principal", True), ("stored", False)):
        pair = [first_features(x[:400], truth[:400], x[400:], 5, order=order) for x in (X, turned)]  # type: ignore[arg-type]
        assert (np.abs(pair[0] - pair[1]).max() < 1e-4) == same


def test_coordinates_found_once_serve_every_k() -> None:
    X, truth = activations(4, n=300, d=12)
    fit, rows = principal_coordinates(X[:200], X[200:], 9)
    for k in (1, 4, 9):
        once = first_features(X[:200], truth[:200], X[200:], k, order="principal")
        np.testing.assert_allclose(first_features(fit, truth[:200], rows, k), once, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "k=0: X has 12 features; give a whole number from 1 to 12"),
        ({"k": 13}, "k=13: X has 12 features"),
        ({"k": 2.0}, "k=2.0"),
        ({"k": True}, "k=True"),
        ({"k": 12, "order": "principal", "n": 10}, "k=12: 10 rows of 12 features have 9 principal components"),
        ({"order": "principle"}, "order 'principle': did you mean 'principal'?"),
        ({"width": 11}, "X_fit has 12 features but X has 11"),
        ({"truth": np.ones(200)}, "one class only"),
    ],
)
def test_impossible_supervisors_are_refused(change: dict[str, Any], message: str) -> None:
    X, truth = activations(5, n=300, d=12)
    n, order = change.get("n", 200), change.get("order", "stored")
    with pytest.raises(InputError, match=re.escape(message)):
        first_features(
            X[:n],
            change.get("truth", truth[:n]),
            X[200:, : change.get("width", 12)],
            change.get("k", 3),
            order=order,
        )


def test_a_label_of_exactly_one_half_is_of_class_0() -> None:
    assert hard([0, 0.5, np.nextafter(0.5, 1), 1]).tolist() == [0, 0, 1, 1]
    with pytest.raises(InputError, match="p must be a vector of probabilities"):
        hard([0.2, 1.2])


class Case:
    """Truth, weak and strong scores and text lengths of n rows, with ties in each."""

    def __init__(self, seed: int = 0, n: int = 500) -> None:
        rng = np.random.default_rng(seed)
        self.truth = (rng.random(n) < 0.4).astype(np.float64)
        self.weak = np.clip(0.5 + 0.25 * (self.truth - 0.5) + 0.2 * rng.normal(size=n), 0, 1)
        self.strong = np.clip(0.5 + 0.6 * (self.truth - 0.5) + 0.25 * rng.normal(size=n), 0, 1).round(2)
        self.lengths = rng.integers(1, 100, size=n)

    def labels(self, kind: ErrorKind, errors: int | float | None = None, **change: Any) -> Floats:
        given = {"weak": self.weak, "strong": self.strong, "lengths": self.lengths, **change}
        return mistaken(kind, self.truth, errors, **given)

    def wrong(self, kind: ErrorKind, errors: int | float | None = None, **change: Any) -> NDArray[np.bool_]:
        return np.asarray(self.labels(kind, errors, **change) != self.truth)


@given(st.sampled_from(PICKED), st.integers(0, 120), st.integers(0, 5), st.booleans())
def test_exactly_as_many_labels_are_wrong_as_asked(kind: ErrorKind, errors: int, seed: int, per_class: bool) -> None:
    case = Case(seed)
    labels = case.labels(kind, errors, per_class=per_class, seed=seed)
    assert set(labels) <= {0.0, 1.0}
    assert (labels != case.truth).sum() == errors
    assert case.wrong(kind, errors / 500, per_class=per_class, seed=seed).sum() == errors


@pytest.mark.parametrize("kind", ERROR_KINDS)
@pytest.mark.parametrize("per_class", [False, True])
def test_every_kind_makes_as_many_errors_as_the_weak_model_unless_told(kind: ErrorKind, per_class: bool) -> None:
    case = Case()
    made = error_balance(case.truth, case.weak)
    found = error_balance(case.truth, case.labels(kind, per_class=per_class))
    assert found.errors == made.errors
    assert 0.2 < found.rate < 0.4
    if per_class:
        assert found == made


def test_without_equal_shares_the_kind_decides_the_classes_of_the_errors() -> None:
    case = Case()
    lengths = case.lengths + 1000 * case.truth
    uneven = error_balance(case.truth, case.labels("longest", 100, lengths=lengths))
    assert (uneven.wrong_ones, uneven.wrong_zeros) == (100, 0)
    even = error_balance(case.truth, case.labels("longest", 100, lengths=lengths, per_class=True))
    assert abs(even.wrong_ones - 100 * case.truth.mean()) <= 0.5
    assert even.errors == 100


def test_own_errors_are_the_weak_models() -> None:
    case = Case()
    assert (case.labels("own") == hard(case.weak)).all()
    made = int(case.wrong("own").sum())
    assert (case.labels("own", made) == hard(case.weak)).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_longest_and_shortest_are(seed: int) -> None:
    case = Case(seed)
    wrong = case.wrong("longest", 60, seed=seed)
    assert case.lengths[wrong].min() >= case.lengths[~wrong].max()
    wrong = case.wrong("shortest", 60, seed=seed)
    assert case.lengths[wrong].max() <= case.lengths[~wrong].min()


@pytest.mark.parametrize("seed", range(5))
def test_the_strong_model_is_unsure_of_one_kind_and_right_and_sure_of_the_other(seed: int) -> None:
    case = Case(seed)
    case.strong[:5] = 1 - case.truth[:5]  # as sure as can be, and wrong
    sure = np.abs(case.strong - 0.5)
    right = hard(case.strong) == case.truth
    wrong = case.wrong("strong-unconfident", 60, seed=seed)
    assert sure[wrong].max() <= sure[~wrong].min() + 1e-9
    assert 0 < right[wrong].mean() < 1  # whether it is right plays no part
    wrong = case.wrong("strong-confidently-correct", 60, seed=seed)
    assert right[wrong].all()
    assert sure[wrong].min() >= sure[right & ~wrong].max() - 1e-9


def test_random_errors_fall_on_every_row_alike() -> None:
    case = Case(n=100)
    hits = np.array([case.wrong("random", 0.3, seed=seed) for seed in range(400)]).sum(axis=0)
    # Standardised counts of draws without replacement: their squares have mean 1, within .15 for 100 rows (3 s.e. .42).
    assert 0.55 < ((hits - 120) ** 2 / (400 * 0.3 * 0.7)).mean() < 1.45


@pytest.mark.parametrize("kind", PICKED)
def test_labels_depend_on_the_seed_only_through_ties(kind: ErrorKind) -> None:
    case = Case()
    rng = np.random.default_rng(0)
    first = case.labels(kind, 50, seed=1)
    assert (first == case.labels(kind, 50, seed=1)).all()
    assert (first != case.labels(kind, 50, seed=2)).any()
    untied: dict[str, Any] = {"lengths": rng.permutation(500), "strong": rng.permutation(500) / 1200}
    same = (case.labels(kind, 50, seed=1, **untied) == case.labels(kind, 50, seed=2, **untied)).all()
    assert same == (kind != "random")


@pytest.mark.parametrize("kind", PICKED)
@pytest.mark.parametrize("per_class", [False, True])
def test_fewer_errors_are_a_subset_of_more(kind: ErrorKind, per_class: bool) -> None:
    case = Case()
    sets = [case.wrong(kind, errors, per_class=per_class) for errors in (0, 1, 2, 7, 8, 61, 120)]
    assert all((more | less == more).all() for less, more in pairwise(sets))


def test_a_score_of_exactly_one_half_is_not_confidently_correct() -> None:
    with pytest.raises(InputError, match="2 errors are asked for but only 1 rows qualify"):
        mistaken("strong-confidently-correct", [0, 0, 1], 2, strong=[0.5, 0.4, 0.5])


def test_scores_mirrored_at_one_half_are_ties() -> None:
    # In floating point .7 - .5 < .5 - .3.
    truth = np.arange(400) % 2.0
    strong = np.where(truth == 1, 0.7, 0.3)
    for kind in ("strong-unconfident", "strong-confidently-correct"):
        balance = error_balance(truth, mistaken(kind, truth, 200, strong=strong))
        assert 70 < balance.wrong_ones < 130


@pytest.mark.parametrize(
    ("kind", "errors", "change", "message"),
    [
        ("longer", 5, {}, "kind 'longer': did you mean 'longest'?"),
        ("own", None, {"weak": None}, "kind 'own' needs `weak`"),
        ("random", None, {"weak": None}, "errors=None needs `weak`"),
        ("longest", 5, {"lengths": None}, "kind 'longest' needs `lengths`"),
        ("strong-unconfident", 5, {"strong": None}, "kind 'strong-unconfident' needs `strong`"),
        ("strong-confidently-correct", 5, {"strong": None}, "kind 'strong-confidently-correct' needs `strong`"),
        ("random", -0.1, {}, "errors=-0.1: a rate lies in [0, 1]"),
        ("random", 1.1, {}, "errors=1.1: a rate lies in [0, 1]"),
        ("random", float("nan"), {}, "errors=nan: a rate lies in [0, 1]"),
        ("random", -1, {}, "errors=-1: truth has 500 rows"),
        ("random", 501, {}, "errors=501: truth has 500 rows"),
        ("random", True, {}, "errors=True must be a whole number"),
        ("random", "5", {}, "errors='5' must be a whole number"),
        ("own", 3, {}, "kind 'own': the weak model makes"),
        ("strong-confidently-correct", 490, {}, "490 errors are asked for but only"),
        ("random", 5, {"weak": np.ones(4)}, "weak has 4 scores but truth has 500 rows"),
        ("random", 5, {"strong": np.full(500, 2.0)}, "strong must be a vector of probabilities"),
        ("longest", 5, {"lengths": np.ones(4)}, "lengths must be 500 finite numbers"),
        ("longest", 5, {"lengths": np.full(500, np.nan)}, "lengths must be 500 finite numbers"),
        ("longest", 5, {"lengths": ["text"] * 500}, "lengths must be 500 finite numbers"),
    ],
)
def test_impossible_errors_are_refused(kind: Any, errors: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        Case().labels(kind, errors, **change)


def test_too_few_eligible_rows_of_a_class_are_refused_by_class() -> None:
    case = Case()
    strong = np.where(case.truth == 1, 0.4, 0.1)  # never right about class 1
    assert case.wrong("strong-confidently-correct", 50, strong=strong).sum() == 50
    with pytest.raises(InputError, match=r"class 1: 20 errors are asked for but only 0 rows qualify"):
        case.labels("strong-confidently-correct", round(20 / case.truth.mean()), strong=strong, per_class=True)


def test_nothing_can_be_said_of_no_rows() -> None:
    for call in (lambda: mistaken("random", [], 0), lambda: error_balance([], [])):
        with pytest.raises(InputError, match="no rows"):
            call()


def test_the_balance_counts_errors_by_true_class() -> None:
    balance = error_balance([1, 1, 0, 0, 0], [0.2, 0.5, 0.4, 0.6, 0])
    assert balance == ErrorBalance(zeros=3, ones=2, wrong_zeros=1, wrong_ones=2)
    assert (balance.errors, balance.rate) == (3, 0.6)


def reviews(seed: int, n: int = 1500) -> tuple[list[str], Floats]:
    """Texts of fifteen words, of which five tell the class."""
    rng = stream(seed, "reviews")
    truth = rng.integers(0, 2, size=n).astype(np.float64)
    texts = []
    for label in truth:
        telling = [f"{'good' if rng.random() < 0.1 + 0.8 * label else 'bad'}{rng.integers(5)}" for _ in range(5)]
        texts.append(" ".join([*(f"w{i}" for i in rng.integers(40, size=10)), *telling]))
    return texts, truth


def bag_of_words_scores(texts: list[str], labels: Floats, test: list[str]) -> Floats:
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, labels)
    return np.asarray(model.predict_proba(test)[:, 1])


@pytest.mark.parametrize("seed", range(3))
def test_a_student_that_reads_the_weak_label_imitates_and_recovers_nothing(seed: int) -> None:
    texts, truth = reviews(seed)
    weak = mistaken("random", truth, 0.25, seed=seed)
    told = trivial_imitation(texts, weak)
    recovered = {}
    for name, rows in (("told", told), ("untold", texts)):
        student = bag_of_words_scores(rows[:1000], weak[:1000], rows[1000:])
        ceiling = accuracy(truth[1000:], bag_of_words_scores(rows[:1000], truth[:1000], rows[1000:]))
        supervisor = accuracy(truth[1000:], weak[1000:])
        recovered[name] = (accuracy(truth[1000:], student) - supervisor) / (ceiling - supervisor)
        if name == "told":
            assert auroc(weak[1000:], student) > 0.999
        else:
            assert auroc(weak[1000:], student) < 0.85
    assert abs(recovered["told"]) < 0.05
    assert recovered["untold"] > 0.4  # the same errors, which the student cannot read


def test_the_label_is_appended_as_published_and_texts_stay_as_they_are() -> None:
    texts = ["Is {x} so? ", ""]
    assert trivial_imitation(texts, [0.5, 0.51]) == [
        "Is {x} so?  I think this is incorrect. What do you think?",
        " I think this is correct. What do you think?",
    ]
    assert trivial_imitation(texts, [1, 0], template="{{{label}}}: {text}", names=("no", "yes")) == [
        "{yes}: Is {x} so? ",
        "{no}: ",
    ]


@pytest.mark.parametrize(
    ("texts", "labels", "change", "message"),
    [
        ("ab", [0, 1], {}, "texts must be a list of strings"),
        (["a", None], [0, 1], {}, "texts must be a list of strings"),
        (["a"], [0, 1], {}, "1 texts but 2 labels"),
        (["a", "b"], [0, 2], {}, "probabilities in [0, 1]"),
        (["a", "b"], [0, 1], {"template": "{text}"}, "template '{text}' must hold"),
        (["a", "b"], [0, 1], {"template": "{text} {label} {x}"}, "must hold {text} and {label} and no other"),
        (["a", "b"], [0, 1], {"template": "{text} {label"}, "must hold {text} and {label} and no other"),
        (["a", "b"], [0, 1], {"template": "{text:9} {label}"}, "must hold {text} and {label} and no other"),
        (["a", "b"], [0, 1], {"template": "{text} {}{label}"}, "must hold {text} and {label} and no other"),
        (["a", "b"], [0, 1], {"names": ("so", "so")}, "must be two different words"),
        (["a", "b"], [0, 1], {"names": ("", "so")}, "must be two different words"),
    ],
)
def test_texts_that_cannot_carry_labels_are_refused(
    texts: Any, labels: Any, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        trivial_imitation(texts, labels, **change)


def test_the_page_about_simulated_supervisors_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "simulated.md").read_text()
    code, printed = re.findall(r"```(?:python)?\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(code, "simulated.md", "exec"), {})
    found, expected = (
        [re.sub(r"-?[\d.]+", "#", line).split() for line in text.splitlines()]
        for text in (capsys.readouterr().out, printed)
    )
    assert found == expected
    assert all(f"`{kind}`" in page for kind in get_args(ErrorKind))
