"""The one trace: reads the residual stream at chosen layers, one vector a row, and stops after the last of them."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast, get_args

import torch
from nnsight import NNsight, save
from torch import Tensor, nn

from w2s_probes.checkpoints.batches import padding_moved_right
from w2s_probes.errors import InputError, did_you_mean

Position = Literal["last", "first", "mean", "all"]


def checked_position(name: str) -> Position:
    """The position of this name; InputError where there is none."""
    if name not in get_args(Position):
        raise InputError(f"position {name!r}: {did_you_mean(name, get_args(Position))}")
    return cast(Position, name)


class ActivationReader:
    """Runs batches through a model's trunk and keeps one vector a row and layer."""

    def __init__(self, model: nn.Module, block_path: str) -> None:
        with warnings.catch_warnings():
            # BERT-like blocks hold a module called `output`; what is read here is still the block's own output.
            warnings.filterwarnings("ignore", message=".*which nnsight already serves.*")
            traced: Any = NNsight(model)
        self._begin(model, traced, block_path, next(model.parameters()).device, {})

    def _begin(
        self, model: nn.Module, traced: Any, block_path: str, device: torch.device, how: Mapping[str, Any]
    ) -> None:
        """Set the model, nnsight's view of it, the device of the inputs, and further arguments of the trace."""
        self.model, self._traced, self.device, self._how = model, traced, device, how
        self._blocks: Any = traced.get(block_path)

    @torch.inference_mode()
    def read(
        self, input_ids: Tensor, attention_mask: Tensor, layers: Sequence[int], position: Position
    ) -> dict[int, Tensor]:
        """For each layer the vectors at `position` (see `pool`) of tokens (rows, length), in the model's dtype.

        Layer 0 is what the first block receives, layer i what block i hands on. Padding may be on either side.
        """
        input_ids, attention_mask = padding_moved_right(input_ids, attention_mask)
        inputs = {"input_ids": input_ids.to(self.device), "attention_mask": attention_mask.to(self.device)}
        mask, blocks = inputs["attention_mask"], self._blocks
        # The names that the block uses may be sent to a server (see remote.py): no `self`, and nothing needless.
        with self._traced.trace(**inputs, **self._how) as tracer:
            vectors = save({})
            if 0 in layers:
                vectors[0] = pool(blocks[0].input, mask, position)
            for layer in range(1, max(layers) + 1):
                if layer in layers:
                    vectors[layer] = pool(hidden(blocks[layer - 1].output), mask, position)
            tracer.stop()
        return dict(vectors)


def hidden(output: Tensor | tuple[Tensor, ...] | list[Tensor]) -> Tensor:
    """The hidden states (rows, length, width) in a block's output, of which they are the first entry in some models."""
    return output if isinstance(output, Tensor) else output[0]


def pool(states: Tensor, mask: Tensor, position: Position) -> Tensor:
    """One vector a row (rows, width) of states (rows, length, width), by the attention mask (rows, length).

    Of position `all` every real token's (tokens, width), row after row.
    """
    mask, states = mask.to(states.device), states[:, : mask.shape[1]]  # some models fill rows up to their window
    if position == "all":
        return states[mask.bool()]
    if position == "mean":
        total = (states.float() * mask[:, :, None]).sum(dim=1)
        return (total / mask.sum(dim=1, keepdim=True)).to(states.dtype)
    if position == "last":
        token = (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)).argmax(dim=1)
    else:
        token = mask.argmax(dim=1)  # of equal ones the first
    return states[torch.arange(len(states), device=states.device), token]
