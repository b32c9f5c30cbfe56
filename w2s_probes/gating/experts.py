"""Two linear experts and a gate between them, trained in turns or together on rows with true labels.

Zeng et al. 2024 ("Mixture of weak and strong experts on graphs"): the gate sees how sure the weak expert is. Both
experts start from heads that are trained already, and learn what is added to these.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit

from ..errors import InputError
from ..labels.label_set import LabelSet
from ..tensors import as_numpy
from .dispersion import numbers, signals
from .mixing import Gated, mixed, refuse_weak_labels
from .objectives import loss_and_slopes, mixture_losses, own_losses

LEAST = 100  # rows with true labels
GATE_L2 = 1e-3  # of the gate's weights
GAIN = 1e-6  # of the held-out loss, below which a round has gained nothing
SMALLEST = 1e-12  # of a prediction in the loss of held-out rows


@dataclass(frozen=True)
class LinearHead:
    """The head that an expert starts from: log-odds X · coef + intercept.

    >>> LinearHead(np.array([1.0, 0.0]), 0.5).logits(np.array([[2.0, 3.0]]))
    array([2.5])
    """

    coef: NDArray[np.float64]  # (d,)
    intercept: float = 0.0

    def logits(self, X: NDArray[np.floating]) -> NDArray[np.float64]:
        """The log-odds (n,) of rows (n, d)."""
        return np.asarray(np.asarray(as_numpy(X), dtype=np.float64) @ as_numpy(self.coef) + self.intercept)


class GatedExperts:
    """A weak and a strong expert, each linear in its own model's activations, and a learned gate.

    `joint` minimises the loss of the mixture in all weights together; without it the experts' own losses, each in its
    share, are minimised in turns, the weak expert's weights with the gate's. A turn is L-BFGS, of which the iterate
    with the least loss on the held-out rows stays; turns end after `patience` rounds without gain. `l2` · ‖added‖²
    holds the experts by their starts, on inputs of unit variance.
    """

    def __init__(
        self, *, joint: bool = False, l2: float = 1e-2, iterations: int = 100, rounds: int = 100, patience: int = 10
    ) -> None:
        if not l2 > 0 or min(iterations, rounds, patience) < 1:
            raise InputError("gated experts need l2 above 0, and iterations, rounds and patience of 1 or more")
        self.joint, self.l2 = joint, l2
        self.iterations, self.rounds, self.patience = iterations, rounds, patience

    def fit(
        self,
        X_weak: NDArray[np.floating],
        X_strong: NDArray[np.floating],
        truth: ArrayLike | LabelSet,
        held_out: NDArray[np.bool_],
        *,
        weak: LinearHead,
        strong: LinearHead,
    ) -> "GatedExperts":
        """Train on rows (n, d) and (n, d') with true labels (n,); those in `held_out` (n,) stop the training.

        InputError for fewer than 100 rows, for rows of one class, where none are held out, for labels of role weak or
        outside [0, 1], and for heads of another width than the rows.
        """
        refuse_weak_labels(truth, "a pair of gated experts")
        y = numbers(truth, "true labels")
        X_weak, X_strong, held_out = as_numpy(X_weak), as_numpy(X_strong), np.asarray(as_numpy(held_out))
        if not len(X_weak) == len(X_strong) == len(y) == len(held_out):
            raise InputError(
                f"{len(X_weak)} rows of the weak model, {len(X_strong)} of the strong one, {len(y)} true labels, "
                f"{len(held_out)} marks of held-out rows: one of each a row is needed"
            )
        if y.ndim != 1 or not ((y >= 0) & (y <= 1)).all():
            raise InputError("true labels of gated experts must be one number in [0, 1] a row")
        if held_out.dtype != bool:
            raise InputError("marks of held-out rows must be true or false, one a row")
        for name, X, head in (("weak", X_weak, weak), ("strong", X_strong, strong)):
            _refuse_other_width(name, X, head)
        if len(y) < LEAST:
            raise InputError(f"{len(y)} rows with true labels: gated experts learn from {LEAST} or more")
        if len(np.unique(y[~held_out])) < 2 or not held_out.any():
            raise InputError("gated experts learn from rows of both classes, and are stopped by rows that are held out")
        self._starts = weak, strong
        self._scales = [_scale(np.asarray(X, dtype=np.float64)[~held_out]) for X in (X_weak, X_strong)]
        fit, stop = ((*self._inputs(X_weak[part], X_strong[part]), y[part]) for part in (~held_out, held_out))
        sizes = [X_weak.shape[1] + 1, X_strong.shape[1] + 1, 3]  # weak, strong, gate
        self._ends = np.cumsum(sizes)
        theta, every = np.zeros(sum(sizes)), np.ones(sum(sizes), dtype=bool)
        first = np.arange(len(theta)) < self._ends[0]
        of_gate = np.arange(len(theta)) >= self._ends[1]
        turns = [every] if self.joint else [first | of_gate, ~(first | of_gate)]
        best, self.held_out_loss_, since = theta, self._loss(theta, stop), 0
        for number in range(1 if self.joint else self.rounds):
            for free in turns:
                theta = self._turn(theta, free, fit, stop)
            loss = self._loss(theta, stop)
            self.n_rounds_ = number + 1
            since = 0 if loss < self.held_out_loss_ - GAIN else since + 1
            if loss < self.held_out_loss_:
                best, self.held_out_loss_ = theta, loss
            if since >= self.patience:
                break
        self._theta = best
        return self

    @property
    def gate_coef_(self) -> NDArray[np.float64]:
        """The gate's weights (3,) of variance, entropy, and 1."""
        return self._theta[self._ends[1] :]

    def mix(self, X_weak: NDArray[np.floating], X_strong: NDArray[np.floating]) -> Gated:
        """The mixture of both experts' P(label = 1), in expectation."""
        if not hasattr(self, "_theta"):
            raise InputError("gated experts have learned nothing yet: fit them to rows with true labels first")
        for name, X, head in zip(("weak", "strong"), (X_weak, X_strong), self._starts, strict=True):
            _refuse_other_width(name, X, head)
        weak, strong = self._logits(self._theta, *self._inputs(X_weak, X_strong))
        p = expit(weak)
        return mixed(p, expit(strong), expit(signals(p) @ self.gate_coef_))

    def _turn(
        self, theta: NDArray[np.float64], free: NDArray[np.bool_], fit: "_Rows", stop: "_Rows"
    ) -> NDArray[np.float64]:
        """The iterate of least held-out loss of the weights that are free, the others held still."""
        found = [(self._loss(theta, stop), theta)]

        def whole(x: NDArray[np.float64]) -> NDArray[np.float64]:
            moved = theta.copy()
            moved[free] = x
            return moved

        def value(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            loss, slope = self._value(whole(x), fit)
            return loss, slope[free]

        def look(x: NDArray[np.float64]) -> None:
            found.append((self._loss(whole(x), stop), whole(x)))

        settings = {"maxiter": self.iterations}
        minimize(value, theta[free], jac=True, method="L-BFGS-B", callback=look, options=settings)
        return min(found, key=lambda one: one[0])[1]

    def _value(self, theta: NDArray[np.float64], rows: "_Rows") -> tuple[float, NDArray[np.float64]]:
        """The penalised loss of the training rows, and its slope by all weights."""
        weak, strong, gate = np.split(theta, self._ends[:2])
        logits = self._logits(theta, *rows[:4])
        loss, slopes = loss_and_slopes(*logits, rows[4], gate, joint=self.joint)
        slope = np.concatenate([_with_bias(rows[0], slopes[0]), _with_bias(rows[1], slopes[1]), slopes[2]])
        penalties = np.concatenate([_penalty(weak, self.l2), _penalty(strong, self.l2), np.full(3, GATE_L2)])
        return loss + float(penalties @ theta**2), slope + 2 * penalties * theta

    def _loss(self, theta: NDArray[np.float64], rows: "_Rows") -> float:
        """The loss of rows without penalty."""
        p, q = (np.clip(expit(one), SMALLEST, 1 - SMALLEST) for one in self._logits(theta, *rows[:4]))
        c = expit(signals(p) @ theta[self._ends[1] :])
        losses = mixture_losses if self.joint else own_losses
        return float(losses(p, q, rows[4], c).mean())

    def _inputs(self, X_weak: NDArray[np.floating], X_strong: NDArray[np.floating]) -> "_Inputs":
        """Standardised activations of both models, and the log-odds by the heads that the experts start from."""
        scaled = [
            (np.asarray(as_numpy(X)) - mean) / std
            for X, (mean, std) in zip((X_weak, X_strong), self._scales, strict=True)
        ]
        starts = [head.logits(X) for head, X in zip(self._starts, (X_weak, X_strong), strict=True)]
        return scaled[0], scaled[1], starts[0], starts[1]

    def _logits(
        self,
        theta: NDArray[np.float64],
        Z_weak: NDArray[np.float64],
        Z_strong: NDArray[np.float64],
        from_weak: NDArray[np.float64],
        from_strong: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The log-odds of both experts: those that they start from, and what they have learned beside."""
        weak, strong, _ = np.split(theta, self._ends[:2])
        return from_weak + Z_weak @ weak[:-1] + weak[-1], from_strong + Z_strong @ strong[:-1] + strong[-1]


_Inputs = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
_Rows = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _refuse_other_width(name: str, X: NDArray[np.floating], head: LinearHead) -> None:
    """InputError unless rows (n, d) are as wide as the head that is applied to them."""
    if np.ndim(X) != 2 or np.shape(head.coef) != np.shape(X)[1:]:
        raise InputError(
            f"rows of the {name} model have the shape {np.shape(X)} and the {name} head's weights "
            f"{np.shape(head.coef)}: rows (n, d) and weights (d,) of one width are needed"
        )


def _scale(X: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each column, 1 of those that are constant."""
    std = X.std(axis=0)
    return X.mean(axis=0), np.where(std > 0, std, 1.0)


def _with_bias(Z: NDArray[np.float64], slopes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The slope by an expert's weights and bias, from those by the rows' logits."""
    return np.append(Z.T @ slopes, slopes.sum())


def _penalty(weights: NDArray[np.float64], l2: float) -> NDArray[np.float64]:
    """The penalty of each weight, none of the bias, which is last."""
    return np.append(np.full(len(weights) - 1, l2), 0.0)
