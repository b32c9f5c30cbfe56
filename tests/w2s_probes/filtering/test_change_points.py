"""One change point beside brute force, values whose split is known by hand, and how much smooth values give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from w2s_probes.filtering.change_points import change_point
from w2s_probes.filtering.judges import LEAST_GAIN


def brute(values: np.ndarray) -> tuple[float, int]:
    """The least sum of squared distances to two means, and the rows below, by trying every split of sorted values."""
    v = np.sort(values)
    costs = [((v[:i] - v[:i].mean()) ** 2).sum() + ((v[i:] - v[i:].mean()) ** 2).sum() for i in range(1, len(v))]
    return float(min(costs)), int(np.argmin(costs)) + 1


def test_the_split_is_the_one_that_brute_force_finds() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        values = rng.choice([rng.random(30), rng.normal(size=30), rng.exponential(size=30), rng.integers(4, size=30)])
        point = change_point(values)
        assert point is not None
        least, below = brute(values)
        total = ((values - values.mean()) ** 2).sum()
        assert point.gain == pytest.approx(1 - least / total, abs=1e-12)
        assert point.below == (values < point.threshold).sum() == pytest.approx(below)
        assert point.threshold in values


def test_splits_by_hand() -> None:
    point = change_point([5.0, 0.0, 1.0])
    assert (point and point.threshold, point and point.below) == (5.0, 2)
    assert point is not None
    assert point.gain == pytest.approx(1 - 0.5 / 14)  # distances to 2: 4 + 1 + 9; to ½ and 5: ¼ + ¼
    both = change_point([0.0, 1.0, 1.0, 2.0])  # 0 | 1 1 2 is as good as 0 1 1 | 2
    assert both is not None
    assert both.below == 1
    assert change_point([0.2] * 9) is None
    assert change_point([0.3, 0.1 + 0.2]) is None  # equal but for rounding
    assert change_point([0.7]) is None


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=40), st.floats(-100, 100), st.floats(0.5, 50))
def test_equal_values_stay_together_and_scale_and_offset_change_nothing(
    values: list[float], offset: float, scale: float
) -> None:
    numbers = np.round(np.array(values), 3)
    point, moved = change_point(numbers), change_point(offset + scale * numbers)
    assert (point is None) == (moved is None) == (np.ptp(numbers) == 0)
    if point is not None and moved is not None:
        assert point.below == (numbers < point.threshold).sum()
        assert moved.gain == pytest.approx(point.gain, abs=1e-6)


def test_smooth_values_do_not_reach_the_least_gain_and_two_heaps_do() -> None:
    rng = np.random.default_rng(0)
    smooth = [np.linspace(0, 1, 5000), rng.normal(size=5000), rng.exponential(size=5000)]
    gains = [point.gain for point in map(change_point, smooth) if point is not None]
    assert gains[0] == pytest.approx(0.75, abs=1e-3)
    assert gains[1] == pytest.approx(2 / np.pi, abs=0.02)
    assert max(gains) < LEAST_GAIN
    heaps = change_point(np.concatenate([rng.normal(size=500), rng.normal(6, 1, size=500)]))
    assert heaps is not None
    assert heaps.gain > LEAST_GAIN
    assert heaps.below == pytest.approx(500, abs=5)
