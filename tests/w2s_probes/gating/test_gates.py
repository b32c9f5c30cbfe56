"""Gates against values from a second implementation, in a planted world beside their controls, and by properties."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import check_grad, minimize_scalar
from scipy.special import expit, logit

from tests.worlds.gated import GatedWorld, gated_world
from w2s_probes import InputError, LabelSet
from w2s_probes.gating import Gate, dispersion, gate, mixed, mixture_losses, own_losses
from w2s_probes.gating.objectives import cross_entropy, loss_and_slopes

WEAK, STRONG, Y = [0.9, 0.6, 0.3, 0.05], [0.7, 0.2, 0.45, 0.4], [1.0, 0, 1, 0]
SEEDS = range(6)


@pytest.mark.parametrize(
    ("p", "variance", "entropy"),
    [
        ([0.9, 0.1], 0.64, 0.531004),
        ([0.7, 0.2, 0.1], 0.31, 0.270153),
        ([0.97, 0.01, 0.01, 0.01], 0.9216, 0.879030),
        ([1 / 3, 1 / 3, 1 / 3], 0, 0),
        ([1, 0], 1, 1),
        ([0, 0, 1], 1, 1),
    ],
)
def test_dispersions(p: list[float], variance: float, entropy: float) -> None:
    assert dispersion([p])[0] == pytest.approx(variance, abs=1e-6)
    assert dispersion([p], "entropy")[0] == pytest.approx(entropy, abs=1e-6)
    if len(p) == 2:
        assert dispersion([p[1]])[0] == pytest.approx(variance, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "confidence", "mixture", "own", "joint", "expected", "share"),
    [
        (
            "variance",
            [0.64, 0.04, 0.16, 0.81],
            [0.828, 0.216, 0.426, 0.1165],
            0.362172,
            0.352317,
            0.74,
            0.4125,
        ),
        (
            "entropy",
            [0.531004, 0.029049, 0.118709, 0.713603],
            [0.806201, 0.211620, 0.432194, 0.150239],
            0.374012,
            0.363720,
            0.742738,
            0.348091,
        ),
    ],
)
def test_gates_and_their_losses(
    kind: Any, confidence: list[float], mixture: list[float], own: float, joint: float, expected: float, share: float
) -> None:
    found = gate(WEAK, STRONG, kind)
    assert found.confidence.tolist() == pytest.approx(confidence, abs=1e-6)
    assert found.p.tolist() == pytest.approx(mixture, abs=1e-6)
    assert found.expected_accuracy(Y) == pytest.approx(expected, abs=1e-6)
    assert found.weak_share == pytest.approx(share, abs=1e-6)
    assert found.accuracy(Y) == 0.75
    assert own_losses(WEAK, STRONG, Y, found.confidence).mean() == pytest.approx(own, abs=1e-6)
    assert mixture_losses(WEAK, STRONG, Y, found.confidence).mean() == pytest.approx(joint, abs=1e-6)
    both = [np.stack([1 - np.array(p), p], axis=1) for p in (WEAK, STRONG)]
    in_classes = gate(both[0], both[1], kind)
    assert np.allclose(in_classes.p[:, 1], found.p)
    assert in_classes.expected_accuracy(Y) == pytest.approx(expected, abs=1e-6)


def test_losses_of_soft_labels() -> None:
    c, soft = dispersion(WEAK), [0.8, 0.3, 0.6, 0.2]
    assert own_losses(WEAK, STRONG, soft, c).mean() == pytest.approx(0.639020, abs=1e-6)
    assert mixture_losses(WEAK, STRONG, soft, c).mean() == pytest.approx(0.599059, abs=1e-6)


def test_a_weak_expert_is_moved_through_its_confidence_too() -> None:
    """Of the variance gate by itself, which no weights of the learned one are: by differences of its logit."""

    def loss(m: float, *, held: bool) -> float:
        p = expit(m)
        return float(own_losses([p], [0.7], [1], dispersion([0.9 if held else p]))[0])

    m, step = logit(0.9), 1e-6
    through, detached = ((loss(m + step, held=held) - loss(m - step, held=held)) / (2 * step) for held in (False, True))
    assert through == pytest.approx(-0.136379, abs=1e-6)
    assert detached == pytest.approx(-0.064, abs=1e-6)


@pytest.mark.parametrize("joint", [False, True])
def test_slopes_of_the_experts_are_those_of_their_loss(joint: bool) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 7).astype(float)
    start = 2 * rng.normal(size=17)

    def value(x: NDArray[np.float64]) -> float:
        return loss_and_slopes(x[:7], x[7:14], y, x[14:], joint=joint)[0]

    def slope(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate(loss_and_slopes(x[:7], x[7:14], y, x[14:], joint=joint)[1])

    assert check_grad(value, slope, start) < 1e-6
    p, q = expit(start[:7]), expit(start[7:14])
    c = expit(np.stack([dispersion(p), dispersion(p, "entropy"), np.ones(7)], axis=1) @ start[14:])
    own = (mixture_losses if joint else own_losses)(p, q, y, c).mean()
    assert value(start) == pytest.approx(own)


@pytest.mark.parametrize(
    ("m", "kind", "p", "c", "value"),
    [
        (0.3, "variance", 0.5, 0, 0.3),
        (0.490402, "variance", 0.5, 0, 0.490402),
        (0.510402, "variance", 0.8097, 0.3836, 0.506682),
        (0.510402, "entropy", 0.8104, 0.2993, 0.507513),
        (0.7, "variance", 0.8870, 0.5991, 0.599356),
        (0.7, "entropy", 0.8931, 0.5096, 0.617265),
    ],
)
def test_the_gate_closes_where_the_strong_loss_is_below_the_entropy_of_the_labels(
    m: float, kind: Any, p: float, c: float, value: float
) -> None:
    """Rows whose labels are 1 with q = .8 and that look alike: above H(q) the weak expert becomes surer than q."""

    def loss(weak: float) -> float:
        seen = dispersion([weak], kind)[0]
        return float(seen * (cross_entropy(np.array([weak]), np.array([0.8]))[0] - m) + m)

    grid = np.linspace(0.5, 0.999, 500)
    start = grid[np.argmin([loss(x) for x in grid])]
    found = minimize_scalar(loss, bounds=(max(0.5, start - 0.01), start + 0.01), options={"xatol": 1e-9})
    best = found.x if found.fun < loss(0.5) else 0.5
    assert best == pytest.approx(p, abs=1e-4)
    assert dispersion([best], kind)[0] == pytest.approx(c, abs=1e-4)
    assert loss(best) == pytest.approx(value, abs=1e-6)


probability = st.floats(0, 1)
rows_of = st.lists(st.tuples(probability, probability, probability, probability), min_size=1, max_size=30)


@given(rows_of)
def test_the_mixtures_loss_is_never_above_the_experts_own(rows: list[tuple[float, ...]]) -> None:
    p, q, y, c = np.clip(np.array(rows).T, 1e-9, 1 - 1e-9)
    assert (mixture_losses(p, q, y, c) <= own_losses(p, q, y, c) + 1e-9).all()


@given(rows_of, st.randoms(use_true_random=False), st.sampled_from(["variance", "entropy"]))
def test_a_gate_is_of_each_row_alone_and_between_the_two(rows: list[tuple[float, ...]], random: Any, kind: Any) -> None:
    p, q = np.array(rows).T[:2]
    found, order = gate(p, q, kind), np.array(random.sample(range(len(p)), len(p)))
    assert np.array_equal(gate(p[order], q[order], kind).p, found.p[order])
    assert gate(p[-1:], q[-1:], kind).p == found.p[-1]
    assert ((found.p >= np.minimum(p, q) - 1e-12) & (found.p <= np.maximum(p, q) + 1e-12)).all()
    assert np.allclose(gate(1 - p, 1 - q, kind).p, 1 - found.p, atol=1e-9)  # neither class is the first


def test_constant_gates_are_the_two_models() -> None:
    assert mixed(WEAK, STRONG, 1).p.tolist() == WEAK
    assert mixed(WEAK, STRONG, 0).p.tolist() == STRONG


WORLDS: dict[tuple[int, bool], GatedWorld] = {}


def scores(seed: int, *, corner: bool) -> dict[str, float]:
    """AUROC of the models, of the gates over them, and of the controls of the entropy's."""
    world = WORLDS.setdefault((seed, corner), gated_world(seed, corner=corner))
    p, q = world.weak(world.test), world.strong(world.test)
    by_entropy = gate(p, q, "entropy")
    shuffled = np.random.default_rng(seed).permutation(by_entropy.confidence)
    learned = Gate("learned").fit(world.weak(world.trusted), world.strong(world.trusted), world.trusted.truth)
    of = {
        "weak": p,
        "student": q,
        "variance": gate(p, q).p,
        "entropy": by_entropy.p,
        "average": mixed(p, q, by_entropy.weak_share).p,
        "shuffled": mixed(p, q, shuffled).p,
        "learned": learned.mix(p, q).p,
        "ceiling": world.ceiling.predict_proba(world.test.strong)[:, 1],
    }
    return {name: world.auroc(one) for name, one in of.items()}


