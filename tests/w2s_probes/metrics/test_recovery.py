"""AUROC, accuracy and PGR against independent oracles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from w2s_probes import InputError, accuracy, auroc, performance_gap_recovered
from w2s_probes.metrics.recovery import bootstrap, gap_recovered

two_sided = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40).filter(
    lambda rows: len({positive for positive, _ in rows}) == 2
)


@given(two_sided)
def test_auroc_equals_sklearn_and_pair_counting_with_ties(rows: list[tuple[bool, int]]) -> None:
    truth, scores = np.array([t for t, _ in rows], float), np.array([s for _, s in rows], float)
    pos, neg = scores[truth == 1], scores[truth == 0]
    pairs = (pos[:, None] > neg).mean() + 0.5 * (pos[:, None] == neg).mean()
    assert auroc(truth, scores) == pytest.approx(pairs)
    assert auroc(truth, scores) == pytest.approx(roc_auc_score(truth, scores))


@given(two_sided)
def test_auroc_sees_only_order(rows: list[tuple[bool, int]]) -> None:
    truth, scores = np.array([t for t, _ in rows], float), np.array([s for _, s in rows], float)
    assert auroc(truth, np.exp(scores)) == pytest.approx(auroc(truth, scores))
    assert auroc(truth, -scores) == pytest.approx(1 - auroc(truth, scores))
    assert auroc(1 - truth, scores) == pytest.approx(1 - auroc(truth, scores))


@given(two_sided)
def test_constant_scores_give_one_half_exactly(rows: list[tuple[bool, int]]) -> None:
    truth = np.array([t for t, _ in rows], float)
    assert auroc(truth, np.full(len(truth), 0.3)) == 0.5


def test_accuracy_counts_the_side_of_one_half() -> None:
    assert accuracy([1, 1, 0, 0], [0.9, 0.5, 0.5, 0.6]) == 0.5


@given(two_sided)
def test_bootstrap_draws_equal_auroc_of_the_resampled_rows(rows: list[tuple[bool, int]]) -> None:
    """The sorted-once formula against drawing rows one by one, from the same stream."""
    from w2s_probes.randomness import stream

    truth, scores = np.array([t for t, _ in rows], float), np.array([s for _, s in rows], float)
    drawn = stream(3, "bootstrap").integers(len(truth), size=(50, len(truth)))
    drawn = drawn[[len(set(truth[d])) == 2 for d in drawn]]
    draws = bootstrap(truth, {"m": scores}, "auroc", 50, 3)["m"]
    expected = [auroc(truth[d], scores[d]) for d in drawn]
    assert draws[: len(expected)] == pytest.approx(expected)
    correct = bootstrap(truth, {"m": scores / 6}, "accuracy", 50, 3)["m"]
    assert correct[: len(expected)] == pytest.approx([accuracy(truth[d], scores[d] / 6) for d in drawn])
    assert len(draws) == 50


def test_more_resamples_than_are_held_at_once_are_as_many_and_scatter_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = np.tile([0.0, 1.0], 50)
    scores = {"m": scores_of(1, truth, 1)}
    whole = bootstrap(truth, scores, "auroc", 1000)["m"]
    monkeypatch.setattr("w2s_probes.metrics.resampling.WEIGHTS_AT_ONCE", 700)  # seven resamples
    blocks = bootstrap(truth, scores, "auroc", 1000)["m"]
    assert blocks.shape == whole.shape
    assert len(np.unique(blocks)) > 500
    assert blocks.std() == pytest.approx(whole.std(), rel=0.1)
    assert bootstrap(truth, {}) == {}


def scores_of(quality: float, truth: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    noise: NDArray[np.float64] = np.random.default_rng(seed).normal(size=len(truth))
    return (quality * truth + noise).astype(np.float64)


@pytest.fixture
def truth() -> NDArray[np.float64]:
    return np.tile([0.0, 1.0], 1000)


def test_pgr_is_zero_for_the_supervisor_and_one_for_the_ceiling(truth: NDArray[np.float64]) -> None:
    weak, ceiling = scores_of(0.5, truth, 1), scores_of(2.5, truth, 2)
    nothing = performance_gap_recovered(truth, weak, weak, ceiling)
    everything = performance_gap_recovered(truth, weak, ceiling, ceiling)
    assert (nothing.value, nothing.low, nothing.high) == (0, 0, 0)
    assert (everything.value, everything.low, everything.high) == (1, 1, 1)
    assert everything.status == "ok"
    half = performance_gap_recovered(truth, weak, scores_of(1.2, truth, 3), ceiling)
    assert half.low < half.value < half.high
    assert half == performance_gap_recovered(truth, weak, scores_of(1.2, truth, 3), ceiling)


def test_equal_ceiling_and_weak_is_undefined_never_divided(truth: NDArray[np.float64]) -> None:
    weak = scores_of(1, truth, 1)
    with np.errstate(all="raise"):
        equal = performance_gap_recovered(truth, weak, scores_of(1, truth, 2), weak)
        below = performance_gap_recovered(truth, weak, weak, -weak)
    for result in (equal, below):
        assert result.status == "undefined"
        assert np.isnan([result.value, result.low, result.high]).all()


def test_a_small_gap_is_unstable_and_its_interval_wide(truth: NDArray[np.float64]) -> None:
    rows = slice(0, 200)
    weak, ceiling = scores_of(1.0, truth, 1)[rows], scores_of(1.1, truth, 4)[rows]
    result = performance_gap_recovered(truth[rows], weak, scores_of(1.05, truth, 5)[rows], ceiling)
    assert 0 < result.gap < 0.1
    assert result.status == "unstable"
    assert result.high - result.low > 1


@given(st.floats(0.5, 0.7), st.floats(0.75, 1), st.floats(-0.5, 1.5))
def test_pgr_inverts_its_definition(weak: float, ceiling: float, share: float) -> None:
    student = weak + share * (ceiling - weak)
    noise = np.random.default_rng(0).normal(scale=1e-3, size=(3, 100))
    result = gap_recovered(weak, student, ceiling, weak + noise[0], student + noise[1], ceiling + noise[2])
    assert result.value == pytest.approx(share, abs=1e-9)
    assert result.status == "ok"
    assert result.low <= share <= result.high


@pytest.mark.parametrize(
    ("truth", "scores", "message"),
    [
        ([1, 1], [0.1, 0.2], "one class only"),
        ([1, 0], [0.1, np.nan], "finite"),
        ([1, 0], [0.1], "one number a row"),
    ],
)
def test_rows_that_cannot_be_ranked_are_refused(truth: list[int], scores: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        auroc(truth, scores)


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'auroc'"):
        bootstrap([0, 1], {"m": [0, 1]}, "auruc")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="n_boot=1 must be"):
        bootstrap([0, 1], {"m": [0, 1]}, "auroc", 1)
