"""The losses of many students in training at once: what `Objective` is to one of them."""

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from .functions import TERMS
from .objective import Objective
from .thresholds import RecentThresholds, Thresholds

LEADING_AXIS = (
    "a loss of many students at once takes logits (students, n, 2) and gives one loss a student: write "
    "`logits[..., 1]`, `dim=-1` and `.mean(dim=-1)`, not `logits[:, 1]`, `dim=1` and `.mean()`"
)
CLOSE = 1e-5  # relative, of the losses of students computed together and apart


class ObjectiveGroup:
    """Objectives of one formula, α and ramp: students that are taught in the same steps.

    Their radii, priors and recent predictions are their own. `begin` an epoch and ask for `slopes` once a step of it;
    `keep` drops students between epochs.
    """

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self.lead = objectives[0]  # counts the steps
        self.size = len(objectives)
        self._terms = TERMS.get(self.lead.function)
        self._alone = self._terms is None and self.size == 1 and not is_batched(self.lead.function)
        radii = [0.0 if objective.radius_ is None else objective.radius_ for objective in objectives]
        self._radius = torch.tensor(radii)[:, None]
        self._thresholds: Thresholds | None = None
        if "threshold" in self.lead.takes:
            priors = [objective.prior_ if objective.prior is None else objective.prior for objective in objectives]
            batches = self.lead.name == "logconf-batch"
            self._thresholds = Thresholds(priors) if batches else RecentThresholds(priors, self.lead.buffer)
        self._settled: dict[str, Any] | None = None  # the settings, where no step changes them

    @staticmethod
    def key(objective: Objective) -> tuple[object, ...]:
        """What the objectives of a group have in common."""
        formula = TERMS.get(objective.function, objective.function).__qualname__
        own = (objective.alpha, objective.ramp_) if objective.has_own_opinion else ()
        return formula, objective.name if "threshold" in objective.takes else "", own, objective.temperature

    def keep(self, students: Sequence[int]) -> None:
        """Go on with these of the students alone."""
        index = torch.tensor(students, dtype=torch.long)
        self._radius, self.size, self._settled = self._radius[index], len(students), None
        if self._thresholds is not None:
            self._thresholds.keep(index)

    def begin(self, soft: Tensor, rows: Tensor | None, batch: int) -> None:
        """Prepare an epoch of labels (students, n) in its order; `rows` (students, n) are those that each is taught."""
        if self._thresholds is not None:
            self._thresholds.begin(soft, rows, batch)

    def slopes(self, m: Tensor, f: Tensor, y: Tensor, weight: Tensor, out: Tensor) -> None:
        """Write the derivatives of the next batch's losses, Σ weight · loss of a row, by its log-odds m to `out`.

        m, f = sigmoid(m), labels y and weights are (students, n). A weight of 0 is of a row that is not taught. A call
        is one update.
        """
        settings = self._settled if self._settled is not None else self._settings(f)
        if self._terms is not None:
            torch.mul(self._terms(m, f, y, **settings).slopes(m, f), weight, out=out)
        else:
            out.copy_(self._by_autograd(m, y, weight, settings))
        self.lead.advance()

    def _settings(self, f: Tensor) -> dict[str, Any]:
        """The loss's arguments in this step."""
        threshold = None if self._thresholds is None else self._thresholds.next(f)
        settings = self.lead.settings(self._radius, threshold, training=True)
        if self._thresholds is None and not self.lead.ramping:
            self._settled = settings
        return settings

    def _by_autograd(self, m: Tensor, y: Tensor, weight: Tensor, settings: dict[str, Any]) -> Tensor:
        """The slopes (students, n) of a loss that somebody has added."""
        with torch.inference_mode(False), torch.enable_grad():
            odds, y, weight = m.clone(), y.clone(), weight * m.shape[1]  # a loss is divided by the number of rows
            logits = torch.stack([torch.zeros_like(odds), odds], dim=-1).requires_grad_()
            given = {name: value.clone() if isinstance(value, Tensor) else value for name, value in settings.items()}
            if self._alone:
                own = {name: float(value) for name, value in given.items()}
                loss = self.lead.function(logits[0], y[0], **own, weight=weight[0])
            else:
                loss = self.lead.function(logits, y, **given, weight=weight).sum()
            return torch.autograd.grad(loss, logits)[0][..., 1]


def is_batched(loss: Callable[..., Tensor]) -> bool:
    """Whether a loss takes logits (students, n, 2) and gives every student the loss that it has alone, (students,).

    >>> from w2s_probes.losses import xent
    >>> is_batched(xent), is_batched(lambda logits, soft, *, weight=None: xent(logits, soft).mean())
    (True, False)
    """
    if loss in TERMS:
        return True
    with torch.device("cpu"):  # whatever device students are taught on
        return _is_batched(loss)


def _is_batched(loss: Callable[..., Tensor]) -> bool:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 6, 2, generator=generator)
    soft, weight = torch.rand(3, 6, generator=generator), torch.rand(3, 6, generator=generator)
    takes = signature(loss).parameters
    settings = {name: 0.5 for name in ("alpha", "temperature") if name in takes}
    own = {name: torch.tensor([[0.2], [0.3], [0.4]]) for name in ("radius", "threshold") if name in takes}
    alone = torch.stack(
        [
            loss(logits[i], soft[i], **settings, **{name: float(v[i]) for name, v in own.items()}, weight=weight[i])
            for i in range(len(logits))
        ]
    )
    try:
        together = loss(logits, soft, **settings, **own, weight=weight)
    except (RuntimeError, IndexError, TypeError, ValueError):
        return False
    return together.shape == alone.shape and torch.allclose(together, alone, rtol=CLOSE)


def refuse_unbatched(objective: Objective) -> None:
    """InputError for a loss that cannot be that of many students at once."""
    if not is_batched(objective.function):
        raise InputError(f"loss {objective.name!r} has no leading axis: {LEADING_AXIS}; or teach it alone")
