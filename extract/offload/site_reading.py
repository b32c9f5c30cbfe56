"""What is kept of a layer while batches pass its block: the stream, what a part of the block adds, or logits."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..forward.block_parts import BlockCall, part_read, watched_call
from ..forward.logit_lens import LogitLens, read_at
from ..forward.trace import Where, hidden, pool
from ..site import Site
from .shells import Block


class SiteReading:
    """Reads a site of a model whose blocks are there one at a time; where it is is learnt on the check's batch."""

    def __init__(self, site: Site, model: nn.Module, block_path: str, device: torch.device) -> None:
        self.parts: dict[int, str] = {}  # by layer, of attention and MLP: the module's path in its block
        self.of_parts = site.name in ("attention", "mlp")
        self._site, self._model, self._path = site, model, block_path
        self.lens = LogitLens(model, block_path, site.tokens, device) if site.name == "logits" else None

    def learn_part(self, layer: int, block: nn.Module, run: Block, call: BlockCall) -> None:
        """Find the part of a block that is read; InputError where it has none."""
        self.parts[layer] = part_read(self._model, self._path, self._site.name, layer, block, run, call)

    def vectors(self, states: Tensor, mask: Tensor, position: Where) -> Tensor:
        """The vectors at `position` of a layer's states, or of a part's (rows, tokens, width)."""
        if self.lens is None:
            return pool(states, mask, position)
        return self.lens.pooled(pool(states, mask, read_at(position)), mask, position)


class PartRun:
    """Runs a block and keeps what one of its modules handed on."""

    def __init__(self, block: nn.Module, path: str, run: Block) -> None:
        self._run, kept = run, dict[str, Tensor]()
        self._kept = kept

        def keep(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
            kept["part"] = hidden(output).clone()  # some blocks add the next part into this one's memory

        # It holds the list alone: a hook that held the run would keep the block's weights until they are collected.
        block.get_submodule(path).register_forward_hook(keep)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The block's output."""
        return self._run(*args, **kwargs)

    def part(self, rows: int) -> Tensor:
        """What the module handed on last (rows, tokens, width), which is then forgotten."""
        states = self._kept.pop("part")
        return states.reshape(rows, -1, states.shape[-1])


def watching(block: nn.Module, run: Block, calls: list[BlockCall]) -> Callable[..., Any]:
    """Runs the block and adds the call, with all that its modules handed on, to `calls`."""

    def watched(*args: Any, **kwargs: Any) -> Any:
        output, call = watched_call(block, run, args, kwargs)
        calls.append(call)
        return output

    return watched
