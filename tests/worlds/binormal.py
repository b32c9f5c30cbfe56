"""Test sets and training seeds whose true metrics are known, to count how often intervals cover them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from w2s_probes.metrics.metric_names import Metric
from w2s_probes.metrics.recovery_over_seeds import SeedResults, gap_recovered_over_seeds


@dataclass(frozen=True)
class Study:
    """Scorers that are normal within each class, trained over and over.

    Their true metrics are `weak`, `weak` + `pgr` · `gap` (student), `weak` + `gap` (ceiling), the last two moved by
    each seed with this `scatter`; the expectations over seeds and rows are thus exact. Of the noise of a row's score,
    `common` is the share in which all models agree, `kind` that which a model repeats with every seed; the rest is
    new with each seed. The supervisor is the same for all seeds.
    """

    rows: int
    gap: float
    seeds: int
    scatter: float
    weak: float = 0.7
    pgr: float = 0.5
    common: float = 0.4
    kind: float = 0.3
    metric: Metric = "auroc"
    per_group: int = 1  # rows of a group: of one class, and equal in what they share with other models
    ignored: bool = False  # whether the intervals are not told of the groups

    @property
    def groups(self) -> NDArray[np.intp] | None:
        """The group of each row (rows,), where there are any."""
        return None if self.per_group == 1 or self.ignored else np.arange(self.rows) // self.per_group

    def run(self, rng: np.random.Generator) -> SeedResults:
        """One test set, and one training with each seed."""
        units = -(-self.rows // self.per_group)

        def drawn() -> NDArray[np.float64]:
            return np.repeat(rng.normal(size=units), self.per_group)[: self.rows]

        truth = np.repeat(np.arange(units) % 2, self.per_group)[: self.rows].astype(np.float64)
        common = drawn()
        runs: list[dict[str, NDArray[np.float64]]] = [{} for _ in range(self.seeds)]
        for name, share in (("weak", 0.0), ("student", self.pgr), ("ceiling", 1.0)):
            kind = drawn()
            if name == "weak":
                kind = kind * np.sqrt((1 - self.common) / self.kind)
            for run in runs:
                if name == "weak" and "weak" in runs[0]:
                    run[name] = runs[0][name]
                    continue
                moved = 0.0 if name == "weak" else self.scatter * rng.normal()
                own = 0.0 if name == "weak" else np.sqrt(1 - self.common - self.kind) * drawn()
                noise = np.sqrt(self.common) * common + np.sqrt(self.kind) * kind + own
                run[name] = self.scores(self.weak + share * self.gap + moved, truth, noise)
        return gap_recovered_over_seeds(truth, runs, self.metric, groups=self.groups)

    def scores(self, value: float, truth: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores whose expected metric is `value`: P(1) whose log odds are normal in each class."""
        distance = (np.sqrt(2) if self.metric == "auroc" else 2) * norm.ppf(value)
        return np.asarray(1 / (1 + np.exp(-(noise + distance * (truth - 0.5)))))


@dataclass(frozen=True)
class Coverage:
    """Shares of the experiments in which the truth was inside the 95 % interval; of PGR where its status is ok."""

    ok: float  # share of the experiments whose status is ok
    pgr: float
    gain: float
    value: float  # the student's metric
    difference: float  # student - ceiling
    width: float  # median, of PGR


def coverage(study: Study, experiments: int, seed: int = 0) -> Coverage:
    rng = np.random.default_rng(seed)
    inside: list[tuple[bool, bool, bool]] = []
    pgr: list[tuple[bool, float]] = []
    for _ in range(experiments):
        found = study.run(rng)
        one, value, difference = (
            found.recovered["student"],
            found.values["student"],
            found.difference("student", "ceiling"),
        )
        gain, student = study.pgr * study.gap, study.weak + study.pgr * study.gap
        inside.append(
            (
                one.gain.low <= gain <= one.gain.high,
                value.low <= student <= value.high,
                difference.low <= gain - study.gap <= difference.high,
            )
        )
        if one.status == "ok":
            pgr.append((one.low <= study.pgr <= one.high, one.high - one.low))
    covered = np.mean([hit for hit, _ in pgr]) if pgr else np.nan
    width = np.median([width for _, width in pgr]) if pgr else np.nan
    gains, values, differences = np.mean(inside, axis=0)
    return Coverage(
        len(pgr) / experiments, float(covered), float(gains), float(values), float(differences), float(width)
    )
