"""The losses in `transformers.Trainer` and its subclasses."""

from typing import Any, Literal

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from transformers import TrainerCallback

from ..errors import InputError
from .names import LossName
from .objective import Objective

STATE = "w2s_probes.losses"  # the key of our state among the callbacks' in trainer_state.json
ROUNDED = 0.02  # by how much a row of two label probabilities may miss a sum of 1: bfloat16 keeps three digits


def compute_loss(
    name: LossName,
    *,
    alpha: float = 0.5,
    warm_up: float = 100,
    radius: float | None = None,
    prior: float | Literal["batch"] | None = None,
    buffer: int = 32,
    temperature: float = 0.5,
    soft_train: ArrayLike | None = None,
) -> "TrainerLoss":
    """A loss for `transformers.Trainer`, which takes it twice: as the loss and as a callback.

        loss = compute_loss("logconf", warm_up=0.2)
        Trainer(model, args, train_dataset=rows, compute_loss_func=loss, callbacks=[loss])

    The settings are those of `Objective`; `soft_train` (n,) are the training labels, which `window` without a radius
    needs and `logconf-batch` takes its class prior from. InputError for an unknown name or a setting out of range.
    """
    objective = Objective(
        name, alpha=alpha, warm_up=warm_up, radius=radius, prior=prior, buffer=buffer, temperature=temperature
    )
    if soft_train is not None:
        objective.fit(soft_train)
    return TrainerLoss(objective)


class TrainerLoss(TrainerCallback):  # type: ignore[misc]
    """An `Objective` as the `compute_loss_func` of a Trainer, and the callback that counts its updates.

    For models with two logits a row (`AutoModelForSequenceClassification`, num_labels=2). The column `labels` (or
    `label`) holds P(label = 1) as a float, or both probabilities.

    The Trainer leaves gradient accumulation to a `compute_loss_func` and adds its losses up, so a micro-batch counts
    here by its share of the rows of the whole update (`num_items_in_batch`, which counts label values); accumulated or
    not, and over several processes, the gradient is that of the mean over all rows of the update. The recent
    predictions of `logconf` and the step of the warm-up are saved in checkpoints and restored from them.
    Several GPUs want a launcher (`torchrun`, `accelerate launch`); `nn.DataParallel` is refused, because there the
    Trainer multiplies the loss by the number of GPUs.

    TRL (read at 1.16): `SFTTrainer` alone takes `compute_loss_func`, for causal language models whose logits are
    (rows, tokens, vocabulary), and deprecates it; its reward, DPO, KTO and other trainers compute losses of their own
    and take none. None of them trains a two-class student: use `transformers.Trainer`, or call `Objective` in the
    `compute_loss` of a subclass.

    >>> loss = compute_loss("xent")
    >>> f"{loss({'logits': torch.zeros(2, 2)}, torch.tensor([0.0, 1.0])).item():.3f}"
    '0.693'
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self._counts_updates = False

    def __call__(self, outputs: Any, labels: Tensor | None, num_items_in_batch: Tensor | int | None = None) -> Tensor:
        """The loss of a micro-batch, a scalar, scaled for the update that it is part of."""
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs[0]
        if logits.ndim != 2 or logits.shape[1] != 2:
            raise InputError(
                f"logits have shape {tuple(logits.shape)}, not (rows, 2): make the model with num_labels=2"
            )
        if logits.requires_grad and not self._counts_updates and self.objective.has_own_opinion:
            raise InputError(f"{self.objective.name} must know of each update: give the Trainer callbacks=[loss] too")
        loss = self.objective(logits, soft_labels(labels, len(logits)))
        if labels is None or num_items_in_batch is None:
            return loss
        items = torch.as_tensor(num_items_in_batch, device=loss.device)
        if items.ndim:
            raise InputError("several GPUs in one process: start training with torchrun, or show it one GPU only")
        return loss * (labels.numel() / items)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start anew, or continue from the checkpoint that the Trainer resumes from."""
        self._counts_updates = True
        saved = state.stateful_callbacks.get(STATE) if state.global_step else None
        if saved is not None:
            self.objective.load_state_dict(saved)
        else:
            self.objective.reset()
            self.objective.step = state.global_step
        self.objective.plan(state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Count an update, and put the objective's state where the next checkpoint saves it."""
        self.objective.advance()
        state.stateful_callbacks[STATE] = self.objective.state_dict()


def soft_labels(labels: Tensor | None, rows: int) -> Tensor:
    """P(label = 1) (n,) of labels (n,) or (n, 2); InputError for missing labels, other shapes or ranges."""
    if labels is None:
        raise InputError("the batch has no `labels`: name the column of P(label = 1) `labels`")
    values = labels.float() if not labels.is_floating_point() else labels
    if values.shape not in ((rows,), (rows, 2)):
        raise InputError(f"labels have shape {tuple(labels.shape)}: they must be ({rows},) or ({rows}, 2)")
    if not bool(((values >= 0) & (values <= 1)).all()):
        raise InputError(f"labels from {float(values.min()):g} to {float(values.max()):g}: they must be P(label = 1)")
    if values.ndim == 1:
        return values
    if bool(((values.float().sum(dim=1) - 1).abs() > ROUNDED).any()):
        raise InputError("labels (n, 2) must be probabilities of both classes that add up to 1")
    return values[:, 1]
