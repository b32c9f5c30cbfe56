"""What steering moved: log-odds of every row under every change, and their summary beside random directions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from w2s_probes.metrics.intervals import NO_ESTIMATE, Estimate, quantile
from w2s_probes.metrics.recovery import auroc
from w2s_probes.rows.groups import group_numbers

from .directions import Directions
from .held_rows import HeldRows
from .steer_files import BASE, CONTROLS, STEER_COLUMNS, By

BAND = (0.025, 0.975)  # quantiles of the random directions


@dataclass(frozen=True)
class BesideRandom:
    """The probe's direction beside the N random ones of one kind, at one strength.

    Ranks are exact: were the probe's direction drawn as the others are, p ≤ α would happen with probability α at most.
    1 / (N + 1) is the least p that N directions can give.
    """

    control: str
    mean: float  # of their mean movements
    low: float  # of these the 2.5 % and 97.5 % quantile
    high: float
    p_toward: float  # one-sided: a random direction moves rows as far towards the strength's sign; NaN of ablation
    p_size: float  # a random direction moves rows as much, on average over their sizes


@dataclass(frozen=True)
class Moved:
    """The effect of the probe's direction at one strength, with intervals over rows, or their groups."""

    strength: float  # NaN of ablation
    log_odds: Estimate  # movement, mean over rows
    size: Estimate  # of the sizes of the rows' movements
    p: Estimate  # movement of P(1)
    said: float  # P of the two words together; NaN of a layer
    auroc_weak: float  # after; NaN where rows have no labels
    auroc_truth: float  # an oracle's
    beside: tuple[BesideRandom, ...]


@dataclass(frozen=True, eq=False)
class Steered:
    """Log-odds of label 1 of n rows, with the stream left alone and under D directions at S strengths."""

    directions: Directions
    rows: HeldRows
    by: By
    read: str  # words, or layer:M
    strengths: tuple[float, ...]
    base: NDArray[np.float64]  # (n,)
    log_odds: NDArray[np.float64]  # (D, S, n)
    base_said: NDArray[np.float64] | None  # (n,) P of the two words together
    said: NDArray[np.float64] | None  # (D, S, n)
    about: Mapping[str, Any]  # model, store, prompt and the rest of what was asked, for the record

    @property
    def ids(self) -> NDArray[np.object_]:
        """The rows' ids (n,)."""
        return self.rows.table["id"].to_numpy(dtype=object)

    @property
    def moved(self) -> NDArray[np.float64]:
        """The movements (D, S, n) of the log-odds."""
        return self.log_odds - self.base

    @cached_property
    def results(self) -> tuple[Moved, ...]:
        """The probe's direction at each strength."""
        return tuple(self._result(at) for at in range(len(self.strengths)))

    @property
    def base_auroc(self) -> tuple[float, float]:
        """AUROC of the weak labels and of the truth with the stream left alone; NaN where there are none."""
        return scored(self.rows.weak, self.base), scored(self.rows.truth, self.base)

    def _result(self, at: int) -> Moved:
        own = self.moved[0, at]
        mean = self._mean
        return Moved(
            math.nan if self.by == "ablate" else self.strengths[at],
            mean(own),
            mean(np.abs(own)),
            mean(expit(self.log_odds[0, at]) - expit(self.base)),
            math.nan if self.said is None else float(self.said[0, at].mean()),
            scored(self.rows.weak, self.log_odds[0, at]),
            scored(self.rows.truth, self.log_odds[0, at]),
            tuple(self._beside(name, at) for name in CONTROLS if name in self.directions.kinds),
        )

    def _beside(self, control: str, at: int) -> BesideRandom:
        which = np.array([kind == control for kind in self.directions.kinds])
        means, sizes = self.moved[:, at].mean(axis=1), np.abs(self.moved[:, at]).mean(axis=1)
        sign = float(np.sign(self.strengths[at]))
        low, high = np.quantile(means[which], BAND)
        toward = math.nan if self.by == "ablate" else rank_p(sign * means[0], sign * means[which])
        size = rank_p(sizes[0], sizes[which])
        return BesideRandom(control, float(means[which].mean()), float(low), float(high), toward, size)

    def _mean(self, values: NDArray[np.float64]) -> Estimate:
        return mean_over_groups(values, group_numbers(self.rows.groups, len(values)))

    def to_frame(self) -> pd.DataFrame:
        """A tidy table with the columns of `STEER_COLUMNS`: every direction, strength and measure on a line."""
        lines: list[tuple[object, ...]] = []
        n = len(self.base)

        def put(kind: str, number: int, strength: float, log_odds: NDArray[np.float64], said: object) -> None:
            measured: dict[str, Estimate] = {"log_odds": self._mean(log_odds), "p": self._mean(expit(log_odds))}
            if kind != BASE:
                moved = log_odds - self.base
                measured["moved"] = self._mean(moved)
                measured["moved_size"] = self._mean(np.abs(moved))
                measured["moved_p"] = self._mean(expit(log_odds) - expit(self.base))
            if isinstance(said, np.ndarray):
                measured["said"] = self._mean(said)
            for name, labels in (("auroc_weak", self.rows.weak), ("auroc_truth", self.rows.truth)):
                if not math.isnan(value := scored(labels, log_odds)):
                    measured[name] = Estimate(value, math.nan, math.nan)
            for name, found in measured.items():
                of_truth = name == "auroc_truth"
                lines.append((kind, number, strength, name, found.value, found.low, found.high, n, of_truth))

        put(BASE, 0, math.nan, self.base, self.base_said)
        numbers: dict[str, int] = {}
        for direction, kind in enumerate(self.directions.kinds):
            number = numbers[kind] = numbers.get(kind, -1) + 1
            for at, strength in enumerate(self.strengths):
                said = None if self.said is None else self.said[direction, at]
                told = math.nan if self.by == "ablate" else strength
                put(kind, number, told, self.log_odds[direction, at], said)
        return pd.DataFrame(lines, columns=list(STEER_COLUMNS))

    @property
    def lines(self) -> list[str]:
        """What is said of it, a sentence each."""
        told = [self._begun()]
        for found in self.results:
            how = "taken out" if self.by == "ablate" else f"strength {found.strength:g}"
            said = "" if math.isnan(found.said) else f"; the two words have {found.said:.1%} of the probability"
            told.append(f"{how}: log-odds {found.log_odds:+.3f}, P(1) {found.p:+.3f}{said}")
            for one in found.beside:
                p = f"as much at all p = {one.p_size:.3g}"
                if not math.isnan(one.p_toward):
                    p = f"as far that way p = {one.p_toward:.3g}, {p}"
                told.append(f"  {one.control}: {one.mean:+.3f} [{one.low:+.3f}, {one.high:+.3f}]; {p}")
            told += self._auroc_lines(found)
        return told

    def _begun(self) -> str:
        one = self.directions
        share = one.scale / one.length if one.length else math.nan
        strength = "" if self.by == "ablate" else f"; strength 1 is {one.scale:.3g} long, {share:.1%} of a row's vector"
        said = "" if self.base_said is None else f"; its two words have {self.base_said.mean():.1%} of the probability"
        return (
            f"{len(self.base):,} rows steered at layer {one.layer} by the direction of {one.name} (taught by "
            f"{one.learned:,} rows), beside {one.random} random directions of each kind{strength}; mean log-odds "
            f"before {self.base.mean():+.3f}{said}"
        )

    def _auroc_lines(self, found: Moved) -> list[str]:
        before = self.base_auroc
        after = (found.auroc_weak, found.auroc_truth)
        names = ("AUROC of the weak labels", "AUROC of the truth (an oracle's)")
        return [
            f"  {name}: {a:.3f} before, {b:.3f} after"
            for name, a, b in zip(names, before, after, strict=True)
            if not math.isnan(a)
        ]

    def __repr__(self) -> str:
        many = len(self.directions.kinds)
        return (
            f"Steered({len(self.base)} rows, layer {self.directions.layer}, {self.by}, {many} directions, {self.read})"
        )


