"""Fused logits beside figures of a second implementation, a fine grid, and what is true of them for any numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, log_softmax

from w2s_probes import InputError, auroc
from w2s_probes.fusion import Fused, fuse, fuse_experts, fuse_static
from w2s_probes.fusion import fused as fused_module
from w2s_probes.fusion.newton import MILD, mild_alpha
from w2s_probes.fusion.strengths import _Search, distance
from w2s_probes.fusion.tilted import Tilt, centred, divergences

ONE = [[2.0, 0.0, -1.0]], [[0.5, 0.2, 0.0]], [[-0.5, 1.2, 0.3]]
TWO = [1.0, -0.5, 0.2, 3.0, 0.4], [0.3, 0.1, -0.6, 0.2, 0.7], [-0.8, 1.4, -0.6, 2.9, 1.9]
SEVERAL = [[1.5, 0.2, -0.3, 0.0]], [[0.4, 0.1, 0.0, -0.2]], [[[1.4, -0.3, 0.1, -0.2]], [[0.2, 0.3, 1.6, -0.4]]]


def near(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_three_classes_are_fused_as_a_second_implementation_does() -> None:
    strong, base, tuned = ONE
    there, back = divergences(np.transpose(tuned), np.transpose(base))
    near([there[0], back[0]], [0.281047, 0.342875])
    fused = fuse(strong, base, tuned)
    near(fused.alpha, [0.915527])
    near(fused.p, [[0.497949, 0.420545, 0.081506]])
    near(fused.loss, [0.008992])
    grid = fuse(strong, base, tuned, solver="grid")
    near(grid.alpha, [0.9])
    near(grid.p, [[0.505269, 0.413679, 0.081052]])
    near(grid.loss, [0.009263])
    near(np.exp(fuse_static(strong, base, tuned)), [[0.458152, 0.458152, 0.083697]])


def test_log_odds_are_fused_as_a_second_implementation_does() -> None:
    fused = fuse(*TWO)
    near(fused.alpha, [1.014672, 0.940455, 0, 2, 0.921765])
    near(fused.p[:, 1], [0.470998, 0.673177, 0.549834, 0.999775, 0.818485])
    assert fused.capped.tolist() == [False, False, False, True, False]
    grid = fuse(*TWO, solver="grid")
    near(grid.alpha, [1, 0.9, 0, 2, 0.9])
    near(grid.p[:, 1], [0.475021, 0.661503, 0.549834, 0.999775, 0.814573])


def test_of_two_experts_the_one_with_less_loss_is_taken() -> None:
    fused = fuse_experts(*SEVERAL)
    near(fused.alpha, [0.974467])
    near(fused.loss, [0.030820])
    near(fused.p, [[0.387499, 0.155945, 0.370093, 0.086463]])
    assert fused.expert.tolist() == [1]
    grid = fuse_experts(*SEVERAL, solver="grid")
    near(grid.alpha, [1])
    near(grid.loss, [0.031752])
    strong, base, (first, second) = SEVERAL
    turned = fuse_experts(strong, base, [second, first])
    assert turned.expert.tolist() == [0]
    near(turned.loss, fused.loss)
    alone = fuse(strong, base, second)
    assert np.abs(alone.alpha - fused.alpha).max() > 1e-3  # the divergences of both are in the loss


def world(seed: int, n: int, classes: int, scale: float) -> tuple[NDArray[np.float64], ...]:
    strong, base, step = np.random.default_rng(seed).normal(size=(3, n, classes)) * scale
    return strong, base, base + step


@pytest.mark.parametrize(("classes", "n", "scale"), [(2, 400, 1), (3, 400, 1), (10, 200, 1), (300, 20, 1), (2, 200, 5)])
def test_no_alpha_of_a_fine_grid_is_better(classes: int, n: int, scale: float) -> None:
    strong, base, tuned = world(1, n, classes, scale)
    fused = fuse(strong, base, tuned)
    log_p = log_softmax(strong, axis=1).T
    delta = centred(log_p, (tuned - base).T)
    sides = divergences(tuned.T, base.T)
    values = np.arange(0, 2.001, 0.002)
    losses = np.array([distance(Tilt.at(log_p, delta, np.full(n, value)), *sides) for value in values])
    assert (fused.loss <= losses.min(axis=0) * (1 + 1e-4) + 1e-12).all()
    grid = fuse(strong, base, tuned, solver="grid")
    assert (grid.loss >= fused.loss - 1e-12).all()
    np.testing.assert_allclose(grid.alpha, values[::50][np.argmin(losses[::50], axis=0)], atol=1e-9)


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    strong, base, tuned = world(8, 40, 6, 1)
    whole = fuse_experts(strong, base, [tuned, base])
    for at_once in (6, 100):  # a row at a time, and sixteen
        monkeypatch.setattr(fused_module, "AT_ONCE", at_once)
        parts = fuse_experts(strong, base, [tuned, base])
        np.testing.assert_allclose(parts.alpha, whole.alpha, atol=1e-9)
        np.testing.assert_allclose(parts.log_p, whole.log_p, atol=1e-9)
        assert np.array_equal(parts.expert, whole.expert)


def test_divergences_are_those_of_the_fused_rows() -> None:
    strong, base, tuned = world(2, 50, 4, 1)
    fused = fuse(strong, base, tuned)
    p, q = fused.p, np.exp(log_softmax(strong, axis=1))
    there, back = (p * np.log(p / q)).sum(axis=1), (q * np.log(q / p)).sum(axis=1)
    np.testing.assert_allclose(fused.loss, distance(_Sides(there, back), *divergences(tuned.T, base.T)), atol=1e-12)
    np.testing.assert_allclose(fused.log_p, fuse_static(strong, base, tuned, fused.alpha), atol=1e-12)


@pytest.mark.parametrize(("classes", "scale", "least"), [(2, 1.0, 0.9), (4, 1.0, 0.9), (2, 3.0, 0.6), (30, 1.0, 0.4)])
def test_newton_finds_what_the_grid_leads_to_and_leaves_the_wild_rows(classes: int, scale: float, least: float) -> None:
    strong, base, tuned = world(6, 3000, classes, scale)
    other = base + np.random.default_rng(7).standard_t(3, size=base.shape) * scale
    log_p = log_softmax(strong, axis=1).T
    delta = centred(log_p, (tuned - base).T)
    for experts in ([tuned], [tuned, other]):  # with another expert a and b are not of this δ
        there, back = np.mean([divergences(logits.T, base.T) for logits in experts], axis=0)
        found = mild_alpha(log_p, delta, there, back, 2.0)
        mild = np.isfinite(found)
        assert mild.mean() > least
        assert np.ptp(delta, axis=0)[mild].max() <= MILD
        searched = _Search(log_p[:, mild], delta[:, mild], there[mild], back[mild]).of_grid(
            np.linspace(0, 2, 21), refined=True
        )
        np.testing.assert_allclose(found[mild], searched, atol=1e-7)


class _Sides(Tilt):
    def __init__(self, there: NDArray[np.float64], back: NDArray[np.float64]) -> None:
        super().__init__(there, there, back, there, back)


def test_constants_and_the_order_of_classes_and_rows_change_nothing() -> None:
    strong, base, tuned = world(3, 100, 5, 1)
    fused = fuse(strong, base, tuned)
    moved = fuse(strong + 50, base - 7, tuned + np.linspace(-9, 9, 100)[:, None])
    np.testing.assert_allclose(moved.alpha, fused.alpha, atol=1e-7)
    np.testing.assert_allclose(moved.log_p, fused.log_p, atol=1e-6)
    order, rows = [3, 1, 4, 0, 2], np.random.default_rng(0).permutation(100)
    turned = fuse(*(logits[rows][:, order] for logits in (strong, base, tuned)))
    np.testing.assert_allclose(turned.log_p, fused.log_p[rows][:, order], atol=1e-6)


def test_the_strong_model_beside_its_own_tuning_is_moved_as_far() -> None:
    strong, _, tuned = world(4, 200, 3, 1)
    fused = fuse(strong, strong, tuned)
    np.testing.assert_allclose(fused.alpha, 1, atol=1e-6)
    np.testing.assert_allclose(fused.log_p, log_softmax(tuned, axis=1), atol=1e-5)
    np.testing.assert_allclose(fuse_static(strong, strong, tuned, 0), log_softmax(strong, axis=1), atol=1e-12)


def test_a_tuning_that_changed_nothing_moves_nothing() -> None:
    strong, base, _ = world(5, 20, 4, 1)
    fused = fuse(strong, base, base + 3)
    assert not fused.alpha.any()
    np.testing.assert_allclose(fused.log_p, log_softmax(strong, axis=1), atol=1e-12)


def test_logits_as_large_as_they_come_stay_finite_and_the_better_minimum_is_taken() -> None:
    strong, base, tuned = [[900.0, -900.0]], [[0.0, 0.0]], [[-700.0, 700.0]]
    fused = fuse(strong, base, tuned)
    assert np.isfinite(fused.log_p).all()
    near([side[0] for side in divergences(np.transpose(tuned), np.transpose(base))], [0.693147, 699.306853])
    # KL(P‖P̃) is met at this α, where the distance is flat, too, and far larger, as P̃ has left P.
    other = fuse_static(strong, base, tuned, 1.785219)
    there = np.exp(other[0, 1]) * (other[0, 1] + 1800)
    assert there**2 > 6 * fused.loss[0]


@pytest.mark.parametrize("spread", [12.0, 38.0, 200.0])
def test_of_logits_where_one_class_takes_all_every_row_has_numbers(spread: float) -> None:
    rng = np.random.default_rng(0)
    for strong, base, tuned in (rng.normal(size=(3, 4000)) * spread, rng.standard_t(3, size=(3, 40, 500)) * spread / 4):
        fused, grid = (
            fuse_experts(strong, base, [tuned, base]),
            fuse_experts(strong, base, [tuned, base], solver="grid"),
        )
        assert np.isfinite(fused.alpha).all()
        assert np.isfinite(fused.p).all()
        assert (fused.loss <= grid.loss * (1 + 1e-9) + 1e-9).all()


def planted_world(seed: int) -> tuple[NDArray[np.bool_], tuple[NDArray[np.float64], ...]]:
    """Log-odds of a strong model that knows v, and a small one whose tuning taught it u; truth hangs on both."""
    u, v, e, e1, e2, e3 = np.random.default_rng(seed).normal(size=(6, 2000))
    small = 0.5 * v + 0.5 * e2
    return u + v + 0.5 * e > 0, (1.5 * v + 0.5 * e1, small, small + 1.5 * u + 0.5 * e3)


@pytest.mark.parametrize("seed", range(3))
def test_fusion_knows_what_either_knows_and_hardly_hangs_on_alpha(seed: int) -> None:
    truth, (strong, base, tuned) = planted_world(seed)
    fused = fuse(strong, base, tuned)
    shuffled = np.random.default_rng(seed).permutation(2000)
    ways: dict[str, Callable[[], NDArray[np.float64]]] = {
        "strong": lambda: expit(strong),
        "tuned": lambda: expit(tuned),
        "dynamic": lambda: fused.p[:, 1],
        "half": lambda: np.exp(fuse_static(strong, base, tuned, 0.5)[:, 1]),
        "static": lambda: np.exp(fuse_static(strong, base, tuned)[:, 1]),
        "alpha permuted": lambda: np.exp(fuse_static(strong, base, tuned, fused.alpha[shuffled])[:, 1]),
        "delta permuted": lambda: expit(strong + fused.alpha * (tuned - base)[shuffled]),
    }
    found = {name: auroc(truth, scores()) for name, scores in ways.items()}
    ranges = {"strong": (0.77, 0.81), "tuned": (0.855, 0.885), "half": (0.89, 0.915), "static": (0.925, 0.945)}
    ranges |= {"dynamic": (0.92, 0.945), "alpha permuted": (0.915, 0.94), "delta permuted": (0.65, 0.71)}
    for name, (low, high) in ranges.items():
        assert low < found[name] < high, name
    assert found["dynamic"] > max(found["strong"], found["tuned"]) + 0.04
    assert abs(found["dynamic"] - found["static"]) < 0.01
    assert 1.1 < fused.alpha.mean() < 1.35


REFUSED: list[tuple[Callable[[], Fused], str]] = [
    (
        lambda: fuse([[1.0, 0]], [[1.0, 0, 2]], [[1.0, 0]]),
        r"logits of base have shape \(1, 3\), those of strong",
    ),
    (lambda: fuse([[1.0]], [[1.0]], [[1.0]]), r"logits of strong have shape \(1, 1\)"),
    (lambda: fuse([1.0, np.nan], [1, 2], [1, 2]), "logits of strong are not finite in row 1"),
    (lambda: fuse([1.0, 2], [1, 2], [1, np.inf]), r"logits of tuned\[0\] are not finite in row 1"),
    (lambda: fuse([1.0], [1.0], [1.0], top=0), "top=0 must be above 0"),
    (lambda: fuse([1.0], [1.0], [1.0], solver="fast"), "no solver 'fast': there are exact and grid"),  # type: ignore[arg-type]
    (lambda: fuse_experts([1.0], [1.0], []), "no tuned model"),
]


@pytest.mark.parametrize(("call", "said"), REFUSED)
def test_what_cannot_be_fused_is_refused(call: Callable[[], Fused], said: str) -> None:
    with pytest.raises(InputError, match=said):
        call()


def test_static_fusion_refuses_unequal_shapes_and_odd_strengths() -> None:
    for alpha in (np.nan, [1.0, 2.0]):
        with pytest.raises(InputError, match="one finite number is needed, or one a row"):
            fuse_static([1.0], [1.0], [1.0], alpha)
    with pytest.raises(InputError, match="give equal ones"):
        fuse_static([[1.0, 2]], [[1.0, 2, 3]], [[1.0, 2]])
