"""The criterion by which validation rows and their weak labels choose the best point of a training."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log1p

from ..errors import InputError, did_you_mean
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
    soft: NDArray[np.float64]  # (n,) P(label = 1) of the validation rows

    @classmethod
    def of(cls, stop: Stop, soft: NDArray[np.float64]) -> "Criterion | None":
        """The criterion on labels (n,), or None where they cannot judge: AUROC needs labels of both classes."""
        if stop not in STOPS:
            raise InputError(f"stop={stop!r}: {did_you_mean(stop, STOPS)}")
        criterion = cls(stop, np.asarray(soft, dtype=np.float64))
        return criterion if len(soft) and (stop != "auroc" or criterion.two_sided) else None

    @property
    def side(self) -> NDArray[np.bool_]:
        """The labels' classes (n,)."""
        return above_half(self.soft)

    @property
    def two_sided(self) -> bool:
        """Whether there are labels of both classes."""
        return bool(self.side.any()) and not bool(self.side.all())

    def score(self, margins: NDArray[np.floating]) -> float:
        """The criterion of log-odds (n,)."""
        margins = np.asarray(margins, dtype=np.float64)
        if self.stop == "auroc":
            return auroc(self.side, margins)
        if self.stop == "agreement":
            return float(((margins > 0) == self.side).mean())
        # -(y log f + (1 - y) log(1 - f)) = log(1 + exp(-m)) + (1 - y) m, without overflow
        lost = np.maximum(-margins, 0) + log1p(np.exp(-np.abs(margins))) + (1 - self.soft) * margins
        return -float(lost.mean())

    def auroc(self, margins: NDArray[np.floating]) -> float | None:
        """AUROC of log-odds (n,) against the classes; None where there is only one class."""
        return auroc(self.side, margins) if self.two_sided else None
