"""Extraction: rows through a model into a store, shard by shard, in memory that does not grow with the rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from w2s_probes.dtypes import WORDS, StoredDtype
from w2s_probes.errors import InputError, did_you_mean
from w2s_probes.layers import LayerSpec, parse_layers
from w2s_probes.manifest import identity_key
from w2s_probes.store import ActivationStore, StoreWriter

from .batching import batches, padded
from .models import ModelSource
from .rows import checked_rows, rows_hash
from .trace import ActivationReader, Position

SHARD_BYTES = 256 << 20  # of activations: bounds the memory for results and the work lost to a kill
SHARD_ROWS = 8192
BATCH_TOKENS = {"cpu": 1024, "cuda": 16384}

Progress = Callable[[int, int], None]  # rows done, rows in all


@dataclass(frozen=True)
class Extraction:
    """What is to be stored: everything that decides the numbers, and so the store's key; nothing is loaded yet."""

    source: ModelSource
    rows: pd.DataFrame  # columns `id` and `text`
    layers: list[int]
    position: Position
    dtype: StoredDtype
    max_length: int | None  # tokens; longer texts are cut at the end; None where the model has no limit

    @classmethod
    def plan(
        cls,
        model: str | ModelSource,
        rows: pd.DataFrame,
        *,
        layers: LayerSpec = "all",
        position: Position = "last",
        dtype: str = "auto",
        max_length: int | None = None,
    ) -> "Extraction":
        """Resolve names and defaults: the model's own dtype and window, layers by index; see `extract`."""
        source = ModelSource.find(model) if isinstance(model, str) else model
        if position not in get_args(Position):
            raise InputError(f"position {position!r}: {did_you_mean(position, get_args(Position))}")
        if max_length is not None and max_length < 1:
            raise InputError(f"max_length={max_length} must be at least 1 token")
        stored_as: Any = source.own_dtype if dtype == "auto" else dtype
        if stored_as not in WORDS:
            raise InputError(f"dtype {dtype!r}: {did_you_mean(dtype, ['auto', *WORDS])}")
        limits = [limit for limit in (max_length, source.window) if limit is not None]
        rows = checked_rows(rows, "rows")
        return cls(source, rows, parse_layers(layers, source.depth), position, stored_as, min(limits, default=None))

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that changes the numbers but by rounding, which differs by device and batch (see the notes)."""
        return {
            "weights": self.source.weights,
            "blocks": self.source.block_path,
            "layers": self.layers,
            "position": self.position,
            "dtype": self.dtype,
            "max_length": self.max_length,
            "rows": rows_hash(self.rows),
        }

    def run(
        self,
        out: Path | str,
        *,
        batch_tokens: int | None = None,
        progress: Progress = lambda done, total: None,
    ) -> ActivationStore:
        """Write the store at `out`, or go on with it, or open it where it is finished."""
        path = self.source.block_path
        writer = StoreWriter.open(
            out,
            identity=self.identity,
            sites={i: f"{path}.{i - 1}" if i else f"input of {path}.0" for i in self.layers},
            depth=self.source.depth,
            width=self.source.width,
            dtype=self.dtype,
            rows=len(self.rows),
        )
        progress(writer.done, len(self.rows))
        if writer.manifest.complete:
            return ActivationStore.open(out)
        tokens, cut = tokenized(self.source, self.rows, self.max_length)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        reader = ActivationReader(self.source.load(self.dtype, device), path)
        budget = batch_tokens or BATCH_TOKENS[device.type]
        per_shard = shard_rows(self.source.width * WORDS[self.dtype].itemsize * len(self.layers))
        names = self.rows["id"].tolist()
        for start in range(writer.done, len(names), per_shard):
            part = slice(start, start + per_shard)
            arrays = self._read(
                reader,
                names[part],
                tokens[part],
                budget,
                lambda n, s=start: progress(s + n, len(names)),  # type: ignore[misc]
            )
            writer.append(names[part], arrays)
        packages = ("torch", "transformers", "nnsight")
        versions = {package: version(package) for package in packages}
        return writer.finish(
            {"model": self.source.name, "cut_rows": cut, "device": device.type, "batch_tokens": budget, **versions}
        )

    def _read(
        self,
        reader: ActivationReader,
        names: list[str],
        tokens: list[list[int]],
        budget: int,
        progress: Callable[[int], None],
    ) -> dict[int, NDArray[Any]]:
        """One shard's words (rows, width) for each layer, rows in their own order."""
        arrays = {layer: np.empty((len(names), self.source.width), WORDS[self.dtype]) for layer in self.layers}
        done = 0
        for chosen in batches([len(t) for t in tokens], budget):
            ids, mask = padded([tokens[row] for row in chosen], pad=self.source.tokenizer.pad_token_id or 0)
            for layer, vectors in reader.read(ids, mask, self.layers, self.position).items():
                _refuse_non_finite(vectors, [names[row] for row in chosen], layer, self.dtype)
                arrays[layer][chosen] = words_of(vectors)
            done += len(chosen)
            progress(done)
        return arrays


