"""The criterion by which validation rows and their weak labels choose the best point of a training."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import log1p

from ..errors import InputError, did_you_mean
from ..metrics.ranks import aurocs
from ..metrics.recovery import auroc
from ..ties import above_half
from .finetuning.settings import STOPS, Stop


@dataclass(frozen=True)
class Criterion:
    """The agreement of scores with the weak labels of the validation rows; higher is better.

    - `auroc`: AUROC against the labels' classes (1 above ½), the criterion of EleutherAI's experiments.
    - `log_loss`: minus the mean cross-entropy with the soft labels; the only one that asks for calibration.
    - `agreement`: share of rows on the labels' side of ½, that of Burns et al. 2023, D.2 and of their fine-tuning.
    """

    stop: Stop
    soft: NDArray[np.float64]  # (n,) P(label = 1) of the validation rows; (heads, n) in `scores`

    @classmethod
    def of(cls, stop: Stop, soft: NDArray[np.float64]) -> "Criterion | None":
        """The criterion on labels (n,), or None where they cannot judge: AUROC needs labels of both classes."""
        if stop not in STOPS:
            raise InputError(f"stop={stop!r}: {did_you_mean(stop, STOPS)}")
        criterion = cls(stop, np.asarray(soft, dtype=np.float64))
        return criterion if len(soft) and (stop != "auroc" or criterion.two_sided) else None

    @cached_property
    def side(self) -> NDArray[np.bool_]:
        """The labels' classes (..., n)."""
        return above_half(self.soft)

    @property
    def two_sided(self) -> bool:
        """Whether there are labels of both classes."""
        return bool(self.side.any()) and not bool(self.side.all())

    def score(self, margins: NDArray[np.floating]) -> float:
        """The criterion of log-odds (n,)."""
        return float(self.scores(margins))

    def scores(self, margins: NDArray[np.floating]) -> NDArray[np.float64]:
        """The criteria (...) of log-odds (..., n), where the labels have as many leading axes."""
        if self.stop == "auroc":
            return aurocs(self.side, margins)
        values: NDArray[np.float64] = np.asarray(margins, dtype=np.float64)
        if self.stop == "agreement":
            return np.asarray(((values > 0) == self.side).mean(axis=-1))
        # -(y log f + (1 - y) log(1 - f)) = log(1 + exp(-m)) + (1 - y) m, without overflow
        lost = np.maximum(-values, 0) + log1p(np.exp(-np.abs(values))) + (1 - self.soft) * values
        return -np.asarray(lost.mean(axis=-1))

    def auroc(self, margins: NDArray[np.floating]) -> float | None:
        """AUROC of log-odds (n,) against the classes; None where there is only one class."""
        return auroc(self.side, margins) if self.two_sided else None
