"""The estimate of the noise of weak labels: its numbers, its status, and what a status means."""

from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from ..metrics.intervals import NO_ESTIMATE, Estimate

NoiseStatus = Literal["ok", "assumption not checked", "uninformative", "hard rows", "few rows"]

# A clause that a sentence can take.
MEANING: dict[NoiseStatus, str] = {
    "ok": "audited rows say so",
    "few rows": "fewer than 20 rows of a class can be relied on",
    "uninformative": "the probe hardly separates the labels, so wrong labels and rows that look alike cannot be told "
    "apart",
    "hard rows": "the probe disagrees mostly where it is unsure, so wrong labels and hard rows cannot be told apart",
    "assumption not checked": "the probe may share the supervisor's mistakes, which no score can show",
}

Matrix = tuple[tuple[Estimate, Estimate], tuple[Estimate, Estimate]]


@dataclass(frozen=True)
class NoiseEstimate:
    """The noise of n weak labels, as far as a probe or an audit can tell.

    >>> import numpy as np
    >>> from w2s_probes import noise_model
    >>> scores = np.linspace(0.01, 0.99, 400)
    >>> labels = (scores > 0.5).astype(float)
    >>> labels[::10] = 1 - labels[::10]
    >>> audited = np.arange(0, 400, 3)
    >>> estimate = noise_model(labels, scores, audited=(audited, scores[audited] > 0.5))
    >>> estimate.status, estimate.audited
    ('ok', 134)
    >>> bool(estimate.noise.low < 0.1 < estimate.noise.high)
    True
    """

    status: NoiseStatus  # whether the numbers may be relied on: see `noise_model`
    oracle: bool  # true where audited truth entered every number but `auroc`
    n: int  # rows
    audited: int  # rows whose truth was given
    noise: Estimate  # share of wrong labels
    true_given_weak: Matrix  # [weak class][true class]
    weak_given_true: Matrix  # [true class][weak class]
    contamination: Estimate  # audited noise in [0, ½), as a filter takes it; NaN unless the status is "ok"
    excess: Estimate  # noise beyond that of the rows the probe is surest of (`confident.excess`); NaN with an audit
    auroc: Estimate  # of the scores against the weak labels
    calibration: pd.DataFrame  # reliability of the scores against weak labels, with an audit against the truth
    calibration_error: float  # expected calibration error of that table

    def to_frame(self) -> pd.DataFrame:
        """Tidy: `measure`, `value`, `low`, `high` (95 %), `oracle`."""
        rows = [("noise", self.noise, self.oracle), ("contamination", self.contamination, self.oracle)]
        for i in (0, 1):
            for j in (0, 1):
                rows.append((f"P(true={j} | weak={i})", self.true_given_weak[i][j], self.oracle))
        for j in (0, 1):
            for i in (0, 1):
                rows.append((f"P(weak={i} | true={j})", self.weak_given_true[j][i], self.oracle))
        rows.append(("excess", self.excess, False))
        rows.append(("auroc", self.auroc, False))
        error = replace(NO_ESTIMATE, value=self.calibration_error)
        rows.append(("calibration_error", error, self.oracle))
        columns = ["measure", "value", "low", "high", "oracle"]
        return pd.DataFrame([(name, e.value, e.low, e.high, oracle) for name, e, oracle in rows], columns=columns)

    def __repr__(self) -> str:
        auroc = f"AUROC {self.auroc:.3f}"
        if self.audited:
            rows = f"{self.audited} of {self.n} rows audited, oracle"
            return f"NoiseEstimate({self.status}: noise {self.noise:.3f}, {auroc}; {rows})"
        noise = "" if self.status == "uninformative" else f"confident joint's noise {self.noise:.3f}, "
        return f"NoiseEstimate({self.status}: {noise}{auroc}; {self.n} rows, none audited)"

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(index=False, float_format="{:.3f}".format, na_rep="")
        return f"<p>{self!r}</p><p>{self.status}: {self.meaning}.</p>{table}"

    @property
    def meaning(self) -> str:
        """The meaning of the status, as a clause."""
        return MEANING[self.status]
