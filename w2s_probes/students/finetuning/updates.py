"""One optimiser update, exact whatever the micro-batches and processes; and scoring."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from torch import Tensor, nn

from ...checkpoints.batches import batches, padded
from ...losses import ExplicitConflict
from ...randomness import torch_seed
from ..texts import Tokenized, micro_batches
from .label_speaker import unsaid
from .process_group import ProcessGroup, seed_everything
from .settings import FineTuning

SCORING = 4  # times as many tokens at once as in training: nothing is kept for a backward pass


class Loss(Protocol):
    """A loss as training uses it; `losses.Objective` is one."""

    @property
    def ramping(self) -> bool:
        """Whether the loss still changes with the updates."""

    @property
    def own_weight(self) -> float | None:
        """The weight of the student's own prediction in the last update; None for a loss that has no such part."""

    def __call__(self, logits: Tensor, soft: Tensor, *, weight: Tensor | None = None) -> Tensor:
        """The mean over the rows of logits (n, 2), soft labels (n,) and weights (n,), if there are any."""

    def reset(self) -> None:
        """Forget every batch."""

    def fit(self, soft_train: ArrayLike) -> None:
        """Set what depends on all training labels (n,)."""

    def plan(self, updates: int) -> None:
        """Take the number of updates of the whole training."""

    def advance(self) -> None:
        """Count one update."""

    def state_dict(self) -> dict[str, Any]:
        """The loss's memory, fit for JSON."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a memory."""


def passes(lengths: NDArray[np.int64], budget: int) -> tuple[list[NDArray[np.intp]], bool]:
    """The parts in which rows of these lengths are read, and whether all may be kept for the way back."""
    parts = micro_batches(lengths, budget)
    return parts, len(parts) == 1 or sum(len(part) * int(lengths[part[0]]) for part in parts) <= budget


