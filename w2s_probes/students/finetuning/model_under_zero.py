"""A model that transformers' Trainer trains by DeepSpeed: moments, gradients and weights split over processes (ZeRO).

DeepSpeed lays the parameters of an optimiser's group one behind the other, and gives every process a part of the row:
a parameter may be split anywhere, or be whole in one process.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .model_in_trainer import ModelInTrainer

MOMENTS = ("exp_avg", "exp_avg_sq")  # of AdamW
# DeepSpeed's sums for inference on processors: compiled where first used, and in memory that two trainings would share.
UNUSED = "deepspeed_shm_comm"


@dataclass(frozen=True)
class ParameterPart:
    """What this process holds of a parameter: numbers `begin` to `begin + count` of it, in a flat tensor of many."""

    flat: Tensor  # float32
    start: int  # in `flat`
    begin: int  # in the parameter, as a row of numbers
    count: int

    def of(self, flat: Tensor) -> Tensor:
        """The piece (count,) of a tensor like `flat`, as a view."""
        return flat.narrow(0, self.start, self.count)


class ModelUnderZero(ModelInTrainer):
    """A model whose optimiser, and from stage 3 on whose weights, DeepSpeed splits over several processes."""

    def __init__(self, *arguments: Any, stage: int, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.stage = stage
        names = {id(parameter): name for name, parameter in self.named.items()}
        self.numbered = [names[id(p)] for group in self.optimizer.param_groups for p in group["params"]]
        self.shapes = {name: parameter.shape for name, parameter in self.named.items()}
        self.zero: Any = None  # DeepSpeed's optimiser around ours
        self.pieces: dict[str, ParameterPart] = {}
        self._left = 0  # ways back until the update

    def share_out(self, trainer: Any) -> None:
        """Have accelerate give the model to DeepSpeed; told here, on GPUs and processors alike, not by variables."""
        import deepspeed.ops
        from accelerate.utils import DeepSpeedPlugin, DistributedType

        vars(deepspeed.ops).setdefault("__compatible_ops__", {})[UNUSED] = False  # else it tries compilers on all
        config = {
            "train_micro_batch_size_per_gpu": 1,  # which it asks for, and does nothing with
            "gradient_accumulation_steps": 1,  # `_backward` says where an update's passes end
            "gradient_clipping": self.settings.clip,
            "zero_optimization": {
                "stage": self.stage,
                "memory_efficient_linear": False,  # it would replace torch's for the whole process
                "reduce_bucket_size": min(500_000_000, sum(map(math.prod, self.shapes.values()))),
            },
        }
        if self.dtype == torch.bfloat16:  # within DeepSpeed, which ends what was begun outside; no copies are kept
            cast = torch.autocast(self.processes.device.type, dtype=torch.bfloat16, cache_enabled=False)
            self.model.forward = cast(self.model.forward)
        shared = trainer.accelerator.state
        shared.distributed_type = DistributedType.DEEPSPEED
        shared.deepspeed_plugins = DeepSpeedPlugin(hf_ds_config=config, zero3_init_flag=False)
        trainer.accelerator.deepspeed_engine_wrapped = None

    def adopt(self, model: Any, accelerator: Any) -> None:
        """Take DeepSpeed's engine in place of the model, and find what this process holds."""
        self.model, self.zero, self.accelerator = model, model.optimizer, accelerator
        self.pieces = {name: self._piece(parameter) for name, parameter in self.named.items()}

    def clipped(self, value: float) -> float:
        """Make the update, unless loss or gradient are not finite; the gradient's norm before it was clipped."""
        if not math.isfinite(value):
            return math.nan
        self.model.step()
        return math.inf if self.zero.overflow else float(self.model.get_global_grad_norm())

    def copied(self) -> dict[str, Tensor]:
        """What this process holds of the trainable parameters, by name, on the processor; flat."""
        return {name: piece.of(piece.flat).detach().to("cpu", copy=True) for name, piece in self.pieces.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what this process holds of the trainable parameters; all must, for each gives to all."""
        if self.zero is None:  # not shared out yet
            return super().restore(tensors)
        with torch.no_grad():
            for name, piece in self.pieces.items():
                piece.of(piece.flat).copy_(tensors[name])
            if self.stage < 3:
                self.zero.update_lp_params()
                return None
            self.zero._partition_all_parameters()  # lets go of what was gathered before
            for group in range(len(self.zero.fp16_groups)):
                self.zero._reassign_or_swap_out_partitioned_parameters(group)
            if self.zero.persistent_parameters:  # small ones, which every process keeps
                self.zero.persistent_parameters[0].all_gather(self.zero.persistent_parameters)
        return None

    def gathered(self, shares: dict[str, Tensor]) -> dict[str, Tensor]:
        """The whole parameters, on the first process; nothing on others. All must ask."""
        whole = {}
        for name, share in shares.items():
            tensor = self._whole(name, share)
            if self.processes.first:
                whole[name] = tensor.to("cpu", copy=True)
        return whole

    def held_of(self, whole: dict[str, Tensor]) -> dict[str, Tensor]:
        """What this process holds of whole parameters; flat."""
        return {name: self._part(name, whole[name]).clone() for name in self.pieces}

    def optimizer_state(self) -> dict[str, Tensor]:
        """The optimiser's moments, by the number of the parameter and their name, as of one process; all must ask."""
        step = next(iter(self.optimizer.state.values()))["step"]
        found: dict[str, Tensor] = {}
        for number, name in enumerate(self.numbered):
            piece = self.pieces[name]
            state = self.optimizer.state[piece.flat]
            found[f"{number}.step"] = step.to("cpu", copy=True)
            for moment in MOMENTS:
                found[f"{number}.{moment}"] = self._whole(name, piece.of(state[moment])).cpu()
        return found if self.processes.first else {}

    def restore_optimizer(self, tensors: dict[str, Tensor]) -> None:
        """Put the optimiser's moments back."""
        step = next(tensor for name, tensor in tensors.items() if name.endswith(".step"))
        for flat in {id(piece.flat): piece.flat for piece in self.pieces.values()}.values():
            zeros = {moment: torch.zeros_like(flat) for moment in MOMENTS}
            self.optimizer.state[flat] = {"step": step.to(flat.device, copy=True)} | zeros
        for number, name in enumerate(self.numbered):
            piece = self.pieces[name]
            for moment in MOMENTS:
                if f"{number}.{moment}" in tensors:  # else it has had no gradient
                    state = self.optimizer.state[piece.flat][moment]
                    piece.of(state).copy_(self._part(name, tensors[f"{number}.{moment}"]))

    def _passes(self, lengths: NDArray[np.int64], rows: NDArray[np.intp]) -> tuple[list[NDArray[np.intp]], bool]:
        """As of FSDP; of several passes none is kept: DeepSpeed wants each one's way back before the next."""
        parts, at_once = super()._passes(lengths, rows)
        self._left = len(parts)
        return parts, at_once and len(parts) == 1

    def _backward(self, logits: Tensor, gradient: Tensor) -> None:
        """DeepSpeed's way back of a loss with this gradient; it takes the mean over processes of what is a sum."""
        self._left -= 1
        self.model.set_gradient_accumulation_boundary(self._left == 0)
        self.model.backward((logits * gradient).sum() * self.processes.size, scale_wrt_gas=False)

    def _piece(self, parameter: Any) -> ParameterPart:
        """What this process holds of a parameter."""
        if self.stage == 3:
            group, start, size = self.zero.grad_position[self.zero.get_param_id(parameter)]
            begin = self.processes.rank * size  # the last ones' are padded
            count = max(0, min(size, parameter.ds_numel - begin))
            return ParameterPart(self.zero.fp32_partitioned_groups_flat[group], start, begin, count)
        group = next(i for i, found in enumerate(self.zero.bit16_groups) if any(p is parameter for p in found))
        flat, held = self.zero.single_partition_of_fp32_groups[group], parameter._hp_mapping
        if held is None:  # others have it
            return ParameterPart(flat, 0, 0, 0)
        here, there = held.hp_fragment_address, held.lp_fragment_address
        return ParameterPart(flat, here.start, there.start, here.numel)

    def _whole(self, name: str, share: Tensor) -> Tensor:
        """The tensor of which every process has its piece of a parameter's."""
        piece = self.pieces[name]
        whole = torch.zeros(math.prod(self.shapes[name]), device=piece.flat.device)
        whole.narrow(0, piece.begin, piece.count).copy_(share)
        return self.processes.add(whole).view(self.shapes[name])

    def _part(self, name: str, whole: Tensor) -> Tensor:
        """This process's piece of a whole tensor like a parameter, as a view."""
        piece = self.pieces[name]
        return whole.reshape(-1).narrow(0, piece.begin, piece.count)
