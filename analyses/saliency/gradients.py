"""From a probe back to the words: hidden states at a layer, and the gradient of the probe's log-odds by the input."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from extract.forward.trace import hidden
from w2s_probes.checkpoints.batches import batches, padded
from w2s_probes.checkpoints.tokens import Tokens

from .held_norms import held_norms
from .readouts import Readout

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Traced:
    """One text through the model, as a linear probe of one layer sees it."""

    states: NDArray[np.float32]  # (tokens, width) at the layer
    log_odds: float  # of the probe, at the store's position
    gradient_x_input: Array  # (tokens,) gradient of these log-odds by each token's embedding, times that embedding


BATCH = 4096  # tokens that are run at once where texts are run without each of their tokens, or along a way to them


class Tracer:
    """Runs single texts through a model with torch's own hooks: nnsight's trace keeps no gradients here."""

    def __init__(
        self, model: nn.Module, block_path: str, *, pad: int = 0, mode: Callable[[int], Hashable] = lambda length: 0
    ) -> None:
        """`pad` fills shorter rows of a batch, and rows of one batch have lengths of equal `mode` (see `batches`)."""
        self.model = model
        self._blocks = list(model.get_submodule(block_path).children())
        self._pad, self._mode = pad, mode
        self.embedding: nn.Module = model.get_input_embeddings()  # type: ignore[operator]  # every model has it
        self.mean_embedding: Tensor | None = None  # of the tokens that the model knows, once somebody asks
        self.device = next(model.parameters()).device

    def trace(self, ids: NDArray[np.int32], layer: int, read: Readout, *, hold_norms: bool = True) -> Traced:
        """One text's token ids (tokens,) with a probe that reads `layer`; two passes.

        The embedding is what the model's table of tokens gives, before positions are added. The sum over tokens is not
        the log-odds: the model between is not linear, and there are positions and biases. With `hold_norms` gradients
        take normalisations as fixed (see held_norms.py); without, they are those of the model.
        """
        batch = torch.from_numpy(np.asarray(ids, dtype=np.int64))[None].to(self.device)
        mask = torch.ones_like(batch)
        with (
            torch.enable_grad(),
            self.watching(layer) as seen,
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
        batch = torch.from_numpy(np.asarray(ids, dtype=np.int64))[None].to(self.device)
        with self.watching(layer, gradients=False) as seen:
            self.model(input_ids=batch, attention_mask=torch.ones_like(batch))
        return np.asarray(seen["states"][0, : batch.shape[1]].float().cpu().numpy())

    @torch.inference_mode()
    def without_each(self, texts: Sequence[Tokens], layer: int, read: Readout) -> list[Array]:
        """The probe's log-odds (tokens,) of each text without each of its tokens; as many rows as there are tokens.

        Rows of all texts share batches, by length. A text of one token has NaN: without it nothing is left to read.
        """
        found = [np.full(len(ids), np.nan) for ids in texts]
        places = [(text, at) for text, ids in enumerate(texts) if len(ids) > 1 for at in range(len(ids))]
        lengths = [len(texts[text]) - 1 for text, _ in places]
        for batch in batches(lengths, BATCH, mode=self._mode):
            rows = [np.delete(texts[places[row][0]], places[row][1]) for row in batch]
            ids, mask = (part.to(self.device) for part in padded(rows, pad=self._pad))
            with self.watching(layer, gradients=False) as seen:
                self.model(input_ids=ids, attention_mask=mask)
            log_odds = read.log_odds(seen["states"].double(), mask).cpu().numpy()
            for row, value in zip(batch, log_odds, strict=True):
                text, at = places[row]
                found[text][at] = value
        return found

    @contextmanager
    def watching(
        self, layer: int, *, gradients: bool = True, instead: Tensor | None = None
    ) -> Iterator[dict[str, Tensor]]:
        """In this block a pass leaves here the embedding's output and the layer's states, (rows, tokens, width) each.

        `instead` is put in the place of that output.
        """
        seen: dict[str, Tensor] = {}

        def embedded(_module: nn.Module, _args: Any, out: Tensor) -> Tensor:
            out = out if instead is None else instead
            seen["embedded"] = out.detach().requires_grad_() if gradients else out
            return seen["embedded"]

        def going_in(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            seen["states"] = args[0] if args else kwargs["hidden_states"]

        def coming_out(_module: nn.Module, _args: Any, out: Any) -> None:
            seen["states"] = hidden(out)

        hooks = [self.embedding.register_forward_hook(embedded)]
        if layer == 0:
            hooks.append(self._blocks[0].register_forward_pre_hook(going_in, with_kwargs=True))
        else:
            hooks.append(self._blocks[layer - 1].register_forward_hook(coming_out))
        try:
            yield seen
        finally:
            for hook in hooks:
                hook.remove()
