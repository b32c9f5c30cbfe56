"""Logistic paths beside torch's L-BFGS fitted one by one, and how far both end above the minimum."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from tests.benchmarks.data import activations
from tests.benchmarks.timing import Line, in_turns, seconds
from tests.w2s_probes.probes.test_logistic import excesses, objective
from w2s_probes import LogisticProbe
from w2s_probes.probes.design import Design
from w2s_probes.probes.penalties import PENALTIES

ROWS, FOLDS = 10_000, 5
NINE = np.logspace(-4, 4, 9)
REFERENCE = "torch L-BFGS, strong Wolfe, one by one"


@dataclass(frozen=True)
class Layer:
    """Activations and soft, noisy labels."""

    X: NDArray[np.float32]
    p: NDArray[np.float64]
    other: NDArray[np.float64]  # a second label set


def cases() -> Iterator[Line]:
    """The lines of the table."""
    narrow, wide = layer(1024), layer(4096)
    yield nine(narrow)
    yield from folds(narrow, 60)
    yield from folds(wide, 20)
    for data in (narrow, wide):
        yield from second(data)
    yield accuracy(narrow)


def layer(width: int) -> Layer:
    """Activations and two sets of labels that some of their factors explain."""
    X, factors = activations(ROWS, width)
    rng = np.random.default_rng(1)
    score = factors[:, :50] @ rng.normal(size=50) / np.sqrt(50)
    soft = [expit(2 * score + 1.5 * rng.normal(size=ROWS)) for _ in range(2)]
    return Layer(X, soft[0], soft[1])


def fitted(X: torch.Tensor, p: torch.Tensor, l2: float) -> tuple[NDArray[np.float64], float]:
    """Weights and bias of one fit as a researcher would write it."""
    weights, bias = torch.zeros(X.shape[1], requires_grad=True), torch.zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weights, bias],
        lr=1,
        max_iter=500,
        tolerance_grad=1e-7,
        tolerance_change=1e-9,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(X @ weights + bias, p) + l2 * weights @ weights
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return weights.detach().numpy().astype(np.float64), bias.item()


def one_by_one(
    data: Layer, penalties: NDArray[np.float64], rows: NDArray[np.bool_]
) -> tuple[float, list[tuple[NDArray[np.float64], float]]]:
    """Seconds of the reference's fits on some rows (n,), and what they found."""
    X, p = torch.from_numpy(data.X[rows]), torch.from_numpy(data.p[rows].astype(np.float32))
    found: list[tuple[NDArray[np.float64], float]] = []
    return seconds(lambda: found.extend(fitted(X, p, float(l2)) for l2 in penalties)), found


def best_of(work: Callable[[], object]) -> float:
    """Median seconds of three."""
    return float(np.median([seconds(work) for _ in range(3)]))


def nine(data: Layer) -> Line:
    """Nine penalties on all rows, what is prepared included."""
    LogisticProbe.path(data.X, data.p, l2=NINE, cv=None)
    ours = best_of(lambda: LogisticProbe.path(data.X, data.p, l2=NINE, cv=None))
    theirs, _ = one_by_one(data, NINE, np.ones(ROWS, dtype=bool))
    what = f"9 penalties, {ROWS:,} x {data.X.shape[1]}"
    return Line(what, ours, theirs, "s", REFERENCE, theirs / ours, 20)


def folds(data: Layer, bar: float) -> Iterator[Line]:
    """Eleven penalties on all rows and without each of five folds."""
    ours = best_of(lambda: LogisticProbe.path(data.X, data.p))
    path = LogisticProbe.path(data.X, data.p)
    assert path.folds is not None
    refits, found = one_by_one(data, np.array(PENALTIES), np.ones(ROWS, dtype=bool))
    fold, _ = one_by_one(data, np.array(PENALTIES), path.folds != 0)
    theirs = refits + FOLDS * fold
    what = f"11 penalties x (5 folds + refit), {ROWS:,} x {data.X.shape[1]}, most iterations {path.n_iter.max()}"
    against = f"{REFERENCE}; one fold timed, times 5"
    yield Line(what, ours, theirs, "s", against, theirs / ours, bar)

    def of(weights: NDArray[np.float64], bias: float, l2: float) -> float:
        return objective(data.X, data.p, l2, weights, bias)

    pairs = list(zip(path.l2, path.coef_, path.intercept_, found, strict=True))
    above = max(of(*theirs, l2) / of(w, float(b), l2) - 1 for l2, w, b, theirs in pairs)
    most, least = float(path.excess.max()), min(of(*t, l2) / of(w, float(b), l2) - 1 for l2, w, b, t in pairs)
    what = f"its objectives above ours, worst (least {least:.0e}), {ROWS:,} x {data.X.shape[1]}"
    yield Line(what, most, above, "relative", "ours as estimated", most, 1e-6, at_least=False)


def second(data: Layer) -> Iterator[Line]:
    """A second label set on a prepared layer, and together with the first."""
    where = f"{ROWS:,} x {data.X.shape[1]}"
    design = Design.of(data.X)

    def first() -> object:
        return LogisticProbe.path(Design.of(data.X), data.p)

    again, one, ratio = in_turns(lambda: LogisticProbe.path(design, data.other), first, 3)
    yield Line(f"second label set alone, {where}", again, one, "s", "the first", 1 / ratio, 0.6, at_least=False)
    sets = np.stack([data.p, data.other])
    both, one, ratio = in_turns(lambda: LogisticProbe.paths(Design.of(data.X), sets), first, 3)
    yield Line(f"two label sets together, {where}", both, one, "s", "one", 1 / ratio, 2, at_least=False)


def accuracy(data: Layer) -> Line:
    """The refits of the eleven penalties beside a float64 Newton method."""
    path = LogisticProbe.path(data.X, data.p, cv=None)
    worst = float(excesses(path, data.X, data.p).max())
    what = f"objective above the minimum, worst of 11, {ROWS:,} x {data.X.shape[1]}"
    return Line(what, worst, 0.0, "relative", "float64 Newton", worst, 1e-6, at_least=False)
