"""The one trace: reads the residual stream at chosen layers, one vector a row, and stops after the last of them.

Also with one layer of the stream changed on the way: then a later layer is read, or the model's own head.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

import torch
from nnsight import NNsight, save
from torch import Tensor, nn

from w2s_probes.checkpoints.batches import padding_moved_right

Position = Literal["last", "first", "mean", "all"]
# Also each row's own token (rows,), counted from its first; several of all these give as many vectors a row.
Where = Position | Tensor | tuple[Position | Tensor, ...]
Change = Callable[[Tensor], Tensor]  # of states (rows, length, width), which it leaves as they are


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
        self, input_ids: Tensor, attention_mask: Tensor, layers: Sequence[int], position: Where
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


class PartReader(ActivationReader):
    """Reads what one module of each block hands on: of those that `block_parts` finds, what it adds to the stream."""

    def __init__(self, model: nn.Module, block_path: str) -> None:
        super().__init__(model, block_path)
        self.parts: dict[int, str] = {}  # by layer, the module's path in its block; set before anything is read

    @torch.inference_mode()
    def read(
        self, input_ids: Tensor, attention_mask: Tensor, layers: Sequence[int], position: Where
    ) -> dict[int, Tensor]:
        """For each layer, from 1 on, the vectors at `position` of what block i's module hands on; see the parent."""
        input_ids, attention_mask = padding_moved_right(input_ids, attention_mask)
        inputs = {"input_ids": input_ids.to(self.device), "attention_mask": attention_mask.to(self.device)}
        mask, shape = inputs["attention_mask"], (len(input_ids), -1)
        modules = {layer: self._blocks[layer - 1].get(self.parts[layer]) for layer in sorted(layers)}
        with self._traced.trace(**inputs) as tracer:
            vectors = save({})
            for layer, module in modules.items():  # copied here: some blocks add the next part into this one's memory
                states = hidden(module.output)
                vectors[layer] = pool(states.reshape(*shape, states.shape[-1]), mask, position)
            tracer.stop()
        return dict(vectors)


class ChangedReader(ActivationReader):
    """Runs batches while one layer of the residual stream is what a function makes of it: the model reads that on."""

    @torch.inference_mode()
    def vectors(
        self, input_ids: Tensor, attention_mask: Tensor, layer: int, change: Change, read: int, position: Position
    ) -> Tensor:
        """The vectors (rows, width) of layer `read`, `layer` or a later one, at `position`; padding on the right."""
        inputs = {"input_ids": input_ids.to(self.device), "attention_mask": attention_mask.to(self.device)}
        mask, blocks = inputs["attention_mask"], self._blocks
        with self._traced.trace(**inputs) as tracer:
            if layer == 0:
                blocks[0].input = change(blocks[0].input)
            else:
                blocks[layer - 1].output = replaced(blocks[layer - 1].output, change)
            if read == 0:
                found = save(pool(blocks[0].input, mask, position))
            else:
                found = save(pool(hidden(blocks[read - 1].output), mask, position))
            tracer.stop()
        return cast(Tensor, found)

    @torch.inference_mode()
    def logits(self, input_ids: Tensor, attention_mask: Tensor, layer: int, change: Change, head: str) -> Tensor:
        """The next token's logits (rows, vocabulary) after each row, of a causal model with its head at this path.

        The head is given each row's last token alone: over all of them a large vocabulary would not fit.
        """
        inputs = {"input_ids": input_ids.to(self.device), "attention_mask": attention_mask.to(self.device)}
        blocks, mask, traced = self._blocks, inputs["attention_mask"], self._traced
        speaking: Any = traced.get(head)
        with traced.trace(**inputs):
            if layer == 0:
                blocks[0].input = change(blocks[0].input)
            else:
                blocks[layer - 1].output = replaced(blocks[layer - 1].output, change)
            speaking.input = pool(speaking.input, mask, "last")[:, None]
            found = save(traced.output.logits)
        assert found.shape[1] == 1
        return cast(Tensor, found[:, 0])


def replaced(
    output: Tensor | tuple[Tensor, ...] | list[Tensor], change: Change
) -> Tensor | tuple[Tensor, ...] | list[Tensor]:
    """A block's output with its hidden states changed, whatever else it hands on."""
    if isinstance(output, Tensor):
        return change(output)
    return type(output)([change(output[0]), *output[1:]])


def hidden(output: Tensor | tuple[Tensor, ...] | list[Tensor]) -> Tensor:
    """The hidden states (rows, length, width) in a block's output, of which they are the first entry in some models."""
    return output if isinstance(output, Tensor) else output[0]


def pool(states: Tensor, mask: Tensor, position: Where) -> Tensor:
    """One vector a row (rows, width) of states (rows, length, width), by the attention mask (rows, length).

    Of position `all` every real token's (tokens, width), row after row; of several positions as many, side by side.
    Tokens by number are those of rows that are padded on the right.
    """
    if isinstance(position, tuple):
        return torch.stack([pool(states, mask, one) for one in position], dim=1).flatten(0, 1)
    mask, states = mask.to(states.device), states[:, : mask.shape[1]]  # some models fill rows up to their window
    rows = torch.arange(len(states), device=states.device)
    if isinstance(position, Tensor):
        return states[rows, position.to(states.device)]
    if position == "all":
        return states[mask.bool()]
    if position == "mean":
        total = (states.float() * mask[:, :, None]).sum(dim=1)
        return (total / mask.sum(dim=1, keepdim=True)).to(states.dtype)
    if position == "last":
        token = (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)).argmax(dim=1)
    else:
        token = mask.argmax(dim=1)  # of equal ones the first
    return states[rows, token]