def extract(
    model: str | ModelSource,
    rows: pd.DataFrame,
    out: Path | str,
    *,
    layers: LayerSpec = "all",
    position: Position = "last",
    dtype: str = "auto",
    max_length: int | None = None,
    batch_tokens: int | None = None,
    progress: Progress = lambda done, total: None,
) -> ActivationStore:
    """Store the activations of `rows` (columns `id`, `text`) at some layers of a model.

    A finished store of the same model, rows and options at `out` is returned as it is; an unfinished one is
    gone on with; one of anything else is refused. Texts longer than `max_length` tokens (the model's window
    unless given) are cut at the end and counted in the manifest's notes.

    Raises InputError for unusable models, rows, layers and options, before anything is written.
    """
    plan = Extraction.plan(model, rows, layers=layers, position=position, dtype=dtype, max_length=max_length)
    return plan.run(out, batch_tokens=batch_tokens, progress=progress)


def extract_cached(plan: Extraction, cache: Path, progress: Progress = lambda done, total: None) -> ActivationStore:
    """The planned store, kept in `cache` under its key, so that it is made once whoever asks."""
    return plan.run(cache / identity_key(plan.identity)[:16], progress=progress)


def tokenized(source: ModelSource, rows: pd.DataFrame, limit: int | None) -> tuple[list[list[int]], int]:
    """Token ids of every row, at most `limit` each, and how many rows were cut to that."""
    texts, cut = rows["text"].tolist(), 0
    if limit is None:
        tokens = source.tokenizer(texts, verbose=False)["input_ids"]
    else:
        # One more than the limit is asked for, which tells a row that was cut from one that just fits.
        tokens = source.tokenizer(texts, truncation=True, max_length=limit + 1, verbose=False)["input_ids"]
        cut = sum(len(t) > limit for t in tokens)
        if cut:  # again, since the tokenizer puts its closing tokens inside the limit
            tokens = source.tokenizer(texts, truncation=True, max_length=limit)["input_ids"]
    for row_id, row in zip(rows["id"], tokens, strict=True):
        if not row:
            raise InputError(f"row {row_id!r}: its text has no tokens in this model's vocabulary; drop it")
    return tokens, cut


def shard_rows(bytes_a_row: int) -> int:
    """How many rows go into a shard."""
    return max(1, min(SHARD_ROWS, SHARD_BYTES // bytes_a_row))


def words_of(vectors: torch.Tensor) -> NDArray[Any]:
    """A tensor's numbers as the store keeps them, bit for bit."""
    vectors = vectors.detach().cpu().contiguous()
    if vectors.dtype == torch.bfloat16:
        return np.asarray(vectors.view(torch.uint16).numpy())
    return np.asarray(vectors.numpy())


def _refuse_non_finite(vectors: torch.Tensor, names: Sequence[str], layer: int, dtype: str) -> None:
    finite = torch.isfinite(vectors).all(dim=1)
    if not bool(finite.all()):
        row = names[int(finite.to(torch.uint8).argmin())]
        advice = "try --dtype bfloat16 or float32" if dtype == "float16" else "are the model's weights damaged?"
        raise InputError(f"layer {layer} of row {row!r} is NaN or infinite in {dtype}: {advice}")
