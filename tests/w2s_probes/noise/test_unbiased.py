"""Small rates by an audit: on average what the audit itself counts, which is unbiased, whatever probe helps it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.w2s_probes.noise.test_model import flipped, holds
from w2s_probes.noise import noise_model

ROWS = 600


def counted(wrong: NDArray[np.bool_], positive: NDArray[np.bool_], seen: NDArray[np.bool_]) -> float:
    """The audit's own share of wrong labels, each weak class by its share of all rows: an oracle without a probe."""
    return float(sum(wrong[seen & side].mean() * side.mean() for side in (positive, ~positive)))


@pytest.mark.parametrize(
    ("apart", "rate", "m"),
    [
        (4, 0.03, 60),  # a good probe: the estimate was 20 % too low
        (4, 0.03, 100),  # 17 % too low
        (1, 0.01, 60),  # a weak one: 20 % too high, since values below 0 were cut off
        (4, 0.1, 60),  # 5 % too low
    ],
)
def test_a_probe_does_not_move_the_mean_of_audited_estimates(apart: float, rate: float, m: int) -> None:
    rng = np.random.default_rng(1)
    gaps, covered = [], []
    for _ in range(1000):
        truth, weak, p = flipped(rng, ROWS, apart, rate, rate)
        positive = weak > 0.5
        rows = np.concatenate([rng.permutation(np.flatnonzero(positive == side))[: m // 2] for side in (False, True)])
        seen = np.isin(np.arange(ROWS), rows)
        noise = noise_model(weak, p, audited=(seen, truth[seen])).noise
        gaps.append(noise.value - counted(truth != positive, positive, seen))
        covered.append(holds(noise, rate))
    error = np.std(gaps) / np.sqrt(len(gaps))
    assert abs(np.mean(gaps)) < max(0.02 * rate, 2 * error)
    assert error < 0.022 * rate
    assert np.mean(covered) >= 0.93


def test_nor_does_it_where_rows_are_wrong_in_groups() -> None:
    rng = np.random.default_rng(2)
    groups, rate = np.repeat(np.arange(120), 5), 0.05
    gaps, covered = [], []
    for _ in range(1000):
        truth, _, p = flipped(rng, ROWS, 4, rate, rate)
        positive = truth ^ (rng.random(120) < rate)[groups]  # a group is wrong as a whole
        seen = np.isin(groups, rng.permutation(120)[:40])
        noise = noise_model(positive.astype(float), p, audited=(seen, truth[seen]), groups=groups).noise
        gaps.append(noise.value - counted(truth != positive, positive, seen))
        covered.append(holds(noise, rate))
    error = np.std(gaps) / np.sqrt(len(gaps))
    assert abs(np.mean(gaps)) < max(0.02 * rate, 2 * error)
    assert error < 0.022 * rate
    assert np.mean(covered) >= 0.93  # it was .85: a pseudo-row spoke for one row, not for a group


def test_a_power_that_only_one_group_speaks_for_is_none() -> None:
    truth, weak, p = flipped(np.random.default_rng(3), 200, 4, 0.2, 0.2)
    seen = np.arange(200) < 50
    alone = noise_model(weak, p, audited=(seen, truth[seen]), groups=np.where(seen, 0, np.arange(200)))
    positive = weak > 0.5
    assert alone.noise.value == pytest.approx(counted(truth != positive, positive, seen))
    assert alone.status == "few rows"