def rank_p(value: float, others: NDArray[np.float64]) -> float:
    """The share of the values, the own one among them, that are at least as large.

    >>> rank_p(3.0, np.array([1.0, 2.0, 4.0]))
    0.5
    """
    return float((1 + (others >= value).sum()) / (1 + len(others)))


def mean_over_groups(values: NDArray[np.float64], groups: NDArray[np.intp] | None) -> Estimate:
    """The mean of rows (n,) and its 95 % interval, by Student's t over groups (n,) from 0, or over rows without.

    >>> f"{mean_over_groups(np.array([1.0, 2.0, 3.0]), None):.2f}"
    '2.00 [-0.48, 4.48]'
    """
    if not len(values):
        return NO_ESTIMATE
    mean = float(values.mean())
    parts = (values - mean) / len(values)
    if groups is not None:
        parts = np.bincount(groups, weights=parts).astype(np.float64)
    if len(parts) < 2:
        return Estimate(mean, math.nan, math.nan)
    error = math.sqrt(float((parts**2).sum()) * len(parts) / (len(parts) - 1))
    half = quantile(len(parts) - 1) * error
    return Estimate(mean, mean - half, mean + half, error)


def scored(labels: NDArray[np.float64] | None, log_odds: NDArray[np.float64]) -> float:
    """AUROC of the rows whose label is known, by the side that it is on; NaN where there are none of both sides."""
    if labels is None:
        return math.nan
    known = ~np.isnan(labels)
    sides = labels[known] > 0.5
    if not sides.any() or sides.all():
        return math.nan
    return float(auroc(sides.astype(float), log_odds[known]))
