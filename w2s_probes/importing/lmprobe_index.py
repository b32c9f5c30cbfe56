"""The index of a dataset that lmprobe has pushed: which vectors of which shards are a prompt's.

`index/train-00000-of-00001.parquet` has a line a prompt and, in its schema, what the tensors are; a layer's vectors
lie in `tensors/hidden_layer003_shard000.safetensors`. Read from lmprobe 0.10.3, lmprobe/sharing.py and
cache.py (format 2).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..errors import InputError, preview, reason
from ..io.parquet_files import read_parquet

INDEX = Path("index", "train-00000-of-00001.parquet")
META = "lmprobe:"  # before the names of what stands in the schema
FORMAT = "2."
POOLED = {"last": "last_token", "first": "first_token", "mean": "mean"}  # our positions by its names
ALL = "all"


@dataclass(frozen=True)
class LmprobeIndex:
    """The prompts of a dataset, and the shards that hold their vectors."""

    path: Path
    table: pd.DataFrame  # a line a prompt: text, num_tokens, shard_index, row_offset, ...
    model: str
    layers: list[int]  # by its numbers: what block i hands on is i
    width: int
    pooling: str | None  # of one vector a prompt; None: every token is there
    shards: list[int]  # vectors of each, the same for every layer

    @classmethod
    def read(cls, folder: Path) -> "LmprobeIndex":
        """The index in a dataset's folder; InputError for another format of it, and for one that is not sound."""
        path = folder / INDEX
        try:
            meta = {_text(name): _text(value) for name, value in (pq.read_schema(path).metadata or {}).items()}
            table = read_parquet(path)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not readable as Parquet ({reason(error)})") from error
        version = _value(meta, "format_version", path)
        if not str(version).startswith(FORMAT):
            raise InputError(
                f"{path}: format {version} of lmprobe's datasets, and 2 is read: `lmprobe.upgrade_dataset_format` "
                "makes it so"
            )
        try:
            hidden = _value(meta, "tensors", path)["hidden_layers"]
            whole = hidden["storage"] == "full_sequence"
            shards = _whole([shard["num_tokens" if whole else "num_prompts"] for shard in hidden["shards"]]).tolist()
            layers, width = sorted({*_whole(hidden["layers"]).tolist()}), int(_whole(hidden["dim"]))
            if not layers or layers[0] < 0 or width < 1:
                raise ValueError(f"layers {preview(layers, 6)} of width {width}")
            pooling = None if whole else str(hidden["pooling"])
            model, layout = _value(meta, "model", path)["name"], hidden["layout"]
            if not isinstance(model, str):
                raise ValueError(f"a model named {preview([model], 1)}")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: its schema does not describe hidden layers ({reason(error)}): damaged: pull it again"
            ) from error
        lacking = {"text", "num_tokens", "shard_index", "row_offset"} - set(table)
        if layout != "per_layer" or lacking or (whole and not {"token_shard_ids", "token_shard_offsets"} <= set(table)):
            raise InputError(
                f"{path}: shards of an older lmprobe, which do not say where each token is: let lmprobe >= 0.10 push "
                "the dataset anew"
            )
        return cls(path, table, model, layers, width, pooling, shards)

    def lines_of(self, texts: Sequence[str], ids: Sequence[str], where: str) -> NDArray[np.intp]:
        """The line of each row, found by its text to the letter; InputError naming rows that have none."""
        lines: dict[str, int] = {}
        for line, text in enumerate(self.table["text"]):
            if isinstance(text, str):
                lines.setdefault(text, line)
        if lacking := [name for name, text in zip(ids, texts, strict=True) if text not in lines]:
            raise InputError(
                f"{self.path}: no line for {len(lacking)} of {len(ids)} rows of {where} ({preview(lacking, 6)}): a row "
                "is found by its text, which must be to the letter what lmprobe was given"
            )
        return np.array([lines[text] for text in texts], dtype=np.intp)

    def counts(self, lines: NDArray[np.intp]) -> list[int | None]:
        """The number of tokens of each line, where it is told."""
        told = [self.table["num_tokens"][line] for line in lines]
        return [
            None if count is None else int(self._whole(count, "num_tokens", line))
            for count, line in zip(told, lines, strict=True)
        ]

    def tokens(self, lines: NDArray[np.intp]) -> list[NDArray[np.int64] | None]:
        """The token ids of each line, which are there beside perplexities alone."""
        if "token_ids" not in self.table:
            return [None] * len(lines)
        told = [self.table["token_ids"][line] for line in lines]
        return [
            None if ids is None else self._whole(ids, "token_ids", line).reshape(-1)
            for ids, line in zip(told, lines, strict=True)
        ]

    def places(self, lines: NDArray[np.intp], position: str) -> list[NDArray[np.int64]]:
        """For each line, shard and offset (vectors, 2) of its vector at a position, or of all; InputError otherwise."""
        if self.pooling is not None:
            if POOLED.get(position) != self.pooling:
                fitting = {theirs: ours for ours, theirs in POOLED.items()}.get(self.pooling)
                remedy = f"say --position {fitting}" if fitting else "it fits no position"
                raise InputError(f"{self.path}: holds vectors pooled by {self.pooling}, not {position}: {remedy}")
            names = ("shard_index", "row_offset")
            found = [
                np.stack([self._whole([self.table[name][line]], name, line) for name in names], axis=1)
                for line in lines
            ]
        elif position == "mean":
            raise InputError(f"{self.path}: holds every token and no mean: say --position last, first or all")
        else:
            at = {"last": slice(-1, None), "first": slice(0, 1), ALL: slice(None)}[position]
            found = [self._tokens_at(line)[at] for line in lines]
        sizes = np.asarray(self.shards, dtype=np.int64)
        for line, pairs in zip(lines, found, strict=True):
            shard, offset = pairs.T
            beyond = (shard < 0) | (shard >= len(sizes)) | (offset < 0)
            if beyond.any() or (offset >= sizes[shard]).any():
                raise InputError(
                    f"{self.path}, line {line + 1}: names a vector that no shard has: damaged: pull it again"
                )
        return found

    def _tokens_at(self, line: int) -> NDArray[np.int64]:
        names = ("token_shard_ids", "token_shard_offsets")
        shards, offsets = (self._whole(self.table[name][line], name, line).reshape(-1) for name in names)
        count = self.table["num_tokens"][line]
        if not len(shards) == len(offsets) == count or not count:
            raise InputError(
                f"{self.path}, line {line + 1}: {count} tokens, but other numbers of places: damaged: pull it again"
            )
        return np.stack([shards, offsets], axis=1)

    def _whole(self, value: Any, name: str, line: int) -> NDArray[np.int64]:
        try:
            return _whole(value)
        except ValueError as error:
            raise InputError(
                f"{self.path}, line {line + 1}: {name} is no whole number ({reason(error)}): damaged: pull it again"
            ) from error


def _whole(value: Any) -> NDArray[np.int64]:
    """A number or a list of them as whole numbers of 64 bits; ValueError for what is none, a fraction included."""
    numbers = np.array(value)  # ValueError for lists of several lengths
    if numbers.size and numbers.dtype.kind not in "if":
        raise ValueError(preview(np.ravel(numbers).tolist(), 3))
    with np.errstate(invalid="ignore"):
        whole = numbers.astype(np.int64)
    if (whole != numbers).any():  # what is missing in a column of numbers may have made fractions of them
        raise ValueError(preview(np.ravel(numbers[whole != numbers]).tolist(), 3))
    return whole


def _text(value: bytes) -> str:
    return value.decode("utf-8", errors="replace")


def _value(meta: dict[str, str], name: str, path: Path) -> Any:
    try:
        return json.loads(meta[META + name])
    except (KeyError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: says no {name} in its schema: not an index of lmprobe's, or of its format 1"
        ) from error