class ModelInTraining:
    """A classifier in training: its trainable parameters and their optimiser."""

    def __init__(
        self, model: Any, settings: FineTuning, *, pad: int, dtype: torch.dtype, processes: ProcessGroup, seed: int
    ) -> None:
        self.settings, self.pad, self.dtype, self.processes, self.seed = settings, pad, dtype, processes, seed
        self.model = self._placed(model)
        self.named: dict[str, nn.Parameter] = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        self.parameters = list(self.named.values())
        groups: list[dict[str, Any]] = [
            {"params": [p for p in self.parameters if p.dim() >= 2]},
            {"params": [p for p in self.parameters if p.dim() < 2], "weight_decay": 0.0},  # biases and norms
        ]
        self.optimizer = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=settings.rate,
            betas=(0.9, settings.beta2),
            weight_decay=settings.weight_decay,
            fused=processes.device.type in ("cpu", "cuda"),  # one call for all parameters; there are hundreds
        )

    def _placed(self, model: Any) -> Any:
        """The model where it is trained."""
        return model.to(self.processes.device)

    def update(
        self,
        tokenized: Tokenized,
        soft: Tensor,
        rows: NDArray[np.intp],
        loss: Loss,
        *,
        step: int,
        rate: float,
        weight: Tensor | None = None,
        conflict: ExplicitConflict | None = None,
    ) -> tuple[float, float]:
        """Train on one batch; its loss and the gradient's norm. Where either is not finite nothing is changed."""
        value = self.gradients(tokenized, soft, rows, loss, step=step, weight=weight, conflict=conflict)
        norm = nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
        loss_value, size = (float(number) for number in torch.stack([value, norm.to(value)]).tolist())
        if np.isfinite(loss_value) and np.isfinite(size):
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.step()
            loss.advance()
        self.optimizer.zero_grad(set_to_none=True)
        return loss_value, size

    def gradients(
        self,
        tokenized: Tokenized,
        soft: Tensor,
        rows: NDArray[np.intp],
        loss: Loss,
        *,
        step: int,
        weight: Tensor | None = None,
        conflict: ExplicitConflict | None = None,
    ) -> Tensor:
        """Set every gradient to that of the loss of the whole batch `rows`; returns that loss, a scalar.

        The loss sees the logits of the batch (this process's share, in turns) at once and in their order, then its
        gradient with respect to them goes back micro-batch by micro-batch: so a threshold taken over the batch, or
        a memory of it, does not depend on how rows were put together. Where the batch exceeds `batch_tokens`, the
        logits are computed without keeping anything, and again for the way back: a third more work.
        """
        self.model.train()
        share = self.processes.share_of(rows)
        parts, at_once = self._passes(tokenized.lengths, rows)
        with torch.set_grad_enabled(at_once):
            logits = [self._logits(tokenized, share[part], self._draws(step, i)) for i, part in enumerate(parts)]
        batch = torch.empty(len(share), logits[0].shape[1], device=self.processes.device)
        for part, part_logits in zip(parts, logits, strict=True):
            batch[torch.from_numpy(part)] = part_logits.detach()
        batch.requires_grad_()
        chosen = torch.from_numpy(share)
        weighted = {} if weight is None else {"weight": weight[chosen].to(batch)}
        labels = batch[:, :2]
        value = loss(labels, soft[chosen].to(batch), **weighted)
        if conflict is not None:
            value = value + conflict.penalty(labels, chosen, **weighted)
        if batch.shape[1] > 2:
            value = value + (unsaid(batch) * weighted.get("weight", torch.ones_like(batch[:, 0]))).mean()
        value = value * (len(share) / len(rows))
        (gradient,) = torch.autograd.grad(value, batch)
        for i, part in enumerate(parts):
            part_logits = logits[i] if at_once else self._logits(tokenized, share[part], self._draws(step, i))
            logits[i] = part_logits.detach()  # lets go of what was kept for the way back
            self._backward(part_logits, gradient[torch.from_numpy(part)])
        self._add_gradients()
        return self.processes.add(value.detach())

    def _passes(self, lengths: NDArray[np.int64], rows: NDArray[np.intp]) -> tuple[list[NDArray[np.intp]], bool]:
        """The parts of this process's share of a batch `rows`, and whether they may all be kept for the way back."""
        return passes(lengths[self.processes.share_of(rows)], self.settings.batch_tokens)

    def _backward(self, logits: Tensor, gradient: Tensor) -> None:
        """Add to the parameters' gradients that of some rows, by their logits and the loss's gradient there."""
        logits.backward(gradient)  # type: ignore[no-untyped-call]

    def _add_gradients(self) -> None:
        """Make every process's gradients those of all of them."""
        self.processes.add_gradients(self.parameters)

    def scores(self, tokenized: Tokenized) -> NDArray[np.float64]:
        """P(1) (n,) of every row."""
        return np.asarray(expit(self.margins(tokenized)))

    def margins(self, tokenized: Tokenized) -> NDArray[np.float64]:
        """The second logit less the first (n,): scores that do not tie where the model is sure."""
        self.model.eval()
        margins = torch.zeros(len(tokenized.rows), device=self.processes.device)
        parts = list(batches(tokenized.lengths.tolist(), SCORING * self.settings.batch_tokens))
        with self._scoring():
            for part in self._own(parts):
                logits = self._logits(tokenized, part, None)
                margins[part] = logits[:, 1] - logits[:, 0]
            return self.processes.add(margins).cpu().double().numpy()

    def _own(self, parts: list[list[int]]) -> list[list[int]]:
        """This process's share of the parts that are scored."""
        return parts[self.processes.rank :: self.processes.size]

    def _scoring(self) -> AbstractContextManager[Any]:
        """The way in which nothing is kept for a way back."""
        return torch.inference_mode()

    def margins_of(self, tokenized: Tokenized, rows: Iterable[int]) -> NDArray[np.float64]:
        """The margins of some rows (b,), read together and by this process alone."""
        self.model.eval()
        with self._scoring():
            logits = self._logits(tokenized, rows, None)
        return (logits[:, 1] - logits[:, 0]).cpu().double().numpy()

    def _logits(self, tokenized: Tokenized, rows: Iterable[int], draws: int | None) -> Tensor:
        """Logits (b, 2), or (b, 3) with a log-total (`LabelSpeaker`), float32; `draws` seeds dropout."""
        if draws is not None:
            seed_everything(self.processes.device, draws)
        ids, mask = padded([tokenized.rows[row] for row in rows], self.pad)
        with self._autocast():
            output = self.model(
                input_ids=ids.to(self.processes.device, non_blocking=True),
                attention_mask=mask.to(self.processes.device, non_blocking=True),
            )
        logits: Tensor = output.logits.float()
        return logits

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.processes.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    def _draws(self, step: int, part: int) -> int:
        """Dropout's seed: a function of the place in training, so that resuming needs no random state."""
        return torch_seed(self.seed, "dropout", step, self.processes.rank, part)

    def copied(self) -> dict[str, Tensor]:
        """What this process holds of the trainable parameters, by name, on the processor."""
        return {name: p.detach().to("cpu", copy=True) for name, p in self.named.items()}

    def gathered(self, held: dict[str, Tensor]) -> dict[str, Tensor]:
        """The whole parameters of which every process gives what it has `copied`; asked for by all of them."""
        return held

    def held_of(self, whole: dict[str, Tensor]) -> dict[str, Tensor]:
        """What this process holds of whole parameters."""
        return whole

    def to_save(self, rebuilt: Callable[[], Any]) -> Callable[[], Any]:
        """Make, where it is called, the whole model; asked for by all processes. `rebuilt` opens the checkpoint."""
        return lambda: self.model

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what this process holds of the trainable parameters."""
        with torch.no_grad():
            for name, parameter in self.named.items():
                parameter.copy_(tensors[name])

    def optimizer_state(self) -> dict[str, Tensor]:
        """The optimiser's moments, by the number of the parameter and their name."""
        state = self.optimizer.state_dict()["state"]
        return {f"{i}.{name}": torch.as_tensor(t).cpu() for i, moments in state.items() for name, t in moments.items()}

    def restore_optimizer(self, tensors: dict[str, Tensor]) -> None:
        """Put the optimiser's moments back."""
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            number, _, name = key.partition(".")
            state.setdefault(int(number), {})[name] = tensor
        self.optimizer.load_state_dict({"state": state, "param_groups": self.optimizer.state_dict()["param_groups"]})
