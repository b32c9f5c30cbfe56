"""A store as a dataset of Hugging Face's `datasets`: rows with their labels, streamed from disk."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from datasets import Features, IterableDataset, Value
from datasets import List as ListOf
from numpy.typing import NDArray

from .row_blocks import RowBlocks


def streamed(rows: RowBlocks) -> IterableDataset:
    """The rows as an `IterableDataset` of as many shards as there are blocks, so that its own `shuffle` mixes both.

    Columns are `id`, `activations` (width,), or (tokens, width) with `token_ids` (tokens,) in a store of tokens, and
    `label` where there are labels.
    """
    vector = ListOf(Value("float32"), length=rows.width)
    features: dict[str, Any] = {"id": Value("string"), "activations": ListOf(vector) if rows.ragged else vector}
    if rows.ragged:
        features["token_ids"] = ListOf(Value("int32"))
    if rows.labels is not None:
        features["label"] = Value("float32")
    return IterableDataset.from_generator(
        partial(_examples, rows), features=Features(features), gen_kwargs={"blocks": rows.blocks(shuffle=True)}
    )


def _examples(rows: RowBlocks, blocks: list[NDArray[np.intp]]) -> Iterator[dict[str, Any]]:
    for numbers in blocks:
        yield from rows.examples(numbers)
