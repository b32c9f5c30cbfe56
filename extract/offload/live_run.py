"""An ordinary forward pass of one small batch beside the offloaded one, which waits at each block for its weights.

What a model hands from block to block beside its output, by attributes or shared dictionaries, is there in this pass
and would be missing in the other: so such a model is told by a few tokens, and the weights are still read once.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Semaphore
from typing import Any

import torch
from torch import Tensor

from ..forward.call_states import states_after, states_of
from .shells import Arrived, Block, Shells


class LiveRun:
    """A forward pass in a thread of its own; one of the two threads waits at any time."""

    def __init__(self, shells: Shells, ids: Tensor, mask: Tensor) -> None:
        self.order: list[int] = []  # of the blocks that the pass came to
        self.came: Any = None  # what the first of them was given
        self.went: Any = None  # the last output
        self._shells, self._ids, self._mask = shells, ids, mask
        self._block: Block | None = None
        self._closed = self._ended = self._alone = False
        self._here, self._there = Semaphore(0), Semaphore(0)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="live")
        self._pass: Future[None] = self._thread.submit(self._run)
        self._wait()

    def step(self, block: Block | None) -> None:
        """Run the block that the pass waits at, and go on to the next; None lets the rest hand on zeros."""
        if self._ended:
            return
        self._block, self._alone = block, block is None
        self._there.release()
        self._wait()

    def close(self) -> None:
        """End the pass where it stands."""
        self._closed = True
        self._there.release()
        self._thread.shutdown()

    def _wait(self) -> None:
        self._here.acquire()
        if self._ended:
            self._pass.result()

    @torch.inference_mode()
    def _run(self) -> None:
        try:
            with suppress(Arrived):
                self._shells.accompany(self._meet, self._ids, self._mask)
        finally:
            self._ended = True
            self._here.release()

    def _meet(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        states = states_of(args, kwargs)
        if not self.order:
            self.came = states
        self.order.append(number)
        if not self._alone:
            self._here.release()
            self._there.acquire()
        if self._closed:
            raise Arrived
        block, self._block = self._block, None  # nothing is to hold its weights longer than they are needed
        if block is not None:
            self.went = block(*args, **kwargs)
            return self.went
        zeros = states.new_zeros(states.shape)
        if isinstance(self.went, tuple | list):
            return type(self.went)([zeros, *self.went[1:]])
        return zeros


def far_apart(live: Any, offloaded: Any) -> bool:
    """Whether the states in two outputs of one block differ by more than rounding."""
    a, b = states_after(live), states_after(offloaded)
    if a is None or b is None or a.shape != b.shape:
        return True
    a, b = a.float(), b.float()
    return bool((a - b).abs().max() > 1e-3 * a.abs().max())  # not of NaN in both, which the rows' own check tells
