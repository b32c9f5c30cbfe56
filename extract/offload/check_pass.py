"""A small batch that is read both ways, whole and block by block, while the weights are there for the first sweep."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor

from w2s_probes.checkpoints.loading import BROKEN
from w2s_probes.checkpoints.tokens import Tokens
from w2s_probes.devices import out_of_memory
from w2s_probes.errors import InputError

from ..forward.block_parts import BlockCall
from ..forward.call_states import states_of
from ..forward.layout import Seen, layout_batch, not_on_token_ids, refuse_seen
from ..forward.logit_lens import LogitLens
from ..models.source import ModelSource
from .live_run import LiveRun, far_apart
from .shells import Block, Passage, Shells
from .site_reading import SiteReading, watching


class CheckPass:
    """Refuses models of another layout, as `layout.refuse_other_layouts` does, and those that offloading misreads."""

    def __init__(
        self,
        source: ModelSource,
        shells: Shells,
        site: SiteReading,
        layers: Sequence[int],
        tokens: Tokens,
        device: torch.device,
    ) -> None:
        self._source, self._shells, self._site, self._layers = source, shells, site, layers
        self._last = max(1, *layers) if layers else 1  # blocks that are loaded
        self._ids = layout_batch(tokens.tolist(), device)
        self._mask = torch.ones_like(self._ids)
        self._seen = [Seen() for _ in range(source.depth)]
        self._offloaded: Passage | None = None
        with self._runnable():
            self._live = LiveRun(shells, self._ids, self._mask)

    def go_through(self, number: int, block: Block) -> None:
        """Lead the batch through a block, both ways; InputError where the model is not one that is read."""
        last = number + 1 == self._last
        read, calls = self._shells.block(number), list[BlockCall]()
        of_part = self._site.of_parts and number + 1 in self._layers
        if self._live.order[-1:] != [number]:
            self._refuse_layout(number)
        with self._runnable():
            # First, since with this the trunk may set the block to the mode that the other pass was begun in.
            kept = self._offloaded.keep if self._offloaded is not None else ()
            self._offloaded = self._shells.pass_through(self._ids, self._mask, number, block, kept, onward=not last)
            self._live.step(watching(read, block, calls) if of_part else block)
        self._seen[number].went = self._live.went
        if last:
            with suppress(*BROKEN):  # what comes after the last wanted layer is of no account
                self._live.step(None)
        self._refuse_layout(number)
        if far_apart(self._live.went, self._offloaded.went) or (not last and not self._offloaded.keep):
            raise InputError(
                f"model {self._source.name}: block {number} gives other numbers when it is run by itself, since the "
                "model's blocks share more than their outputs: leave --offload out"
            )
        with self._runnable():
            if of_part:
                self._site.learn_part(number + 1, read, block, calls[0])
            if self._site.lens is not None and number == 0:
                self._learn_head(self._site.lens)

    def refuse_first_layer(self) -> None:
        """InputError where what goes into the first block is not of the usual layout; no weights are needed."""
        self._refuse_layout(-1)

    def close(self) -> None:
        """End the pass."""
        self._live.close()

    @torch.inference_mode()
    def _learn_head(self, lens: LogitLens) -> None:
        """The model's own logits of the first block's states, which the other blocks hand on as they are."""
        went: Any = self._live.went

        def handing_on(number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            states = states_of(args, kwargs)
            if number == 0:
                return went
            return states if isinstance(went, Tensor) else type(went)([states, *went[1:]])

        lens.learn(went, self._shells.accompany(handing_on, self._ids, self._mask).logits)

    @contextmanager
    def _runnable(self) -> Iterator[None]:
        try:
            yield
        except BROKEN as error:
            if isinstance(error, InputError):
                raise
            if isinstance(error, RuntimeError) and out_of_memory(error):
                name = self._source.name
                raise InputError(f"model {name}: a block and a short row do not fit into memory together") from error
            raise InputError(not_on_token_ids(self._shells.trunk, error)) from error

    def _refuse_layout(self, number: int) -> None:
        order = self._live.order
        for place, seen in enumerate(self._seen):
            seen.calls = order.count(place)
        self._seen[0].came = self._live.came
        layers = [layer for layer in (*self._layers, number + 1) if layer <= number + 1]
        width = self._source.width
        refuse_seen(self._shells.trunk, self._shells.path, width, layers, self._ids, self._seen, order)
