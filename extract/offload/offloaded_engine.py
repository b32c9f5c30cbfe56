"""The offloaded engine: reads a store's parts in sweeps, which lead many batches through one block after another.

A sweep reads every block's weights once, whatever the number of its rows. Its batches are those of the ordinary engine,
and each meets each block with what the trunk gives it, so that the numbers are the ordinary ones.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from w2s_probes.checkpoints.batches import padded
from w2s_probes.checkpoints.loading import BROKEN
from w2s_probes.checkpoints.tokens import Tokens, refuse_unknown_tokens
from w2s_probes.errors import InputError, whole_reason
from w2s_probes.progress import silent
from w2s_probes.store.dtypes import WORDS, StoredDtype

from ..forward.call_states import states_after
from ..forward.engine import BatchProgress, affordable_tokens, numbers_a_token, where_of, words_of
from ..forward.fitting import or_no_memory
from ..forward.logit_lens import CHUNK
from ..forward.model_state import ModelState
from ..forward.part_reading import ReadPart, TokenizedPart
from ..forward.switches import mode_of
from ..models.loading import Placement, refuse_lacking_dtype, usable_device
from ..models.source import ModelSource
from ..options import refuse_offload
from ..site import RESIDUAL, Site
from .check_pass import CheckPass
from .kept_states import KeptStates, StatesInMemory, StatesOnDisk
from .model_parts import ModelParts
from .offloading import Offload, Room
from .open_parts import Batch, OpenPart
from .shells import Block, Passage, Shells, joined
from .site_reading import PartRun, SiteReading

# Tokens of a sweep at most: by then reading the weights is a small share of the time, and a kill loses one sweep.
CPU_SWEEP = 1 << 18
GPU_SWEEP = 1 << 22


class OffloadedEngine:
    """Reads chosen layers of any number of parts, with one block's weights in memory at a time."""

    def __init__(
        self,
        source: ModelSource,
        *,
        layers: Sequence[int],
        position: str | Sequence[str],
        dtype: StoredDtype,
        site: Site = RESIDUAL,
        quantization: str | None = None,
        placement: Placement,
    ) -> None:
        refuse_offload(asked=True, remote=source.remote, quantization=quantization, device_map=placement.device_map)
        self._source, self._layers, self._dtype = source, sorted(layers), dtype
        self._positions: list[str] = [position] if isinstance(position, str) else list(position)
        self._every, self._width = self._positions == ["all"], site.width(source.width)
        logits = site.name == "logits"
        # The blocks that are read; of logits one at least, by whose states the head is tried out.
        self._last = max(self._layers[-1], int(logits))
        self.device = usable_device(placement.device_map)
        refuse_lacking_dtype(self.device, dtype)
        offload = placement.offload or Offload()
        self._parts = parts = ModelParts(source, dtype, self.device, placement.attn, speaking=logits)
        beside = parts.frame_bytes + 2 * parts.block_bytes
        self.budget = placement.batch_tokens or affordable_tokens(
            source, self.device, dtype, self._numbers_kept, reserved=beside
        )
        batch = self.budget * (numbers_a_token(source) + self._numbers_kept) * WORDS[dtype].itemsize
        batch += 4 * min(CHUNK, self.budget * source.vocabulary) if logits else 0
        self._room = Room.of(offload, source.name, frame=parts.frame_bytes, block=parts.block_bytes, batch=batch)
        self._states: KeptStates = StatesInMemory() if offload.scratch is None else StatesOnDisk(offload.scratch)
        self._on_disk = offload.scratch is not None
        frame = parts.frame()
        self._shells = Shells(frame, parts.frame_blocks)
        self._site = SiteReading(site, frame, parts.frame_blocks, self.device)
        self._state, self._mode = ModelState(frame), mode_of(source.text_config)
        self._checked = False

    @property
    def place(self) -> str:
        """The device that the model runs on."""
        return str(self.device)

    @property
    def site_modules(self) -> dict[int, str]:
        """The module of each block, by layer, that gives the site: known once rows have been read, of parts alone."""
        return self._site.parts

    @property
    def _numbers_kept(self) -> int:
        return 2 * self._width if self._every else 0

    def read(
        self,
        tokens: Sequence[Tokens],
        names: Sequence[str],
        progress: BatchProgress = silent,
        *,
        at: NDArray[np.int64] | None = None,
    ) -> dict[int, NDArray[Any]]:
        """For each layer the words of the rows, which are one part; every call reads all weights."""
        (found,) = self.read_parts(iter([TokenizedPart(0, list(names), list(tokens), 0, at=at)]), progress)
        return dict(found.layers)

    def read_parts(self, parts: Iterator[TokenizedPart], progress: BatchProgress = silent) -> Iterator[ReadPart]:
        """The words of each part, in order; several parts, or a share of one, are read in one sweep."""
        opened: deque[OpenPart] = deque()
        waiting = self._batches(parts, opened)
        while self._sweep(waiting, opened, progress):
            self._states.clear()
            while opened and not opened[0].batches_left:
                yield opened.popleft().read_part()

    def _batches(self, parts: Iterator[TokenizedPart], opened: deque[OpenPart]) -> Iterator[Batch]:
        a_row = None if self._every else len(self._positions)
        for part in parts:
            refuse_unknown_tokens(self._source.name, part.tokens, self._source.vocabulary, partial(_named, part.names))
            opened.append(OpenPart(part, self._layers, self._width, self._dtype, a_row=a_row))
            yield from opened[-1].batches(self.budget, self._mode)

    def _sweep(self, waiting: Iterator[Batch], opened: deque[OpenPart], progress: BatchProgress) -> bool:
        """Lead batches through all blocks, as many as there is room for; whether there were any."""
        first = next(waiting, None)
        if first is None:
            return False
        last, taken = self._last, [first]
        check = None if self._checked else self._check(first.tokens[0])
        try:
            for number in range(max(1, last)):
                run = self._install(number) if last else None
                if check is not None and run is not None:
                    check.go_through(number, run)
                if run is not None and (path := self._site.parts.get(number + 1)) is not None:
                    run = PartRun(self._shells.block(number), path, run)
                for batch in taken if number else self._taken(first, waiting, opened, taken):
                    self._step(batch, number, run)
                    _report(progress, batch, number, max(1, last))
                self._state.restore()
                self._shells.empty(number)
                del run  # before the next block's weights are there
        finally:
            if check is not None:
                check.close()
        self._checked = True
        for batch in taken:
            batch.of.batches_left -= 1
        return True

    def _check(self, tokens: Tokens) -> CheckPass:
        check = CheckPass(self._source, self._shells, self._site, self._layers, tokens, self.device)
        try:
            check.refuse_first_layer()
        except InputError:
            check.close()
            raise
        return check

    def _install(self, number: int) -> Block:
        """Load a block to its place, and let the system read the next one ahead; returns what runs it."""
        run = self._shells.install(number, self._parts.block(number))
        if number + 1 < self._last:
            self._parts.announce(number + 1)
        self._state = ModelState(self._shells.trunk)
        return run

    def _taken(
        self, first: Batch, waiting: Iterator[Batch], opened: deque[OpenPart], taken: list[Batch]
    ) -> Iterator[Batch]:
        """The batches of a sweep, until the room for states and words is used: known after each batch's first block."""
        yield first
        tokens, most = first.length, CPU_SWEEP if self.device.type == "cpu" else GPU_SWEEP
        while tokens < most:
            words = sum(part.size for part in opened)
            memory, disk = (words, self._states.size) if self._on_disk else (words + self._states.size, 0)
            if memory > self._room.memory or disk > self._room.disk or (batch := next(waiting, None)) is None:
                return
            taken.append(batch)
            tokens += batch.length
            yield batch

    @torch.inference_mode()
    def _step(self, batch: Batch, number: int, run: Block | None) -> None:
        """Lead a batch through a block, and keep what comes out of it."""
        ids, mask = padded(batch.tokens, pad=self._source.pad)
        passage = self._passage(batch, ids, mask, number, run)
        if number == 0 and 0 in self._layers:
            self._place(batch, 0, passage.came, mask)
        if number + 1 in self._layers:
            after = states_after(passage.went) if passage.part is None else passage.part
            self._place(batch, number + 1, after, mask)
        if number + 1 < self._last:
            self._states.put(batch, passage.keep)

    def _passage(
        self, batch: Batch, ids: Tensor, mask: Tensor, number: int, run: Block | None, piece: slice = slice(None)
    ) -> Passage:
        """Some rows of a batch at a block; where they do not fit into memory they are led there in halves."""
        of_batch = len(batch.rows)
        kept = self._states.get(batch) if number else []
        kept = [(tensor[piece] if len(tensor) == of_batch else tensor).to(self.device) for tensor in kept]
        onward = number + 1 < self._last
        failed = f"model {self._source.name} fails on texts of {ids.shape[1]} tokens in {self._dtype}"
        self._state.restore()
        here, seen = ids[piece].to(self.device), mask[piece].to(self.device)
        try:
            passage = or_no_memory(
                lambda: self._shells.pass_through(here, seen, number, run, kept, onward=onward),
                failed,
                "another --dtype, --attn or --max-length",
            )
        except BROKEN as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{failed} ({whole_reason(error)}): leave --offload out") from error
        if passage is not None:
            passage.part = run.part(len(here)) if isinstance(run, PartRun) else None
            return passage
        first, end, _ = piece.indices(of_batch)
        if end - first == 1:
            raise InputError(
                f"row {batch.of.part.names[batch.rows[first]]!r} with {ids.shape[1]} tokens does not fit into the "
                f"memory of {self.place} beside a block: lower --max-length, or choose a smaller --dtype"
            )
        middle = (first + end) // 2
        self.budget = max(1, min(self.budget, (end - first) * ids.shape[1]) // 2)  # of what is dealt from now on
        halves = [slice(first, middle), slice(middle, end)]
        return joined([self._passage(batch, ids, mask, number, run, half) for half in halves])

    def _place(self, batch: Batch, layer: int, states: Tensor | None, mask: Tensor) -> None:
        if states is None:
            raise InputError(f"model {self._source.name}: block {layer - 1} hands on no hidden states")
        where = where_of(self._positions, batch.at)
        vectors = self._site.vectors(states, mask, where).to(getattr(torch, self._dtype))
        finite = torch.isfinite(vectors).all(dim=-1).cpu().numpy()
        batch.of.place(batch, layer, words_of(vectors), finite)


def _report(progress: BatchProgress, batch: Batch, number: int, blocks: int) -> None:
    """Count a batch's rows and tokens by the share of the blocks that they have passed."""
    if not batch.alone:
        rows, tokens = len(batch.rows), batch.length
        progress(
            rows * (number + 1) // blocks - rows * number // blocks,
            tokens * (number + 1) // blocks - tokens * number // blocks,
        )


def _named(names: Sequence[str], row: int) -> str:
    return f"row {names[row]!r}"
