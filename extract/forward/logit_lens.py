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


class LogitReader(ActivationReader):
    """Reads the logits of some tokens (rows, tokens) where its parent reads the stream."""

    def __init__(self, model: nn.Module, block_path: str, tokens: Sequence[int]) -> None:
        super().__init__(model, block_path)
        self._list: list[nn.Module] = list(model.get_submodule(block_path).children())
        self._tokens = list(tokens)
        self._form: list[Any] | None = None  # of a block's output: the kind of list, and what else is in it
        self._vocabulary = 0  # both are set before anything is read

    @torch.inference_mode()
    def check(self, tokens: Sequence[int]) -> None:
        """InputError unless the last layer's states give the model's own logits, on a small batch of these tokens."""
        ids = layout_batch(tokens, self.device)
        seen: list[Any] = []
        handle = self._list[-1].register_forward_hook(lambda _m, _a, output: seen.append(output))
        try:
            own = self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.flatten(0, 1)
            self._vocabulary, form = own.shape[-1], seen[0]
            self._form = None if isinstance(form, Tensor) else [type(form), *[None] * (len(form) - 1)]
            states = hidden(form)[:, : ids.shape[1]].flatten(0, 1)
            again = self._of_all(states).float()
        except BROKEN as error:
            if isinstance(error, RuntimeError) and out_of_memory(error):
                raise
            raise InputError(not_on_token_ids(self.model, error)) from error
        finally:
            handle.remove()
        off = (again - own[:, self._tokens].to(again.device).float()).abs().max() / own.float().std()
        if not off <= TOLERANCE.get(own.dtype, max(TOLERANCE.values())):
            raise InputError(
                f"{type(self.model).__name__}: what it does after its last block cannot be run by itself (its logits "
                f"come out different by {float(off):.2g} of their spread), so it has no site logits: leave --site out"
            )

    def read(
        self, input_ids: Tensor, attention_mask: Tensor, layers: Sequence[int], position: Where
    ) -> dict[int, Tensor]:
        """For each layer the logits (rows, tokens) at `position`, in the model's dtype; of `mean` their mean."""
        input_ids, attention_mask = padding_moved_right(input_ids, attention_mask)
        every = any(
            isinstance(one, str) and one == "mean" for one in (position if isinstance(position, tuple) else (position,))
        )
        read = super().read(input_ids, attention_mask, layers, "all" if every else position)
        with torch.inference_mode():
            found = {layer: self._of_all(vectors) for layer, vectors in read.items()}
            if not every:
                return found
            return {layer: _pooled_again(logits, attention_mask, position) for layer, logits in found.items()}

    def _of_all(self, vectors: Tensor) -> Tensor:
        """`_of`, some vectors at a time."""
        size = max(1, CHUNK // self._vocabulary)
        return torch.cat([self._of(vectors[at : at + size]) for at in range(0, len(vectors), size)])

    def _of(self, vectors: Tensor) -> Tensor:
        """The logits of the tokens (n, tokens) that follow from states (n, width) of the stream."""
        device = self.device
        ids = torch.zeros(len(vectors), 1, dtype=torch.int64, device=device)
        with self._handing_on(vectors[:, None]):
            logits: Tensor = self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        return logits[:, 0, self._tokens]

    @contextmanager
    def _handing_on(self, states: Tensor) -> Iterator[None]:
        """Blocks that compute nothing: the last one hands on the states, those before it what they are given."""
        form = self._form

        def forward(number: int, *args: Any, **kwargs: Any) -> Any:
            given = states if number == len(self._list) - 1 else states_of(args, kwargs)
            return given if form is None else form[0]([given, *form[1:]])

        with ExitStack() as put_back:
            for number, block in enumerate(self._list):
                put_back.enter_context(_forward(block, number, forward))
            yield


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


def _pooled_again(logits: Tensor, mask: Tensor, position: Where) -> Tensor:
    """Logits of every token (tokens, chosen) as one vector a row."""
    mask = mask.to(logits.device)
    states = logits.new_zeros(*mask.shape, logits.shape[-1])
    states[mask.bool()] = logits
    return pool(states, mask, position)
