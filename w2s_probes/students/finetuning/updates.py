"""One optimiser update, exact whatever the micro-batches and processes; and scoring."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from torch import Tensor, nn

from ...checkpoints.batches import batches, padded
from ...randomness import torch_seed
from ..texts import Tokenized, micro_batches
from .settings import FineTuning
from .team import Team, seed_everything

SCORING = 4  # times as many tokens at once as in training: nothing is kept for a backward pass


class Loss(Protocol):
    """What training needs of a loss: `losses.Objective` is one."""

    @property
    def ramping(self) -> bool:
        """Whether the loss still changes with the updates."""

    @property
    def own_weight(self) -> float | None:
        """The weight of the student's own opinion in the last update; None for a loss that has no such part."""

    def __call__(self, logits: Tensor, soft: Tensor) -> Tensor:
        """The mean over the rows of logits (n, 2) and soft labels (n,)."""

    def reset(self) -> None:
        """Forget every batch."""

    def fit(self, soft_train: ArrayLike) -> None:
        """Set what depends on all training labels."""

    def plan(self, updates: int) -> None:
        """The number of updates of the whole training."""

    def advance(self) -> None:
        """An update has been made."""

    def state_dict(self) -> dict[str, Any]:
        """What is remembered, fit for JSON."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""


class Student:
    """A classifier in training: its trainable parameters and their optimiser."""

    def __init__(
        self, model: Any, settings: FineTuning, *, pad: int, dtype: torch.dtype, team: Team, seed: int
    ) -> None:
        self.model = model.to(team.device)
        self.settings, self.pad, self.dtype, self.team, self.seed = settings, pad, dtype, team, seed
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
            fused=team.device.type in ("cpu", "cuda"),  # one call for all parameters; there are hundreds
        )

    def update(
        self, tokenized: Tokenized, soft: Tensor, rows: NDArray[np.intp], loss: Loss, *, step: int, rate: float
    ) -> tuple[float, float]:
        """Train on one batch; its loss and the gradient's norm. Where either is not finite nothing is changed."""
        value = self.gradients(tokenized, soft, rows, loss, step=step)
        norm = nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
        found, size = (float(number) for number in torch.stack([value, norm.to(value)]).tolist())
        if np.isfinite(found) and np.isfinite(size):
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.step()
            loss.advance()
        self.optimizer.zero_grad(set_to_none=True)
        return found, size

    def gradients(self, tokenized: Tokenized, soft: Tensor, rows: NDArray[np.intp], loss: Loss, *, step: int) -> Tensor:
        """Set every gradient to that of the loss of the whole batch `rows`; returns that loss, a scalar.

        The loss sees the logits of the batch (this process's share, in turns) at once and in their order, then its
        gradient with respect to them goes back micro-batch by micro-batch: so a threshold taken over the batch, or
        a memory of it, does not depend on how rows were put together. Where the batch exceeds `batch_tokens`, the
        logits are computed without keeping anything, and again for the way back: a third more work.
        """
        self.model.train()
        own = self.team.own(rows)
        lengths = tokenized.lengths[own]
        parts = micro_batches(lengths, self.settings.batch_tokens)
        at_once = len(parts) == 1 or sum(len(p) * int(lengths[p[0]]) for p in parts) <= self.settings.batch_tokens
        with torch.set_grad_enabled(at_once):
            logits = [self._logits(tokenized, own[part], self._draws(step, i)) for i, part in enumerate(parts)]
        whole = torch.empty(len(own), 2, device=self.team.device)
        for part, some in zip(parts, logits, strict=True):
            whole[torch.from_numpy(part)] = some.detach()
        whole.requires_grad_()
        value = loss(whole, soft[torch.from_numpy(own)].to(whole)) * (len(own) / len(rows))
        (wanted,) = torch.autograd.grad(value, whole)
        for i, part in enumerate(parts):
            some = logits[i] if at_once else self._logits(tokenized, own[part], self._draws(step, i))
            logits[i] = some.detach()  # lets go of what was kept for the way back
            some.backward(wanted[torch.from_numpy(part)])  # type: ignore[no-untyped-call]
        self.team.add_gradients(self.parameters)
        return self.team.add(value.detach())

    def scores(self, tokenized: Tokenized) -> NDArray[np.float64]:
        """P(1) (n,) of every row."""
        return np.asarray(expit(self.margins(tokenized)))

    def margins(self, tokenized: Tokenized) -> NDArray[np.float64]:
        """The second logit less the first (n,): scores that do not tie where the model is sure."""
        self.model.eval()
        found = torch.zeros(len(tokenized.rows), device=self.team.device)
        parts = list(batches(tokenized.lengths.tolist(), SCORING * self.settings.batch_tokens))
        with torch.inference_mode():
            for part in parts[self.team.rank :: self.team.size]:
                logits = self._logits(tokenized, part, None)
                found[part] = logits[:, 1] - logits[:, 0]
            return self.team.add(found).cpu().double().numpy()

    def margins_of(self, tokenized: Tokenized, rows: Iterable[int]) -> NDArray[np.float64]:
        """The margins of some rows (b,), put through the model together and by this process alone."""
        self.model.eval()
        with torch.inference_mode():
            logits = self._logits(tokenized, rows, None)
        return (logits[:, 1] - logits[:, 0]).cpu().double().numpy()

    def _logits(self, tokenized: Tokenized, rows: Iterable[int], draws: int | None) -> Tensor:
        """Logits (b, 2), float32; `draws` seeds dropout."""
        if draws is not None:
            seed_everything(self.team.device, draws)
        ids, mask = padded([tokenized.rows[row] for row in rows], self.pad)
        with self._autocast():
            found = self.model(
                input_ids=ids.to(self.team.device, non_blocking=True),
                attention_mask=mask.to(self.team.device, non_blocking=True),
            )
        logits: Tensor = found.logits.float()
        return logits

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.team.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    def _draws(self, step: int, part: int) -> int:
        """Dropout's seed: a function of where training is, so that resuming needs no random state."""
        return torch_seed(self.seed, "dropout", step, self.team.rank, part)

    def copied(self) -> dict[str, Tensor]:
        """The trainable parameters, by name, on the processor."""
        return {name: p.detach().to("cpu", copy=True) for name, p in self.named.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put the trainable parameters back."""
        with torch.no_grad():
            for name, parameter in self.named.items():
                parameter.copy_(tensors[name])

    def optimizer_state(self) -> dict[str, Tensor]:
        """The optimiser's moments, by the number of the parameter and their name."""
        state = self.optimizer.state_dict()["state"]
        return {f"{i}.{name}": torch.as_tensor(t).cpu() for i, own in state.items() for name, t in own.items()}

    def restore_optimizer(self, tensors: dict[str, Tensor]) -> None:
        """Put the optimiser's moments back."""
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            number, _, name = key.partition(".")
            state.setdefault(int(number), {})[name] = tensor
        self.optimizer.load_state_dict({"state": state, "param_groups": self.optimizer.state_dict()["param_groups"]})
