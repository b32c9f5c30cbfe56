"""Draws: the probabilities they claim are those with which rows come, and they sum to what is drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from w2s_probes import InputError
from w2s_probes.auditing.designs import DrawnBy, allocated, draw_rows, proportional, strata_of

N, DRAWN, DRAWS = 30, 9, 1000
POSITIVE = np.arange(N) % 3 == 0
# Doubts that differ a lot, and one row that a draw proportional to them is certain to have.
DOUBT = np.random.default_rng(0).beta(0.5, 2, N)


def frequencies(by: DrawnBy, f: NDArray[np.float64] | None, bins: int | None = None) -> NDArray[np.float64]:
    """How often each row comes in many draws."""
    counts = np.zeros(N)
    for seed in range(DRAWS):
        rows = draw_rows(by, POSITIVE, DRAWN, f=f, bins=bins, seed=seed).rows
        assert len(set(rows.tolist())) == DRAWN
        counts[rows] += 1
    return counts / DRAWS


@pytest.mark.parametrize(
    ("by", "f", "bins"),
    [
        ("uniform", None, None),
        ("stratified", None, None),
        ("stratified", DOUBT, None),
        ("stratified", DOUBT, 2),
        ("disagreement", DOUBT, None),
    ],
)
def test_rows_come_as_often_as_their_probability_says(
    by: DrawnBy, f: NDArray[np.float64] | None, bins: int | None
) -> None:
    claimed = draw_rows(by, POSITIVE, DRAWN, f=f, bins=bins).inclusion
    assert claimed.sum() == pytest.approx(DRAWN)
    error = np.sqrt(claimed * (1 - claimed) / DRAWS)
    gap = np.abs(frequencies(by, f, bins) - claimed)
    assert (gap <= 4 * error + 1e-12).all()
    # The control: a uniform draw's probabilities would not pass for these.
    if by != "uniform":
        assert (np.abs(claimed - DRAWN / N) > 4 * error).any()


def test_the_order_of_a_draw_is_random_in_every_design() -> None:
    for by in ("uniform", "stratified", "disagreement"):
        first = np.zeros(N)
        for seed in range(400):
            first[draw_rows(by, POSITIVE, DRAWN, f=DOUBT if by != "uniform" else None, seed=seed).rows[0]] += 1
        claimed = draw_rows(by, POSITIVE, DRAWN, f=DOUBT if by != "uniform" else None).inclusion / DRAWN
        error = np.sqrt(claimed * (1 - claimed) / 400)
        assert (np.abs(first / 400 - claimed) <= 4 * error).all()


@given(
    sizes=st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=40),
    share=st.floats(0.01, 1),
)
@settings(max_examples=20, deadline=None)
def test_probabilities_add_up_and_go_by_size_below_certainty(sizes: list[float], share: float) -> None:
    size = np.array(sizes)
    n = max(1, round(share * len(size)))
    found = proportional(size, n)
    assert found.sum() == pytest.approx(n)
    assert ((found > 0) & (found <= 1)).all()
    below = found < 1
    if below.sum() > 1:
        assert np.ptp(found[below] / size[below]) <= 1e-9 * (found[below] / size[below]).max()


@given(sizes=st.lists(st.integers(1, 50), min_size=1, max_size=8), data=st.data())
@settings(max_examples=20, deadline=None)
def test_strata_share_out_all_rows_and_none_is_left_alone(sizes: list[int], data: st.DataObject) -> None:
    least = sum(min(2, size) for size in sizes)
    n = data.draw(st.integers(least, sum(sizes)))
    drawn = allocated(np.array(sizes), n)
    assert drawn.sum() == n
    assert (drawn <= sizes).all()
    assert (drawn >= np.minimum(sizes, 2)).all()


def test_strata_are_classes_by_verdict_or_by_bins_of_doubt() -> None:
    positive = np.array([0, 0, 0, 1, 1, 1], dtype=bool)
    f = np.array([0.1, 0.6, 0.6, 0.2, 0.3, 0.9])
    assert strata_of(positive, f).tolist() == [0, 1, 1, 2, 2, 3]
    assert strata_of(positive, None).tolist() == [0, 0, 0, 1, 1, 1]
    binned = strata_of(positive, np.array([0.1, 0.2, 0.3, 0.1, 0.1, 0.1]), bins=3)
    assert binned.tolist()[:3] == [0, 1, 2]
    assert len(set(binned.tolist()[3:])) == 1  # rows of equal doubt are together


def test_what_cannot_be_drawn_is_refused() -> None:
    for n in (1, N + 1):
        with pytest.raises(InputError, match=f"n={n} must be from 2 to 30"):
            draw_rows("uniform", POSITIVE, n)
    with pytest.raises(InputError, match="strata need 20 rows and 9 are to be drawn"):
        draw_rows("stratified", POSITIVE, DRAWN, f=DOUBT, bins=5)
    with pytest.raises(InputError, match="needs a probe's scores"):
        draw_rows("disagreement", POSITIVE, DRAWN)
    with pytest.raises(InputError, match="bins=2"):
        draw_rows("uniform", POSITIVE, DRAWN, bins=2)


def test_a_probe_that_doubts_nothing_draws_uniformly() -> None:
    assert draw_rows("disagreement", POSITIVE, DRAWN, f=np.zeros(N)).inclusion == pytest.approx(np.full(N, DRAWN / N))
