"""From a probe back to the words: hidden states at a layer, and the gradient of the probe's log-odds by the input."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from extract.forward.trace import hidden

from .held_norms import held_norms
from .readouts import Readout

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Traced:
    """One text through the model, as a linear probe of one layer sees it."""

    states: NDArray[np.float32]  # (tokens, width) at the layer
    log_odds: float  # of the probe, at the store's position
    gradient_x_input: Array  # (tokens,) gradient of these log-odds by each token's embedding, times that embedding


BATCH = 4096  # tokens that are run at once where a text is run without each of its tokens


class Tracer:
    """Runs single texts through a model with torch's own hooks: nnsight's trace keeps no gradients here."""

    def __init__(self, model: nn.Module, block_path: str) -> None:
        self.model = model
        self._blocks = list(model.get_submodule(block_path).children())
        self._embedding: nn.Module = model.get_input_embeddings()  # type: ignore[operator]  # every model has it
        self._device = next(model.parameters()).device

    def trace(self, ids: NDArray[np.int32], layer: int, read: Readout, *, hold_norms: bool = True) -> Traced:
        """One text's token ids (tokens,) with a probe that reads `layer`; two passes.

        The embedding is what the model's table of tokens gives, before positions are added. The sum over tokens is not
        the log-odds: the model between is not linear, and there are positions and biases. With `hold_norms` gradients
        take normalisations as fixed (see held_norms.py); without, they are those of the model.
        """
        batch = torch.from_numpy(np.asarray(ids, dtype=np.int64))[None].to(self._device)
        mask = torch.ones_like(batch)
        with (
            torch.enable_grad(),
            self._watching(layer) as seen,
            held_norms(self.model) if hold_norms else nullcontext(),
        ):
            self.model(input_ids=batch, attention_mask=mask)
            states = seen["states"]
            log_odds = read.log_odds(states, mask)[0]
            embedded = seen["embedded"]
            (gradient,) = torch.autograd.grad(log_odds, [embedded], allow_unused=True)
        moved = torch.zeros_like(embedded[0, :, 0]) if gradient is None else (gradient * embedded)[0].sum(dim=-1)
        return Traced(
            states[0, : batch.shape[1]].detach().float().cpu().numpy(),
            float(log_odds.detach()),
            moved.detach().double().cpu().numpy(),
        )

    @torch.inference_mode()
    def states(self, ids: NDArray[np.int32], layer: int) -> NDArray[np.float32]:
        """The hidden states (tokens, width) at a layer of one text's token ids (tokens,)."""
        batch = torch.from_numpy(np.asarray(ids, dtype=np.int64))[None].to(self._device)
        with self._watching(layer, gradients=False) as seen:
            self.model(input_ids=batch, attention_mask=torch.ones_like(batch))
        return np.asarray(seen["states"][0, : batch.shape[1]].float().cpu().numpy())

    @torch.inference_mode()
    def without_each(self, ids: NDArray[np.int32], layer: int, read: Readout) -> Array:
        """The probe's log-odds (tokens,) of the text without each of its tokens; as many passes as it has tokens."""
        n = len(ids)
        rows = np.array([np.delete(ids, at) for at in range(n)], dtype=np.int64)
        found = []
        for start in range(0, n, step := max(1, BATCH // n)):
            batch = torch.from_numpy(rows[start : start + step]).to(self._device)
            mask = torch.ones_like(batch)
            with self._watching(layer, gradients=False) as seen:
                self.model(input_ids=batch, attention_mask=mask)
            found.append(read.log_odds(seen["states"].double(), mask).cpu().numpy())
        return np.concatenate(found)

    @contextmanager
    def _watching(self, layer: int, *, gradients: bool = True) -> Iterator[dict[str, Tensor]]:
        """In this block a pass leaves here the embedding's output and the layer's states, (1, tokens, width) each."""
        seen: dict[str, Tensor] = {}

        def embedded(_module: nn.Module, _args: Any, out: Tensor) -> Tensor:
            seen["embedded"] = out.detach().requires_grad_() if gradients else out
            return seen["embedded"]

        def going_in(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            seen["states"] = args[0] if args else kwargs["hidden_states"]

        def coming_out(_module: nn.Module, _args: Any, out: Any) -> None:
            seen["states"] = hidden(out)

        hooks = [self._embedding.register_forward_hook(embedded)]
        if layer == 0:
            hooks.append(self._blocks[0].register_forward_pre_hook(going_in, with_kwargs=True))
        else:
            hooks.append(self._blocks[layer - 1].register_forward_hook(coming_out))
        try:
            yield seen
        finally:
            for hook in hooks:
                hook.remove()
