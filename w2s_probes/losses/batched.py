"""The losses of many students in training at once: what `Objective` is to one of them."""

from collections.abc import Callable, Sequence
from inspect import signature

import torch
from torch import Tensor

from ..errors import InputError
from .functions import TERMS
from .objective import Objective
from .thresholds import Thresholds

LEADING_AXIS = (
    "a loss of many students at once takes logits (students, n, 2) and gives one loss a student: write "
    "`logits[..., 1]`, `dim=-1` and `.mean(dim=-1)`, not `logits[:, 1]`, `dim=1` and `.mean()`"
)
CLOSE = 1e-5  # relative, of the losses of students computed together and apart


class ObjectiveGroup:
    """Objectives of one loss, α and ramp: students that are taught in the same steps.

    Their radii, priors and recent predictions are their own. `begin` an epoch, ask for `slopes` and `advance` at every
    step of it; `keep` drops students between epochs.
    """

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self.lead = objectives[0]  # counts the steps
        self.size = len(objectives)
        self._terms = TERMS.get(self.lead.function)
        self._alone = self.size == 1 and self._terms is None and not is_batched(self.lead.function)
        radii = [0.0 if objective.radius_ is None else objective.radius_ for objective in objectives]
        self._radius: Tensor = torch.tensor(radii)[:, None]
        self._thresholds = None
        if "threshold" in self.lead.takes:
            priors = [objective.prior_ if objective.prior is None else objective.prior for objective in objectives]
            self._thresholds = Thresholds(priors, None if self.lead.name == "logconf-batch" else self.lead.buffer)

    @staticmethod
    def key(objective: Objective) -> tuple[object, ...]:
        """What the objectives of a group have in common."""
        return objective.name, objective.alpha, objective.ramp_, objective.temperature, objective.buffer

    def keep(self, students: Sequence[int]) -> None:
        """Go on with these of the students alone."""
        index = torch.tensor(students, dtype=torch.long)
        self._radius, self.size = self._radius[index], len(students)
        if self._thresholds is not None:
            self._thresholds.keep(index)

    def begin(self, soft: Tensor, rows: Tensor | None, batch: int) -> None:
        """Prepare an epoch of labels (students, n) in its order; `rows` (students, n) are those that each is taught."""
        if self._thresholds is not None:
            self._thresholds.begin(soft, rows, batch)

    def slopes(self, m: Tensor, f: Tensor, y: Tensor, weight: Tensor, out: Tensor) -> None:
        """Write the derivatives of the next batch's losses, Σ weight · loss of a row, by its log-odds m to `out`.

        m, f = sigmoid(m), labels y and weights are (students, n). A weight of 0 is of a row that is not taught.
        """
        threshold = None if self._thresholds is None else self._thresholds.next(f)
        settings = self.lead.settings(self._radius, threshold, training=True)
        if self._terms is not None:
            torch.mul(self._terms(m, f, y, **settings).slopes(m, f), weight, out=out)
            return
        logits = torch.stack([torch.zeros_like(m), m], dim=-1).requires_grad_()
        weight = weight * m.shape[1]  # a loss is divided by the number of rows
        if self._alone:
            own = {name: float(value) if isinstance(value, Tensor) else value for name, value in settings.items()}
            loss = self.lead.function(logits[0], y[0], **own, weight=weight[0])
        else:
            loss = self.lead.function(logits, y, **settings, weight=weight).sum()
        (found,) = torch.autograd.grad(loss, logits)
        out.copy_(found[..., 1])

    def advance(self) -> None:
        """Count one update."""
        self.lead.advance()


def is_batched(loss: Callable[..., Tensor]) -> bool:
    """Whether a loss takes logits (students, n, 2) and gives every student the loss that it has alone, (students,).

    >>> from w2s_probes.losses import xent
    >>> is_batched(xent), is_batched(lambda logits, soft, *, weight=None: xent(logits, soft).mean())
    (True, False)
    """
    if loss in TERMS:
        return True
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
