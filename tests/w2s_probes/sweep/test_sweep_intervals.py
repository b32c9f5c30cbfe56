"""Intervals of what a sweep measures: of shares and mean squares they stay between 0 and 1, and cover."""

import numpy as np
import pytest
from numpy.typing import NDArray

from w2s_probes.metrics.measured import measure, with_error
from w2s_probes.metrics.registry import METRICS
from w2s_probes.sweep.measures import SweepLine, side_lines, weak_ranking
from w2s_probes.sweep.swept_labels import Side

N = 40
TRUTH = (np.arange(N) % 2).astype(np.float64)


def lines(p: NDArray[np.float64], weak: NDArray[np.float64], groups: NDArray[np.intp] | None) -> dict[str, SweepLine]:
    side = Side(np.arange(N).astype(str).astype(object), weak, TRUTH, groups)
    return {str(line["metric"]): line for line in side_lines({}, side, p, weak_ranking(side))}


@pytest.mark.parametrize("groups", [None, np.arange(N) // 2])
@pytest.mark.parametrize("wrong", [0, 1, 3, N // 2, N])
def test_no_interval_leaves_what_the_measure_can_be(wrong: int, groups: NDArray[np.intp] | None) -> None:
    scores = np.where(np.arange(N) < wrong, 1 - TRUTH, TRUTH)
    found = lines(scores, TRUTH, groups)
    assert found["weak_brier"]["value"] == wrong / N
    for metric in ("weak_brier", "weak_auroc", "auroc", "accuracy"):
        line = found[metric]
        assert 0 <= line["low"] <= line["value"] <= line["high"] <= 1
        assert line["high"] > line["low"]  # nothing is certain of forty rows


def test_the_interval_is_that_of_the_brier_score_elsewhere() -> None:
    scores = np.random.default_rng(0).uniform(size=N)
    line = lines(scores, TRUTH, None)["weak_brier"]
    measured = measure("brier", TRUTH > 0, scores)
    assert measured is not None
    known = with_error(METRICS["brier"], measured, None)
    assert (line["low"], line["high"]) == pytest.approx((known.low, known.high), abs=1e-12)


def test_the_interval_of_few_rows_covers_more_often_than_a_normal_one() -> None:
    rng = np.random.default_rng(0)
    squares = rng.beta(0.15, 3, 50_000)
    covered = {"logit": 0, "normal": 0}
    for _ in range(600):
        drawn = rng.choice(squares, N)
        line = lines(np.abs(TRUTH - np.sqrt(drawn)), TRUTH, None)["weak_brier"]
        half = 2.02 * drawn.std(ddof=1) / np.sqrt(N)
        covered["logit"] += line["low"] <= squares.mean() <= line["high"]
        covered["normal"] += abs(drawn.mean() - squares.mean()) <= half
    assert covered["logit"] > covered["normal"]
    assert covered["logit"] / 600 > 0.9
