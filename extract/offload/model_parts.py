"""A model in parts: what lies outside its blocks, and its blocks one at a time, each with its own weights alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from w2s_probes.checkpoints.blocks import block_path_in, trunk_of
from w2s_probes.checkpoints.loading import usable
from w2s_probes.errors import InputError, preview

from ..models.checkpoints import ADAPTER
from ..models.loading import refuse_missing, refuse_speechless
from ..models.source import ModelSource, auto_class
from .stored_tensors import stored_tensors

FAULT = "it cannot be loaded block by block"


class ModelParts:
    """The frame and the blocks of a checkpoint's trunk, loaded by transformers, each with nothing else beside it.

    A part is a model of the checkpoint's own class that has lost all other modules before weights are loaded: so
    transformers itself renames, joins and converts the tensors, as it does for the whole.
    """

    def __init__(
        self,
        source: ModelSource,
        dtype: str,
        device: torch.device,
        attn: str | None = None,
        *,
        speaking: bool = False,
    ) -> None:
        """With `speaking` the frame is a causal model's, with its language-model head."""
        if getattr(source.config, "quantization_config", None) is not None:
            raise InputError(f"model {source.name}: is quantised, which --offload cannot load: leave --offload out")
        if (source.folder / ADAPTER).is_file():
            raise InputError(
                f"model {source.name}: {ADAPTER} lies beside the weights, and --offload reads no adapters: merge it "
                "into them, or move it away"
            )
        self._source, self._dtype, self._device = source, getattr(torch, dtype), device
        self._options: dict[str, Any] = {} if attn is None else {"attn_implementation": attn}
        self._tensors = stored_tensors(source.name, source.folder)
        self.block_path = source.block_path
        self._whole, trunk = _Built.of(source, auto_class(source.config), source.block_path)
        self._framed, frame = self._whole, trunk
        if speaking:
            refuse_speechless(source)
            self._framed, frame = _Built.of(source, AutoModelForCausalLM, source.block_path)
        self.frame_blocks = self._framed.blocks
        # Of each number the tensors that may be of its block: those with the number in their names, whatever stands
        # before it, since transformers renames many. What is not of the block is never read.
        self._numbered: dict[int, list[str]] = {}
        for name in self._tensors:
            for number in {int(part) for part in name.split(".") if part.isdecimal()}:
                self._numbered.setdefault(number, []).append(name)
        blocks = [_bytes(block, self._dtype) for block in frame.get_submodule(self.frame_blocks).children()]
        self.depth, self.block_bytes = len(blocks), max(blocks, default=0)
        self.frame_bytes = _bytes(frame, self._dtype) - sum(blocks)
        self.bytes = self.frame_bytes + sum(blocks)

    def frame(self) -> nn.Module:
        """The trunk, or the causal model, in evaluation mode; its blocks are without weights, on the meta device."""
        model = self._load(None)
        trunk = trunk_of(model)
        blocks: Any = trunk.get_submodule(self.frame_blocks)
        for number, block in enumerate(model.lost_blocks):
            blocks[number] = block.eval()
        return trunk

    def block(self, number: int) -> nn.Module:
        """A block with its weights."""
        if not self._numbered.get(number):
            raise InputError(
                f"model {self._source.name}: its files hold no tensors of block {number} by their names, so --offload "
                "cannot tell its blocks apart: load the model once and save it with model.save_pretrained(folder)"
            )
        block: nn.Module = trunk_of(self._load(number)).get_submodule(f"{self.block_path}.{number}")
        return block

    def announce(self, number: int) -> None:
        """Let the system read a block's weights ahead, into memory that it takes back where it is short."""
        mark = f"{self.block_path.rpartition('.')[2]}.{number}."
        for name in self._numbered.get(number, []):
            if mark in name:
                self._tensors[name].announce()

    def _load(self, keep: int | None) -> Any:
        built = self._framed if keep is None else self._whole
        where = ".".join(name for name in (built.trunk, built.blocks) if name)
        names = self._tensors if keep is None else self._numbered.get(keep, [])
        with usable(self._source.name, FAULT), _numbers_that_show():
            model, report = _pruned(built.kind, built.trunk, where, keep).from_pretrained(
                None,
                config=self._source.config,
                state_dict={name: self._tensors[name] for name in names},
                dtype=self._dtype,
                device_map={"": self._device},
                output_loading_info=True,
                **self._options,
            )
        buffers = dict(model.named_buffers())
        absent = sorted(set(report["missing_keys"]) - set(buffers))
        prefix = f"{built.trunk}." if built.trunk else ""
        refuse_missing(self._source.name, [name for name in absent if "pooler" not in name and name.startswith(prefix)])
        if unset := [name for name, buffer in buffers.items() if name.startswith(prefix) and _is_unset(buffer)]:
            raise InputError(
                f"model {self._source.name}: {FAULT}, since {preview(unset)} is computed by the whole model alone: "
                "leave --offload out"
            )
        for config in (model.config, model.config.get_text_config(), getattr(trunk_of(model), "config", model.config)):
            config.use_cache = False
        return model.eval().requires_grad_(False)


