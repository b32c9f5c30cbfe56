"""A store as a dataset of PyTorch: rows with their labels, streamed from disk, mixed, and shared among workers."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import IterableDataset, get_worker_info

from .row_blocks import RowBlocks
from .token_activations import TokenActivations

Example = dict[str, Any]


class StoreRows(IterableDataset[Example]):
    """Rows of a store, streamed: made by `ActivationStore.torch_dataset`.

    An example has `id`, `activations` and, where there are labels, `label`; a row of tokens has `token_ids` too. The
    workers of a DataLoader share the rows: together they give each once. `set_epoch` gives another order.
    """

    def __init__(self, rows: RowBlocks, *, batch_size: int | None, shuffle: bool, seed: int) -> None:
        super().__init__()
        self._rows, self._batch_size, self._shuffle, self._seed = rows, batch_size, shuffle, seed
        epoch = torch.zeros((), dtype=torch.int64)
        self._epoch = epoch.share_memory_()  # type: ignore[no-untyped-call]  # workers that live on see it change

    def __len__(self) -> int:
        """Rows; TypeError where whole batches are given, whose number depends on how many workers share the rows."""
        if self._batch_size is not None:
            raise TypeError("the number of batches depends on the number of workers")
        return len(self._rows.ids)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch (0, 1, ...), which together with the seed decides the order of shuffled rows."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[Example]:
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        pools = self._rows.pools(
            shuffle=self._shuffle, seed=self._seed, epoch=int(self._epoch), worker=worker, workers=workers
        )
        return self._examples(pools) if self._batch_size is None else self._batches(pools, self._batch_size)

    def _examples(self, pools: Iterator[NDArray[np.intp]]) -> Iterator[Example]:
        for numbers in pools:
            for example in self._rows.examples(numbers):
                for name in {"activations", "token_ids"} & example.keys():
                    example[name] = torch.from_numpy(example[name])
                if "label" in example:
                    example["label"] = torch.tensor(example["label"], dtype=torch.float32)
                yield example

    def _batches(self, pools: Iterator[NDArray[np.intp]], size: int) -> Iterator[Example]:
        rows = self._rows
        numbers, values = np.empty(0, np.intp), np.empty((0, rows.width), np.float32)
        for more in pools:
            read = rows.read(rows.positions[more])
            if isinstance(read, TokenActivations):
                raise TypeError("rows of tokens are batched by the DataLoader, with collate_fn=padded_tokens")
            numbers, values = np.concatenate([numbers, more]), np.concatenate([values, read])
            whole = len(numbers) // size * size
            for start in range(0, whole, size):
                yield self._batch(numbers[start : start + size], values[start : start + size])
            numbers, values = numbers[whole:], values[whole:]
        if len(numbers):
            yield self._batch(numbers, values)

    def _batch(self, numbers: NDArray[np.intp], values: NDArray[np.float32]) -> Example:
        batch: Example = {"id": self._rows.ids[numbers].tolist(), "activations": torch.from_numpy(values)}
        if self._rows.labels is not None:
            batch["label"] = torch.from_numpy(self._rows.labels[numbers].astype(np.float32))
        return batch


def padded_tokens(examples: Sequence[Example]) -> Example:
    """One batch of rows of tokens, for `DataLoader(collate_fn=padded_tokens)`.

    `activations` is (rows, longest, width) and `token_ids` (rows, longest), 0 behind the end of a row; `mask`
    (rows, longest) is true where there is a token. `id` is a list and `label`, where there are labels, (rows,).
    """
    lengths = torch.tensor([len(example["token_ids"]) for example in examples])
    batch: Example = {
        "id": [example["id"] for example in examples],
        "activations": pad_sequence([example["activations"] for example in examples], batch_first=True),
        "token_ids": pad_sequence([example["token_ids"] for example in examples], batch_first=True),
        "mask": torch.arange(int(lengths.max()))[None, :] < lengths[:, None],
    }
    if "label" in examples[0]:
        batch["label"] = torch.stack([example["label"] for example in examples])
    return batch
