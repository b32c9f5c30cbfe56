"""A model that transformers' Trainer trains: whole in one process, or sharded over several by FSDP.

Sharded, every pass through the model is made by all processes together, so each makes as many, some without rows.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from numpy.typing import NDArray
from torch import Tensor

from ..texts import Tokenized
from .updates import ModelInTraining, passes


class ModelInTrainer(ModelInTraining):
    """A classifier in training whose loop is the Trainer's; `adopt` it once that has wrapped it."""

    accelerator: Any = None

    @property
    def sharded(self) -> bool:
        """Whether each process holds a part of every parameter."""
        return self.processes.size > 1

    def share_out(self, trainer: Any) -> None:
        """Have accelerate shard a model on processors, too: torch does so, and it would on accelerators alone."""
        if self.sharded and not trainer.is_fsdp_enabled:
            shared = trainer.accelerator.state
            shared.distributed_type, shared.fsdp_plugin = DistributedType.FSDP, FullyShardedDataParallelPlugin()
            trainer.is_fsdp_enabled = True

    def adopt(self, model: Any, accelerator: Any) -> None:
        """Take the model that is trained in place of the one that was given, and its parameters by the same names."""
        if self.sharded:  # in place, but for the parameters
            self.model = model
            parameters = dict(model.named_parameters())
            self.named = {name: parameters[name] for name in self.named}
            self.parameters = list(self.named.values())
        self.accelerator = accelerator

    def clipped(self, value: float) -> float:
        """Clip the gradient; its norm before. `value` is the loss of the update that is to be made."""
        norm = self.accelerator.clip_grad_norm_(self.parameters, self.settings.clip)
        return float(_whole(norm))

    def copied(self) -> dict[str, Tensor]:
        """What this process holds of the trainable parameters, by name, on the processor."""
        return {name: held(p).detach().to("cpu", copy=True) for name, p in self.named.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what this process holds of the trainable parameters."""
        with torch.no_grad():
            for name, parameter in self.named.items():
                if not tensors[name].is_meta:  # as where the first process alone has read a file: it gives to all
                    held(parameter).copy_(tensors[name])
        for module in self.model.modules():
            if hasattr(module, "reshard"):  # FSDP's: else it goes on with what it gathered before
                module.reshard()

    def gathered(self, shares: dict[str, Tensor]) -> dict[str, Tensor]:
        """The whole parameters, on the first process; nothing on others. All must ask."""
        if not self.sharded:
            return shares
        whole = {}
        for name, parameter in self.named.items():
            like = parameter.detach().clone()
            held(like).copy_(shares[name])
            tensor = _whole(like)
            if self.processes.first:
                whole[name] = tensor.to("cpu", copy=True)
        return whole

    def held_of(self, whole: dict[str, Tensor]) -> dict[str, Tensor]:
        """What this process holds of whole parameters."""
        if not self.sharded:
            return whole
        return {name: held(_sharded(whole[name], p)).to("cpu", copy=True) for name, p in self.named.items()}

    def optimizer_state(self) -> dict[str, Tensor]:
        """The optimiser's moments, by the number of the parameter and their name; all must ask."""
        if not self.sharded:
            return super().optimizer_state()
        state = self.optimizer.state_dict()["state"]
        whole = ((f"{i}.{name}", _whole(t)) for i, moments in state.items() for name, t in moments.items())
        return {name: tensor.cpu() for name, tensor in whole if self.processes.first}

    def restore_optimizer(self, tensors: dict[str, Tensor]) -> None:
        """Put the optimiser's moments back."""
        if self.sharded:
            order = [p for group in self.optimizer.param_groups for p in group["params"]]
            like = {name: order[int(name.partition(".")[0])] for name in tensors}
            tensors = {name: _sharded(t, like[name]) if t.dim() else t for name, t in tensors.items()}
        super().restore_optimizer(tensors)

    def to_save(self, rebuilt: Callable[[], Any]) -> Callable[[], Any]:
        """Make, where it is called, the whole model; asked for by all processes. `rebuilt` opens the checkpoint.

        A sharded one is the checkpoint, opened anew, with what was trained: saved as of one process.
        """
        if not self.sharded:
            return super().to_save(rebuilt)
        whole = self.gathered(self.copied())

        def make() -> Any:
            model = rebuilt()
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    if name in whole:
                        parameter.copy_(whole[name])
            return model

        return make

    def _placed(self, model: Any) -> Any:
        """The model where it is trained; one that is to be sharded stays where it was read."""
        return model if self.sharded else super()._placed(model)

    def _passes(self, lengths: NDArray[np.int64], rows: NDArray[np.intp]) -> tuple[list[NDArray[np.intp]], bool]:
        """As many parts as the process with the most has, the last ones perhaps without rows; and all in one way."""
        parts, at_once = super()._passes(lengths, rows)
        if not self.sharded:
            return parts, at_once
        size, budget = self.processes.size, self.settings.batch_tokens
        every = [passes(lengths[rows[rank::size]], budget) for rank in range(size)]
        most = max(len(others) for others, _ in every)
        none = np.zeros(0, dtype=np.intp)
        return parts + [none] * (most - len(parts)), all(kept for _, kept in every)

    def _own(self, parts: list[list[int]]) -> list[list[int]]:
        """This process's share of the parts that are scored; in each turn all have one, if only an empty one."""
        if not self.sharded:
            return super()._own(parts)
        return super()._own(parts + [[] for _ in range(-len(parts) % self.processes.size)])

    def _logits(self, tokenized: Tokenized, rows: Iterable[int], draws: int | None) -> Tensor:
        """Logits (b, 2) or (b, 3); without rows a pass that the others make, too."""
        chosen = list(rows)
        return super()._logits(tokenized, chosen or [0], draws)[: len(chosen)]

    def _backward(self, logits: Tensor, gradient: Tensor) -> None:
        """The Trainer's way back of a loss with this gradient; FSDP takes the mean over processes of what is a sum."""
        self.accelerator.backward((logits * gradient).sum() * self.processes.size)

    def _add_gradients(self) -> None:
        """FSDP has added them up on the way."""

    def _scoring(self) -> AbstractContextManager[Any]:
        """The way in which nothing is kept for a way back; FSDP gathers weights that training uses again."""
        return torch.no_grad() if self.sharded else super()._scoring()


def held(parameter: Tensor) -> Tensor:
    """The part of a tensor that this process holds, as a view."""
    local: Tensor = parameter.to_local() if hasattr(parameter, "to_local") else parameter
    return local


def _whole(tensor: Tensor) -> Tensor:
    whole: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return whole


def _sharded(whole: Tensor, like: Any) -> Tensor:
    """The tensor split over processes as `like` is; each has the whole of it already."""
    from torch.distributed.tensor import distribute_tensor

    if not hasattr(like, "placements"):
        return whole
    mesh = like.device_mesh
    return distribute_tensor(whole.to(held(like).device), mesh, like.placements, src_data_rank=None)
