"""Forward passes that are made once a process: of a batch that a model of the same weights has read, what it gave then.

Tests of runs read the same few hundred texts over and over. That the pass itself is right, whatever was read before it,
is what tests/extract holds.
"""

from collections.abc import Hashable, Sequence
from hashlib import blake2b

import torch
from torch import Tensor, nn

from extract.forward.trace import ActivationReader, Where

_passes: dict[Hashable, dict[int, Tensor]] = {}
_read = ActivationReader.read


def read(
    self: ActivationReader, input_ids: Tensor, attention_mask: Tensor, layers: Sequence[int], position: Where
) -> dict[int, Tensor]:
    """As `ActivationReader.read`, of which the tests of runs know no more than the answer."""
    positions = position if isinstance(position, tuple) else (position,)
    if type(self) is not ActivationReader or any(isinstance(one, Tensor) for one in positions):
        return _read(self, input_ids, attention_mask, layers, position)
    asked = (_bytes(input_ids), _bytes(attention_mask), input_ids.shape, tuple(layers), position)
    key = (_weights(self.model), torch.is_grad_enabled(), *asked)
    if key not in _passes:
        _passes[key] = _read(self, input_ids, attention_mask, layers, position)
    return {layer: vectors.clone() for layer, vectors in _passes[key].items()}


def _weights(model: nn.Module) -> bytes:
    """What the model computes with: its class, settings, and every number; a few milliseconds of a tiny one."""
    found = blake2b(f"{type(model)} {model.training} {getattr(model, 'config', '')}".encode())
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode() + _bytes(tensor))
    return found.digest()


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