# Lowest and highest of six seeds, by a second implementation of this world with other draws.
CORNER = {"weak": (0.812, 0.824), "student": (0.892, 0.908), "variance": (0.930, 0.946), "entropy": (0.937, 0.950)}
CORNER |= {"average": (0.928, 0.943), "shuffled": (0.886, 0.909), "learned": (0.871, 0.936), "ceiling": (0.898, 0.915)}
NO_CORNER = {"student": (0.958, 0.966), "average": (0.940, 0.959)}
NO_CORNER |= dict.fromkeys(("variance", "entropy", "learned"), (0.902, 0.951))
LUCK = 0.01  # of six draws of supervisors with 320 truths: a seed's gate has a standard deviation of that size


def means_within(found: list[dict[str, float]], ranges: dict[str, tuple[float, float]]) -> dict[str, float]:
    """The means over seeds, which lie within the ranges but for the luck of other draws."""
    means = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    for name, (low, high) in ranges.items():
        assert low - LUCK < means[name] < high + LUCK, name
    return means


def test_a_gate_wins_where_errors_complement_each_other_and_a_constant_mixture_gets_most_of_it() -> None:
    found = [scores(seed, corner=True) for seed in SEEDS]
    for one in found:
        assert one["entropy"] > one["shuffled"] + 0.02
        assert one["entropy"] > max(one["weak"], one["student"])
    means = means_within(found, CORNER)
    assert means["average"] - means["student"] > 0.6 * (means["entropy"] - means["student"])


