"""Noise estimates and filters beside cleanlab's, on the same labels and scores; no lines where it is not installed."""

import importlib
import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.timing import Line, in_turns
from w2s_probes import disagreement_filter
from w2s_probes.noise import noise_model
from w2s_probes.noise.confident import confident_joint

ROWS, APART, FLIPS = 20_000, 4.0, (0.1, 0.3)  # flips of class 0 and of class 1: a fifth of the labels is wrong


def cases() -> Iterator[Line]:
    """The lines of the table."""
    if importlib.util.find_spec("cleanlab") is None:
        return
    count: Any = importlib.import_module("cleanlab.count")
    issues: Any = importlib.import_module("cleanlab.filter").find_label_issues
    truth, weak, p = planted()
    classes, both = weak.astype(int), np.column_stack([1 - p, p])
    wrong = (weak > 0.5) != truth

    theirs = count.estimate_joint(classes, both)
    ours, size = noise_model(weak, p).noise.value, f"{ROWS} rows, {wrong.mean():.3f} of the labels wrong"
    yield compared(f"{size}: error of the noise estimate", error(ours, wrong), error(off(theirs), wrong), "absolute")

    found = issues(classes, both, n_jobs=1)
    removed = disagreement_filter(weak, p, float(found.mean())).removed
    yield compared(f"{size}: precision of as many rows removed", wrong[removed].mean(), wrong[found].mean(), "share")
    for what, here, there in (
        (
            "joint of weak and true class",
            lambda: confident_joint(weak > 0.5, p),
            lambda: count.estimate_joint(classes, both),
        ),
        (
            "choice of the rows to remove",
            lambda: disagreement_filter(weak, p, 0.2),
            lambda: issues(classes, both, n_jobs=1),
        ),
    ):
        fast, slow, ratio = in_turns(here, there, 15)
        yield Line(f"{ROWS} rows: {what}", 1e3 * fast, 1e3 * slow, "ms", "cleanlab, one process", ratio, 1.0)


def planted() -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Truth, weak labels flipped at random by class, and the scores P(weak = 1 | x) of the best possible probe."""
    rng = np.random.default_rng(0)
    truth = rng.random(ROWS) < 0.5
    x = rng.normal(size=ROWS) + APART * (truth - 0.5)
    weak = truth ^ (rng.random(ROWS) < np.where(truth, FLIPS[1], FLIPS[0]))
    q = 1 / (1 + np.exp(-APART * x))
    return truth, weak.astype(np.float64), q * (1 - FLIPS[1]) + (1 - q) * FLIPS[0]


def off(joint: NDArray[np.float64]) -> float:
    """The share of wrong labels in a joint."""
    return float(1 - np.trace(joint))


def error(noise: float, wrong: NDArray[np.bool_]) -> float:
    """Of an estimate of it."""
    return abs(noise - float(wrong.mean()))


def compared(what: str, ours: float, theirs: float, unit: str) -> Line:
    """A line without a bar: what the two say is for the reader to judge."""
    return Line(what, float(ours), float(theirs), unit, "cleanlab", float(ours / theirs), 0.0)
