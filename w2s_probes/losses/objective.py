"""A loss with its state between batches: one class for every trainer."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from inspect import signature
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..checks import probabilities
from ..errors import InputError
from .functions import batch_threshold, logconf, own_probability
from .names import LOSSES, LossName, known_loss
from .recent import RecentPredictions, of_all_processes


@dataclass
class Objective:
    """A student's loss in training: `objective(logits, soft)` for a batch, `advance()` after each optimiser update.

    Call `fit` with the training labels first; `window` without a radius needs it. A call is taken for training where
    the logits require a gradient; any other (evaluation, `no_grad`) uses what is remembered and leaves it as it is.

    Where torch.distributed is initialised, `logconf` and `logconf-batch` take their threshold from the predictions
    of all processes, which must therefore call equally often in training; evaluation exchanges nothing. Under
    gradient accumulation a batch is what one call gets, so `logconf-batch` wants micro-batches of many rows.

    A function in `LOSSES` gets those of `alpha`, `radius`, `temperature` and `threshold` that it has parameters for;
    `alpha` warms up. It keeps its own defaults for all others.

    InputError for an unknown name or a setting out of range.

    >>> objective = Objective("logconf", warm_up=10)
    >>> loss = objective(torch.tensor([[0.0, 0.0], [0.0, 0.0]]), torch.tensor([0.2, 0.9]))
    >>> objective.advance()
    >>> f"{loss.item():.3f}", objective.step
    ('0.693', 1)
    """

    name: LossName
    _: KW_ONLY
    # weight of the student's own opinion once warmed up: logconf, logconf-batch, entropy, adaptconf, dispersion
    alpha: float = 0.5
    warm_up: float = 100  # updates in which α ramps up linearly from 0; below 1 a share of the updates given to `plan`
    radius: float | None = None  # of window; None: mid-weak, the median of |y - ½| over the training labels
    # Share of the predictions above the threshold. "batch": the mean weak label of each batch, EleutherAI's code; None:
    # ½ for logconf, their text; for logconf-batch the mean training label (½ until `fit`), Burns et al.'s class prior.
    prior: float | Literal["batch"] | None = None
    buffer: int = 32  # recent predictions from which logconf takes its threshold
    temperature: float = 0.5  # of adaptconf
    gather: bool = True  # predictions of all processes; False where each process trains a student of its own
    step: int = field(default=0, init=False)  # optimiser updates so far
    radius_: float | None = field(default=None, init=False)
    prior_: float = field(default=0.5, init=False)
    ramp_: int | None = field(default=None, init=False)  # the warm-up in updates
    _recent: RecentPredictions = field(init=False, repr=False)
    function: Callable[..., Tensor] = field(init=False, repr=False)
    takes: frozenset[str] = field(init=False, repr=False)  # the function's parameters

    def __post_init__(self) -> None:
        known_loss(self.name)
        # logconf-batch is logconf with the threshold of all processes' batches
        self.function = logconf if self.name == "logconf-batch" else LOSSES[self.name]
        self.takes = frozenset(signature(self.function).parameters)
        _within("alpha", self.alpha, 0 <= self.alpha <= 1, "in [0, 1]")
        right = 0 <= self.warm_up < 1 or float(self.warm_up).is_integer()
        _within("warm_up", self.warm_up, right and self.warm_up >= 0, "a number of updates, or a share of them below 1")
        _within("radius", self.radius, self.radius is None or 0 < self.radius <= 0.5, "in (0, 0.5]")
        right = self.prior in (None, "batch") or (not isinstance(self.prior, str | None) and 0 < self.prior < 1)
        _within("prior", self.prior, right, "in (0, 1), or 'batch'")
        _within("buffer", self.buffer, self.buffer >= 1, "1 or more")
        _within("temperature", self.temperature, self.temperature > 0, "above 0")
        self.radius_ = self.radius
        self.ramp_ = int(self.warm_up) if self.warm_up >= 1 or self.warm_up == 0 else None
        self.reset()

    def reset(self) -> None:
        """Forget every batch and update; the values set by `fit` and `plan` stay."""
        self.step = 0
        self._recent = RecentPredictions(self.buffer)

    def fit(self, soft_train: ArrayLike) -> None:
        """Set the mid-weak radius and the class prior from all training labels (n,), unless they are settings."""
        labels = probabilities(soft_train, "training labels")
        if len(labels) == 0:
            raise InputError("no training labels: a loss needs at least one row")
        self.prior_ = float(labels.mean()) if self.name == "logconf-batch" else 0.5
        if self.radius is None:
            self.radius_ = float(np.median(np.abs(labels - 0.5)))
            if "radius" in self.takes and self.radius_ == 0:
                raise InputError(
                    f"{self.name}: more than half of the training labels are ½, so no row would count: set radius"
                )

    def plan(self, updates: int) -> None:
        """The number of updates of the whole training, for a warm-up that is a share of them."""
        if 0 < self.warm_up < 1:
            self.ramp_ = round(self.warm_up * updates)

    def advance(self) -> None:
        """Count one optimiser update (not one micro-batch)."""
        self.step += 1

    @property
    def has_own_opinion(self) -> bool:
        """Whether the student's own opinion counts in the loss, with a weight α that warms up."""
        return "alpha" in self.takes

    @property
    def ramping(self) -> bool:
        """Whether the loss is still warming up, so that early stopping concludes nothing."""
        return self.has_own_opinion and self.ramp_ != 0 and (self.ramp_ is None or self.step <= self.ramp_)

    @property
    def own_weight(self) -> float | None:
        """α of the last update (0 before the first); None for a loss without an opinion of the student's own."""
        if not self.has_own_opinion:
            return None
        return warm_up(self.alpha, max(0, self.step - 1), self.ramp_) if self.ramp_ is not None and self.step else 0.0

    def __call__(self, logits: Tensor, soft: Tensor, *, weight: Tensor | None = None) -> Tensor:
        """The loss of logits (n, 2) and soft labels (n,), a scalar; `weight` (n,) multiplies the rows' losses."""
        if "radius" in self.takes and self.radius_ is None:
            raise InputError(
                f"{self.name}: its radius is that of the training labels: call fit with them, or set radius"
            )
        threshold = self._threshold(logits, soft) if "threshold" in self.takes else None
        settings = self.settings(self.radius_, threshold, training=logits.requires_grad)
        return self.function(logits, soft, **settings, weight=weight)

    def settings(
        self, radius: float | Tensor | None, threshold: float | Tensor | None, *, training: bool
    ) -> dict[str, Any]:
        """The arguments of this loss at this step, besides logits and labels."""
        settings: dict[str, Any] = {}
        if "radius" in self.takes:
            settings["radius"] = radius
        if self.has_own_opinion:
            settings["alpha"] = self._alpha(training=training)
        if "temperature" in self.takes:
            settings["temperature"] = self.temperature
        if "threshold" in self.takes:
            settings["threshold"] = threshold
        return settings

    def _alpha(self, *, training: bool) -> float:
        """α at this step."""
        if self.ramp_ is not None:
            return warm_up(self.alpha, self.step, self.ramp_)
        if training or self.step:
            raise InputError(f"warm_up={self.warm_up:g} is a share of training: call plan with its number of updates")
        return 0.0  # evaluation before the first update, where a ramp of any length begins

    def _threshold(self, logits: Tensor, soft: Tensor) -> float | Tensor:
        """The value of f above which the student's own label is 1."""
        f, y, training = own_probability(logits), soft.detach(), logits.requires_grad
        if training and self.gather:
            f, y = of_all_processes(torch.stack([f, y.to(f)], dim=1)).unbind(dim=1)
        prior = self.prior_ if self.prior is None else self.prior
        if prior == "batch":
            prior = float(y.mean()) if len(y) > 1 else 0.5
        if self.name == "logconf-batch":
            return batch_threshold(f, prior)
        if training:
            self._recent.add(f)
        return self._recent.threshold(prior, f.dtype) if len(self._recent) else batch_threshold(f, prior)

    def state_dict(self) -> dict[str, Any]:
        """The state from which `load_state_dict` of an equal objective continues; fit for JSON."""
        state = {key: getattr(self, key) for key in ("name", "step", "radius_", "prior_", "ramp_")}
        return state | {"recent": self._recent.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`; InputError if it is that of another loss."""
        if state["name"] != self.name:
            raise InputError(
                f"this is the state of the loss {state['name']!r}, not of {self.name!r}: start training anew"
            )
        self.reset()
        self._recent.add(state["recent"])
        self.step, self.radius_, self.prior_ = state["step"], state["radius_"], state["prior_"]
        self.ramp_ = state["ramp_"]


def warm_up(alpha: float, step: int, steps: int = 100) -> float:
    """α after `step` updates of a linear ramp from 0 over `steps` of them; without steps α at once."""
    return alpha * min(1.0, step / steps) if steps else alpha


def _within(name: str, value: object, right: bool, wanted: str) -> None:
    if not right:
        raise InputError(f"loss setting {name}={value!r}: must be {wanted}")