def test_where_the_student_knows_better_everywhere_every_gate_costs() -> None:
    found = [scores(seed, corner=False) for seed in SEEDS]
    means_within(found, NO_CORNER)
    for one in found:
        assert max(one[name] for name in ("variance", "entropy", "learned", "average")) < one["student"]


def refused(wanted: str, call: Any, *arguments: Any) -> None:
    with pytest.raises(InputError, match=wanted) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)


def test_bad_input_is_named() -> None:
    refused(r"dispersion 'varianc': did you mean 'variance'", dispersion, [0.5], "varianc")
    refused(r"gate 'learnt': did you mean 'learned'", Gate, "learnt")
    refused(r"row 1 holds", dispersion, [0.5, 1.2])
    refused(r"row 0 holds", dispersion, [float("nan"), 0.5])
    refused(r"two classes or more", dispersion, [[1.0], [1.0]])
    refused(r"row 0 adds up to 1.2", dispersion, [[0.6, 0.6]])
    refused(r"the same rows and classes", gate, [0.5, 0.6], [0.5])
    refused(r"the same rows and classes", gate, [0.5, 0.6], [[0.5, 0.5], [0.5, 0.5]])
    refused(r"no rows", gate, [], [])
    refused(r"in \[0, 1\]", mixed, [0.5], [0.5], 1.5)
    refused(r"probabilities must be an array of numbers", dispersion, ["a"])
    refused(r"probabilities must be an array of numbers", gate, [[0.5, 0.5], [1]], [0.5])
    refused(r"confidence of shape \(3,\) for 2 rows: give one number", mixed, [0.5, 0.6], [0.5, 0.6], [0.1, 0.2, 0.3])
    refused(r"confidence of shape \(1,\) for 2 rows: give one number", mixed, [0.5, 0.6], [0.5, 0.6], [0.1])
    refused(r"confidence must be an array of numbers", mixed, [0.5], [0.5], "a")
    refused(r"true labels must be an array of numbers", gate([0.5], [0.5]).accuracy, ["a"])
    refused(r"their shapes differ: weak \(1,\), .*labels \(2,\)", own_losses, [0.5], [0.5], [1, 0], [0.5])
    refused(r"one number a row", gate([0.5], [0.5]).accuracy, [1, 0])
    refused(r"whole numbers from 0 to 1", gate([[0.5, 0.5]], [[0.5, 0.5]]).accuracy, [2])
    a, b = (LabelSet(np.array(ids, dtype=object), np.array([0.2, 0.8])) for ids in (["a", "b"], ["b", "a"]))
    refused(r"weak and strong are of other rows, or in another order", gate, a, b)
    p, truth = np.linspace(0.1, 0.9, 40), np.arange(40) % 2
    refused(r"29 rows with true labels: a gate learns from 30", Gate("learned").fit, p[:29], p[:29], truth[:29])
    refused(r"are of one class", Gate("learned").fit, p, p, np.ones(40))
    refused(r"no weights yet", Gate("learned").mix, p, p)
    refused(r"penalty", Gate, "learned", 0)
    refused(r"did you mean|known: ", gate, p, p, "learned")
    refused(r"a gate needs true labels: .* degenerate", Gate("learned").fit, [0.5] * 2, [0.5] * 2, a)
    assert gate(a, a).p.tolist() == [0.2, 0.8]
