"""What is asked of many logistic fits at once, and what is found."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Status = Literal["converged", "separable", "stopped"]
CONVERGED, SEPARABLE, STOPPED = "converged", "separable", "stopped"


@dataclass(frozen=True, eq=False)
class Problems:
    """k fits: each is one row of `labels`, one of `weights` and a penalty."""

    labels: NDArray[np.float64]  # (L, n) in [0, 1]
    weights: NDArray[np.float64]  # (K, n), each summing to 1
    label_of: NDArray[np.intp]  # (k,)
    weight_of: NDArray[np.intp]  # (k,)
    l2: NDArray[np.float64]  # (k,)

    def __getitem__(self, some: Any) -> "Problems":
        return Problems(self.labels, self.weights, self.label_of[some], self.weight_of[some], self.l2[some])


@dataclass(frozen=True, eq=False)
class Solutions:
    """What `minimize` found for k fits."""

    theta: NDArray[np.float64]  # (k, r + 1) parameters in the design's units, the bias last
    n_iter: NDArray[np.intp]  # (k,)
    excess: NDArray[np.float64]  # (k,) (objective - minimum) / objective is at most this; NaN if there is no minimum
    status: NDArray[np.str_]  # (k,) of `Status`
