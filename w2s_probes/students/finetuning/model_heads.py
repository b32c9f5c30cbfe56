"""Where a sequence classifier keeps its head, its blocks, and the projections that LoRA adapts."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...checkpoints.blocks import block_lists, depth_of
from ...errors import InputError, did_you_mean

USUAL_SCALE = 0.02  # of initial weights where a config names no `initializer_range`
ROUTERS = ("gate", "router", "shared_expert_gate")  # choose experts; no projections of attention or MLP


@dataclass(frozen=True)
class Head:
    """The modules of a classifier that turn the trunk's output into two logits; names as seen from the model."""

    final: str  # the linear layer that makes the logits
    outside: tuple[str, ...]  # what stands beside the trunk, `final` included
    pooler: str | None  # in the trunk, but only there for a head: BERT's

    @property
    def modules(self) -> list[str]:
        """All of it, which is trained in full whatever is done to the trunk."""
        return [*self.outside, *([self.pooler] if self.pooler else [])]

    def holds(self, parameter: str) -> bool:
        """Whether a parameter of the model, by its name, belongs to the head."""
        return any(parameter == name or parameter.startswith(f"{name}.") for name in self.modules)


def find_head(model: Any) -> Head:
    """The head of a transformers sequence classifier with two labels, on any architecture.

    It is what has parameters and stands beside the trunk (`base_model_prefix`), and the trunk's pooler. InputError,
    with the names of the modules, where not exactly one linear layer of it makes two numbers.
    """
    prefix = model.base_model_prefix
    outside = [n for n, child in model.named_children() if n != prefix and any(True for _ in child.parameters())]
    final = [
        f"{name}.{inner}".rstrip(".")
        for name in outside
        for inner, module in model.get_submodule(name).named_modules()
        if isinstance(module, nn.Linear) and module.out_features == 2
    ]
    if not hasattr(model, prefix) or len(final) != 1:
        children = ", ".join(f"{n} ({type(child).__name__})" for n, child in model.named_children())
        raise InputError(
            f"{type(model).__name__}: cannot tell which of its modules is the head, a linear layer that makes 2 numbers"
            f" beside the trunk {prefix!r}; it has {children}; choose another model"
        )
    pooler = getattr(getattr(model, prefix), "pooler", None)
    has_pooler = isinstance(pooler, nn.Module) and any(True for _ in pooler.parameters())
    return Head(final[0], tuple(outside), f"{prefix}.pooler" if has_pooler else None)


def initialise(model: nn.Module, head: Head, *, scale: float, missing: set[str], generator: torch.Generator) -> None:
    """New values for the head: normal with `scale` of the usual deviation in the final layer, the usual in others.

    Whatever the checkpoint had there is overwritten, so that a fine-tuned one begins anew; a pooler is part of the
    pretrained model, and is made anew only where its parameters are `missing` from the checkpoint.
    """
    usual = getattr(getattr(model, "config", None), "initializer_range", None) or USUAL_SCALE
    for name in head.modules:
        for inner, module in model.get_submodule(name).named_modules():
            path = f"{name}.{inner}".rstrip(".")
            parameters = {f"{path}.{parameter}" for parameter, _ in module.named_parameters(recurse=False)}
            if not parameters or (name == head.pooler and not parameters & missing):
                continue
            with torch.no_grad():
                for parameter_name, parameter in module.named_parameters(recurse=False):
                    if parameter.dim() >= 2:
                        std = usual * (scale if path == head.final else 1)
                        # Drawn in float32 on the processor: the same numbers for every dtype and device.
                        drawn = torch.empty(parameter.shape).normal_(generator=generator) * std
                        parameter.copy_(drawn)
                    else:
                        parameter.fill_(1.0 if parameter_name == "weight" else 0.0)  # of a norm; a bias


class Float32Linear(nn.Linear):
    """A linear layer that computes in float32 also where everything around it computes in bfloat16."""

    def forward(self, input: Tensor) -> Tensor:
        """Logits (..., 2), float32."""
        with torch.autocast(input.device.type, enabled=False):
            return nn.functional.linear(input.float(), self.weight, self.bias)


def keep_in_float32(model: nn.Module, head: Head) -> None:
    """Have the head's parameters in float32, and its last layer compute in it."""
    for name in head.modules:
        model.get_submodule(name).float()
    final = model.get_submodule(head.final)
    assert isinstance(final, nn.Linear)
    linear = Float32Linear(final.in_features, final.out_features, final.bias is not None, device="meta")
    linear.weight, linear.bias = final.weight, final.bias
    model.set_submodule(head.final, linear)


def lora_targets(model: Any, wanted: list[str] | None) -> list[str]:
    """The linear layers of attention and MLP, by their names inside a block, or those `wanted`; ends of full names.

    They are found by walking the blocks: every `Linear`, and GPT-2's `Conv1D`, but for those that route tokens to
    experts; and the matrices of experts that are held as one tensor (`is_expert_tensor`). InputError where there are
    no blocks or no such layers, or one `wanted` is not there.
    """
    paths = block_lists(model, model.config)
    if not paths:
        raise InputError(
            f"{type(model).__name__}: cannot find its {depth_of(model.config)} blocks: choose kind = 'full'"
        )
    targets: dict[str, None] = {}
    for block in (block for path in paths for block in model.get_submodule(path)):
        for name, module in block.named_modules():
            if is_projection(module) and name.rpartition(".")[2] not in ROUTERS:
                targets[name] = None
            for parameter_name, parameter in module.named_parameters(recurse=False):
                if is_expert_tensor(module, parameter):
                    targets[f"{name}.{parameter_name}".lstrip(".")] = None
    if not targets:
        raise InputError(
            f"{type(model).__name__}: no linear layers in {' and '.join(paths)}: give lora_targets, or kind = 'full'"
        )
    if wanted is None:
        return list(targets)
    layers = [name for name, module in model.named_modules() if is_projection(module)] + expert_tensors(model)
    for target in wanted:
        if not any(name == target or name.endswith(f".{target}") for name in layers):
            ends = {name.rpartition(".")[2] for name in targets}
            raise InputError(
                f"lora_targets: no linear layer of {type(model).__name__} is called {target!r}; "
                f"{did_you_mean(target, ends)}"
            )
    return list(wanted)


def is_projection(module: nn.Module) -> bool:
    """Whether it is a matrix product: a `Linear`, or the transposed one that GPT-2 has."""
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"


def is_expert_tensor(module: nn.Module, parameter: Tensor) -> bool:
    """Whether a parameter is the matrices of several experts, (experts, in, out) or (experts, out, in), as one."""
    return parameter.dim() == 3 and not isinstance(module, nn.modules.conv._ConvNd)


def expert_tensors(model: nn.Module) -> list[str]:
    """The full names of all such parameters."""
    return [
        f"{name}.{parameter_name}"
        for name, module in model.named_modules()
        for parameter_name, parameter in module.named_parameters(recurse=False)
        if is_expert_tensor(module, parameter)
    ]
