"""Rows of a store in blocks that are read at once and mixed with others, for trainers that stream them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .token_activations import TokenActivations

BLOCK = 4 << 20  # bytes of activations that follow one another on disk
POOLED = 16  # blocks from anywhere in the store, whose rows are mixed: 64 MiB


@dataclass(frozen=True)
class RowBlocks:
    """Rows of one layer of a store, with labels where there are any, left on disk and read a pool at a time."""

    ids: NDArray[np.object_]  # (n,)
    labels: NDArray[np.float64] | None  # (n,) P(label = 1)
    positions: NDArray[np.intp]  # (n,) in the store
    sizes: NDArray[np.int64]  # (n,) bytes of each row's activations
    width: int
    ragged: bool  # whether a row has one activation a token
    read: Callable[[NDArray[np.intp]], NDArray[np.float32] | TokenActivations]  # rows by their positions

    def blocks(self, *, shuffle: bool) -> list[NDArray[np.intp]]:
        """The rows, by number, of each block: in the store's order where they are shuffled later, else as given."""
        order = np.argsort(self.positions, kind="stable") if shuffle else np.arange(len(self.ids))
        before = np.cumsum(self.sizes[order]) - self.sizes[order]
        return np.split(order, np.flatnonzero(np.diff(before // BLOCK)) + 1) if len(order) else []

    def pools(
        self, *, shuffle: bool, seed: int, epoch: int, worker: int = 0, workers: int = 1
    ) -> Iterator[NDArray[np.intp]]:
        """The rows, by number, that one of several workers has in memory at once, in the order in which it gives them.

        Each row is in one pool of one worker. Shuffled, a pool is of blocks drawn by seed and epoch, and its rows are
        mixed.
        """
        blocks = self.blocks(shuffle=shuffle)
        if not shuffle:
            yield from blocks[worker::workers]
            return
        rng = np.random.default_rng([seed, epoch])
        mine = rng.permutation(len(blocks))[worker::workers]
        own = np.random.default_rng([seed, epoch, worker])
        for start in range(0, len(mine), POOLED):
            yield own.permutation(np.concatenate([blocks[block] for block in mine[start : start + POOLED]]))

    def examples(self, numbers: NDArray[np.intp]) -> Iterator[dict[str, Any]]:
        """Rows by number, read at once: `id`, `activations`, `token_ids` of a row of tokens, and `label` if known.

        Activations are (width,), or (tokens, width) with token ids (tokens,).
        """
        values = self.read(self.positions[numbers])
        for place, number in enumerate(numbers):
            example: dict[str, Any] = {"id": str(self.ids[number])}
            if isinstance(values, TokenActivations):
                part = slice(int(values.offsets[place]), int(values.offsets[place + 1]))
                example |= {"activations": values.values[part], "token_ids": values.token_ids[part]}
            else:
                example["activations"] = values[place]
            if self.labels is not None:
                example["label"] = float(self.labels[number])
            yield example
