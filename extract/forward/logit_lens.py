"""Logits of some tokens at any layer: the stream through all that a causal model does after its last block.

At the last layer these are the model's own logits; before it the logit lens (nostalgebraist 2020). Final norm, head,
caps and scales are not looked for: the model itself is run on one token, with blocks that hand on the given states.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from w2s_probes.checkpoints.batches import padding_moved_right
from w2s_probes.checkpoints.loading import BROKEN
from w2s_probes.devices import out_of_memory
from w2s_probes.errors import InputError

from .call_states import states_of
from .layout import layout_batch, not_on_token_ids
from .trace import ActivationReader, Where, hidden, pool

CHUNK = 1 << 26  # logits that are there at a time: 256 MB in float32
# Largest difference from the model's own logits, as a share of their spread: products of other sizes round otherwise.
TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.02, torch.bfloat16: 0.1}


class LogitLens:
    """What a causal model makes of states (n, width) after its last block, for some tokens."""

    def __init__(self, model: nn.Module, block_path: str, tokens: Sequence[int], device: torch.device) -> None:
        self._model, self._path, self._tokens, self._device = model, block_path, list(tokens), device
        self._form: list[Any] | None = None  # of a block's output: the kind of list, and what else is in it
        self._vocabulary = 0  # counted where the first logits are made

    @torch.inference_mode()
    def learn(self, output: Any, own: Tensor) -> None:
        """Take the form of a block's `output`; InputError unless the states in it give the model's `own` logits.

        `own` (rows, length, vocabulary) are those of a pass in which the last block handed on these states.
        """
        self._form = None if isinstance(output, Tensor) else [type(output), *[None] * (len(output) - 1)]
        again = self.of(hidden(output)[:, : own.shape[1]].flatten(0, 1)).float()
        own = own.flatten(0, 1)
        off = (again - own[:, self._tokens].to(again.device).float()).abs().max() / own.float().std()
        if not off <= TOLERANCE.get(own.dtype, max(TOLERANCE.values())):
            raise InputError(
                f"{type(self._model).__name__}: what it does after its last block cannot be run by itself (its logits "
                f"come out different by {float(off):.2g} of their spread), so it has no site logits: leave --site out"
            )

    @torch.inference_mode()
    def pooled(self, vectors: Tensor, mask: Tensor, position: Where) -> Tensor:
        """The logits (rows, tokens) at `position`, of states read at `read_at(position)`; of `mean` their mean."""
        logits = self.of(vectors)
        if read_at(position) is position:
            return logits
        mask = mask.to(logits.device)
        every = logits.new_zeros(*mask.shape, logits.shape[-1])
        every[mask.bool()] = logits
        return pool(every, mask, position)

    def of(self, vectors: Tensor) -> Tensor:
        """The logits of the tokens (n, tokens) that follow from states (n, width), some at a time."""
        self._vocabulary = self._vocabulary or self._all(vectors[:1]).shape[-1]
        size = max(1, CHUNK // self._vocabulary)
        pieces = [vectors[at : at + size] for at in range(0, len(vectors), size)]
        return torch.cat([self._all(piece)[:, self._tokens] for piece in pieces])

    def _all(self, vectors: Tensor) -> Tensor:
        ids = torch.zeros(len(vectors), 1, dtype=torch.int64, device=self._device)
        with self._handing_on(vectors[:, None]):
            logits: Tensor = self._model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        return logits[:, 0]

    @contextmanager
    def _handing_on(self, states: Tensor) -> Iterator[None]:
        """Blocks that compute nothing: the last one hands on the states, those before it what they are given."""
        form, blocks = self._form, list(self._model.get_submodule(self._path).children())

        def forward(number: int, *args: Any, **kwargs: Any) -> Any:
            given = states if number == len(blocks) - 1 else states_of(args, kwargs)
            return given if form is None else form[0]([given, *form[1:]])

        with ExitStack() as put_back:
            for number, block in enumerate(blocks):
                put_back.enter_context(_forward(block, number, forward))
            yield


class LogitReader(ActivationReader):
    """Reads the logits of some tokens (rows, tokens) where its parent reads the stream."""

    def __init__(self, model: nn.Module, block_path: str, tokens: Sequence[int]) -> None:
        super().__init__(model, block_path)
        self._last: nn.Module = list(model.get_submodule(block_path).children())[-1]
        self._lens = LogitLens(model, block_path, tokens, self.device)

    @torch.inference_mode()
    def check(self, tokens: Sequence[int]) -> None:
        """InputError unless the last layer's states give the model's own logits, on a small batch of these tokens."""
        ids = layout_batch(tokens, self.device)
        seen: list[Any] = []
        handle = self._last.register_forward_hook(lambda _m, _a, output: seen.append(output))
        try:
            own = self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
            self._lens.learn(seen[0], own)
        except BROKEN as error:
            if isinstance(error, InputError) or (isinstance(error, RuntimeError) and out_of_memory(error)):
                raise
            raise InputError(not_on_token_ids(self.model, error)) from error
        finally:
            handle.remove()

    def read(
        self, input_ids: Tensor, attention_mask: Tensor, layers: Sequence[int], position: Where
    ) -> dict[int, Tensor]:
        """For each layer the logits (rows, tokens) at `position`, in the model's dtype; of `mean` their mean."""
        input_ids, attention_mask = padding_moved_right(input_ids, attention_mask)
        read = super().read(input_ids, attention_mask, layers, read_at(position))
        return {layer: self._lens.pooled(vectors, attention_mask, position) for layer, vectors in read.items()}


def read_at(position: Where) -> Where:
    """Where states are to be read for logits at `position`: a mean of logits is not that of the states' mean."""
    several = position if isinstance(position, tuple) else (position,)
    return "all" if any(isinstance(one, str) and one == "mean" for one in several) else position


@contextmanager
def _forward(block: nn.Module, number: int, stub: Any) -> Iterator[None]:
    had = "forward" in vars(block)
    before: Any = vars(block).get("forward")
    block.forward = lambda *args, **kwargs: stub(number, *args, **kwargs)
    try:
        yield
    finally:
        if had:
            block.forward = before  # such as the hooks of accelerate put there
        else:
            del block.forward