@dataclass(frozen=True)
class _Built:
    """A class of models, and where in one of them are the trunk and, seen from that, its blocks."""

    kind: Any
    trunk: str
    blocks: str

    @classmethod
    def of(cls, source: ModelSource, auto: Any, block_path: str) -> "tuple[_Built, nn.Module]":
        """What an auto class of transformers makes of a config, and the trunk of that, without weights."""
        with usable(source.name, "no model can be built from its config"), torch.device("meta"):
            whole = auto.from_config(source.config, trust_remote_code=source.trust.remote_code)
        trunk = trunk_of(whole)
        path = next(name for name, module in whole.named_modules() if module is trunk)
        return cls(type(whole), path, block_path_in(trunk, block_path)), trunk


@contextmanager
def _numbers_that_show() -> Iterator[None]:
    """Fill memory that nothing is written to with NaN and the largest integers, by which it is told afterwards."""
    before, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn)


def _is_unset(buffer: Tensor) -> bool:
    if buffer.is_floating_point():
        return bool(buffer.isnan().any())
    integers = not buffer.is_complex() and buffer.dtype != torch.bool
    return integers and bool((buffer == torch.iinfo(buffer.dtype).max).any())


def _bytes(module: nn.Module, dtype: torch.dtype) -> int:
    return sum(parameter.numel() for parameter in module.parameters()) * dtype.itemsize


def _pruned(kind: Any, trunk: str, where: str, keep: int | None) -> Any:
    """A class of models like `kind` that keep one block of the list at `where` alone; with None all but the blocks.

    Of an encoder-decoder the frame goes without the decoder, too. Its name stays that of `kind`: transformers finds
    the conversions of weights by it.
    """

    def begin(self: Any, config: Any, *arguments: Any, **options: Any) -> None:
        kind.__init__(self, config, *arguments, **options)
        here, path = self, ""
        for name in where.split("."):
            if keep is not None:
                here._is_hf_initialized = True  # else the class would make its own weights anew, which are gone
                here._parameters.update(dict.fromkeys(here._parameters))
                here._buffers.update(dict.fromkeys(here._buffers))
            outside = not f"{path}.".startswith(f"{trunk}.") if trunk else False
            for other, module in list(here.named_children()):
                if other != name and (keep is not None or (outside and _has_blocks(module))):
                    setattr(here, other, nn.Identity())
            here, path = getattr(here, name), f"{path}.{name}".lstrip(".")
        self.lost_blocks = list(here)
        for number in range(len(here)):
            if number != keep:
                here[number] = nn.Identity()
        left = {name for name, _ in self.named_parameters(remove_duplicate=False)}
        tied = getattr(self, "all_tied_weights_keys", None) or {}
        self.all_tied_weights_keys = {a: b for a, b in tied.items() if a in left and b in left}

    return type(kind.__name__, (kind,), {"__init__": begin, "__module__": kind.__module__})


def _has_blocks(module: nn.Module) -> bool:
    return any(isinstance(part, nn.ModuleList) for part in module.modules())
