"""A model in parts: what lies outside its blocks, and its blocks one at a time, each with its own weights alone."""

import re
from typing import Any

import torch
from torch import nn

from w2s_probes.checkpoints.blocks import trunk_of
from w2s_probes.checkpoints.loading import usable
from w2s_probes.errors import InputError

from ..models.checkpoints import ADAPTER
from ..models.loading import refuse_missing
from ..models.source import ModelSource, auto_class
from .stored_tensors import stored_tensors

FAULT = "it cannot be loaded block by block"


class ModelParts:
    """The frame and the blocks of a checkpoint's trunk, loaded by transformers, each with nothing else beside it.

    A part is a model of the checkpoint's own class that has lost all other modules before weights are loaded: so
    transformers itself renames, joins and converts the tensors, as it does for the whole.
    """

    def __init__(self, source: ModelSource, dtype: str, device: torch.device, attn: str | None = None) -> None:
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
        config, code = source.config, source.trust.remote_code
        with usable(source.name, "no model can be built from its config"), torch.device("meta"):
            whole = auto_class(config).from_config(config, trust_remote_code=code)
        self._class: Any = type(whole)
        trunk = trunk_of(whole)
        self._trunk = next(name for name, module in whole.named_modules() if module is trunk)
        self.block_path = source.block_path
        number = re.compile(rf"(?:^|\.){re.escape(self.block_path)}\.(\d+)\.")
        self._of_block: dict[int | None, list[str]] = {}
        for name in self._tensors:
            found = number.search(name)
            self._of_block.setdefault(int(found[1]) if found else None, []).append(name)
        blocks = [_bytes(block, self._dtype) for block in trunk.get_submodule(self.block_path).children()]
        self.depth, self.block_bytes = len(blocks), max(blocks, default=0)
        self.frame_bytes = _bytes(trunk, self._dtype) - sum(blocks)
        self.bytes = self.frame_bytes + sum(blocks)

    def frame(self) -> nn.Module:
        """The trunk in evaluation mode; its blocks are there without any weights, on the meta device."""
        model = self._load(None)
        trunk = trunk_of(model)
        blocks: Any = trunk.get_submodule(self.block_path)
        for number, block in enumerate(model.lost_blocks):
            blocks[number] = block.eval()
        return trunk

    def block(self, number: int) -> nn.Module:
        """A block with its weights."""
        if number not in self._of_block:
            raise InputError(
                f"model {self._source.name}: its files hold no tensors named {self.block_path}.{number}, so --offload "
                "cannot tell its blocks apart: load the model once and save it with model.save_pretrained(folder)"
            )
        block: nn.Module = trunk_of(self._load(number)).get_submodule(f"{self.block_path}.{number}")
        return block

    def announce(self, number: int) -> None:
        """Let the system read a block's weights ahead, into memory that it takes back where it is short."""
        for name in self._of_block.get(number, []):
            self._tensors[name].announce()

    def _load(self, keep: int | None) -> Any:
        where = ".".join(name for name in (self._trunk, self.block_path) if name)
        with usable(self._source.name, FAULT):
            model, report = _pruned(self._class, self._trunk, where, keep).from_pretrained(
                None,
                config=self._source.config,
                state_dict={name: self._tensors[name] for name in self._of_block.get(keep, [])},
                dtype=self._dtype,
                device_map={"": self._device},
                output_loading_info=True,
                **self._options,
            )
        computed = {name for name, buffer in model.named_buffers() if torch.isfinite(buffer.float()).all()}
        absent = sorted(name for name in set(report["missing_keys"]) - computed if "pooler" not in name)
        prefix = f"{self._trunk}." if self._trunk else ""
        refuse_missing(self._source.name, [name for name in absent if name.startswith(prefix)])
        for config in (model.config, getattr(trunk_of(model), "config", model.config)):
            config.use_cache = False
        return model.eval().requires_grad_(False)


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
