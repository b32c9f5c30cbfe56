"""The state of a model beside its output, put back after each forward pass, so that no row depends on earlier ones.

Some models choose a mode by the first or the longest batch and keep it: BigBird leaves sparse attention for good,
rotary embeddings of the dynamic and long kinds replace their frequencies.
"""

from typing import Any

import torch
from torch import Tensor, nn

SIMPLE = (bool, int, float, str, bytes, type(None), torch.dtype, torch.device, tuple)
MOST_BUFFER = 1 << 20  # numbers of a buffer that is also kept by value, against changes in place


class ModelState:
    """A model's modules, buffers, plain attributes and configs as they were when this was made."""

    def __init__(self, model: nn.Module) -> None:
        self._modules = [
            (module, dict(module._modules), dict(module._buffers), _plain(vars(module))) for module in model.modules()
        ]
        configs = {id(c): c for module in model.modules() if (c := getattr(module, "config", None)) is not None}
        self._configs = [(config, _plain(vars(config))) for config in configs.values() if hasattr(config, "__dict__")]
        self._values: list[list[Any]] = [
            [buffer, buffer.detach().clone(), buffer._version]
            for _, _, buffers, _ in self._modules
            for buffer in buffers.values()
            if isinstance(buffer, Tensor)
            and buffer.device.type != "meta"
            and buffer.numel() <= MOST_BUFFER
            and not buffer.is_inference()
        ]

    @torch.no_grad()
    def restore(self) -> None:
        """Put everything back."""
        for module, children, buffers, attributes in self._modules:
            if module._modules != children:
                module._modules.clear()
                module._modules.update(children)
            changed = any(module._buffers.get(name) is not buffer for name, buffer in buffers.items())
            if changed or module._buffers.keys() != buffers.keys():
                module._buffers.clear()
                module._buffers.update(buffers)
            _put_back(vars(module), attributes)
        for config, attributes in self._configs:
            _put_back(vars(config), attributes)
        for kept in self._values:
            buffer, value, version = kept
            if buffer._version != version:  # counts changes in place; to compare values would wait for the device
                buffer.copy_(value)
                kept[2] = buffer._version


def _plain(attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes that are no containers: single values, and tensors by reference."""
    return {name: value for name, value in attributes.items() if isinstance(value, (*SIMPLE, Tensor))}


def _put_back(attributes: dict[str, Any], before: dict[str, Any]) -> None:
    for name, value in before.items():
        if attributes.get(name, before) is not value:
            attributes[name] = value
    for name in [n for n, v in attributes.items() if n not in before and n[:1] != "_" and isinstance(v, SIMPLE)]:
        del attributes[name]
