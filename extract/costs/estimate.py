"""The costs of an extraction by the model's config and the rows' lengths: disk, memory, operations, hours."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2s_probes.errors import InputError
from w2s_probes.store.dtypes import WORDS, StoredDtype
from w2s_probes.store.layers import LayerSpec
from w2s_probes.store.shards import PAGE

from ..extractor import SHARD_BYTES, SHARD_ROWS
from ..forward.engine import GPU_TOKENS
from ..forward.layout import refuse_layout_of_skeleton
from ..models.source import ModelSource
from ..positions import mark_of
from ..site import Site, layers_of, site_parts
from .flops import Batching, BlockWork, block_work, experts_of, forward_flops

A100 = {"bfloat16": 312e12, "float16": 312e12, "float32": 19.5e12}  # FLOP/s of its data sheet, dense, without TF32
UTILISATION = 0.4  # of that peak, which forward passes of long batches usually reach
# Bytes on disk beside the activations, as measured in stores of 1 to 81 layers.
ID, OFFSET, TOKEN, SHARD_HEADER, DATASET_HEADER, MANIFEST = 16, 8, 4, 3200, 420, 2000
PROGRAM = 1_000_000_000  # bytes of host memory: Python, torch and transformers, once loaded
TEXT_BYTES = 12  # of host memory a token: its id, and the characters of the row that it came from
# Intermediate results of a block, in units of its matrices' larger sides: activation functions and norms keep
# copies. The peaks that tests/extract/costs/test_estimate.py measures are .5 to 1.1 of the working memory that follows.
COPIES = 1.5
SCORE_COPIES = 3  # of the attention scores, in float32, where a model has no fused attention


@dataclass(frozen=True)
class Costs:
    """The costs of one extraction; sizes in bytes."""

    rows: int
    tokens: int  # without padding
    longest: int  # tokens of the longest row
    layers: list[int]
    site: str
    position: str
    dtype: StoredDtype
    depth: int  # blocks of the model
    width: int
    parameters: int  # of what is loaded: the trunk, with the language-model head where logits are read
    block_parameters: int  # of all its blocks
    active_parameters: int  # with which a token is multiplied, in the blocks that are run
    experts: tuple[int, int]  # how many a token visits, of how many; zeros where there are none
    flops: float  # of the forward passes, padding included
    store: int  # on disk
    host: int  # memory beside a GPU; without one, `device` comes on top
    weights: int  # in the device's memory
    working: int  # in the device's memory, for the largest batch
    batch_tokens: int
    batches: int

    @property
    def blocks_run(self) -> int:
        """The number of blocks: the model is stopped after the last wanted layer."""
        return max(self.layers)

    @property
    def device(self) -> int:
        """Memory of the GPU, without its driver's."""
        return self.weights + self.working

    @property
    def offloaded_weights(self) -> int:
        """The weights that are in memory at a time with `--offload`: those outside the blocks, and of two blocks."""
        outside = self.parameters - self.block_parameters
        return round(
            self.weights * (outside + min(2, self.depth) * self.block_parameters / self.depth) / self.parameters
        )

    def seconds(self, *, flops_per_s: float | None = None, tokens_per_s: float | None = None) -> float:
        """Time of the forward passes at a rate, `default_rate` unless given; loading is not in it."""
        for name, rate in (("flops_per_s", flops_per_s), ("tokens_per_s", tokens_per_s)):
            if rate is not None and not (rate > 0 and math.isfinite(rate)):
                raise InputError(f"{name}={rate:g} must be a number above 0")
        if flops_per_s is not None and tokens_per_s is not None:
            raise InputError("flops_per_s and tokens_per_s are two rates for one thing: give one of them")
        if tokens_per_s is not None:
            return self.tokens / tokens_per_s
        return self.flops / (flops_per_s or default_rate(self.dtype))


def default_rate(dtype: StoredDtype) -> float:
    """FLOP/s: the share `UTILISATION` of an A100's peak in this dtype."""
    return UTILISATION * A100[dtype]


def estimate(
    source: ModelSource,
    lengths: NDArray[np.int64],
    *,
    layers: LayerSpec = "all",
    site: str = "residual",
    position: str | Mapping[str, str] = "last",
    dtype: str = "auto",
    batch_tokens: int | None = None,
) -> Costs:
    """The costs of extracting rows of these lengths (rows,) in tokens; options as of `Extraction.plan`.

    Several positions by name, as `plan_positions` takes them, are a store each, and the rows are read once.
    Of the model nothing but the config is read (`ModelSource.describe` finds it); `lengths.token_lengths` counts
    the tokens of rows. Raises InputError for options that it would refuse.
    """
    positions = {"": position} if isinstance(position, str) else position
    for one in positions.values():
        mark_of(one)  # which refuses what is none
    stored_as = source.stored_dtype(dtype)
    name, words = site_parts(site)
    read = Site(name, tuple(range(len(words))))  # which tokens these are costs nothing
    if batch_tokens is not None and batch_tokens < 1:
        raise InputError(f"batch_tokens={batch_tokens} must be at least 1")
    wanted = layers_of(read, layers, source.depth)
    refuse_layout_of_skeleton(source, wanted)
    blocks = list(source.skeleton.get_submodule(source.block_path).children())
    work = [block_work(block, source.config, i) for i, block in enumerate(blocks[: max(wanted)])]
    batching = Batching.of(lengths, batch_tokens or GPU_TOKENS)
    size, tokens = WORDS[stored_as].itemsize, int(lengths.sum())
    ragged = "all" in positions.values()
    vectors = tokens if ragged else len(lengths)  # of one store
    headed = tokens if ragged or "mean" in positions.values() else len(positions) * vectors  # that the head is run on
    activations = vectors * read.width(source.width) * size * len(wanted)
    parameters = sum(p.numel() for p in source.skeleton.parameters())
    head = source.vocabulary * source.width if words else 0
    if head and not getattr(source.config, "tie_word_embeddings", False):
        parameters += head
    return Costs(
        rows=len(lengths),
        tokens=tokens,
        longest=batching.longest,
        layers=wanted,
        site=site,
        position=", ".join(f"{name}={one}" if name else one for name, one in positions.items()),
        dtype=stored_as,
        depth=source.depth,
        width=source.width,
        parameters=parameters,
        block_parameters=sum(p.numel() for block in blocks for p in block.parameters()),
        active_parameters=round(sum(block.weights for block in work)),
        experts=experts_of(source.config),
        flops=forward_flops(work, batching) + 2 * head * len(wanted) * headed,
        store=len(positions) * (activations + _beside(len(lengths), tokens if ragged else 0, activations, len(wanted))),
        # Of each store one part is filled, one written.
        host=PROGRAM + len(positions) * 2 * min(SHARD_BYTES, activations) + tokens * TEXT_BYTES,
        weights=parameters * size,
        working=batching.largest * _held(source, work, batching.longest, size, len(wanted) if ragged else 0),
        batch_tokens=batch_tokens or GPU_TOKENS,
        batches=batching.count,
    )


def _beside(rows: int, ragged_tokens: int, activations: int, layers: int) -> int:
    """Bytes of a store that are not activations."""
    shard_rows = min(rows, max(1, min(SHARD_ROWS, SHARD_BYTES * rows // activations)))
    shards = -(-rows // shard_rows)
    ragged = ragged_tokens * TOKEN + rows * OFFSET if ragged_tokens else 0
    dataset = activations * shard_rows // (layers * rows)
    unused = -dataset % PAGE if dataset >= PAGE else 0  # layers begin with a page of the file
    return rows * ID + ragged + shards * (SHARD_HEADER + layers * (DATASET_HEADER + unused)) + MANIFEST


def _held(source: ModelSource, work: list[BlockWork], longest: int, size: int, kept_layers: int) -> int:
    """Bytes that one token of a batch needs at the fullest moment: the results of one block, not of all."""
    results = COPIES * max((block.held for block in work), default=0) * size
    stream = source.width * 4  # in float32, for norms and means
    mask = longest * (1 + size)  # of attention, as booleans and as numbers
    scores = 0
    if getattr(source.skeleton.config, "_attn_implementation", None) == "eager":
        scores = SCORE_COPIES * 4 * longest * getattr(source.config.get_text_config(), "num_attention_heads", 0)
    # Of position `all` every layer's vectors wait on the device, once as they are and once stacked.
    return int(results + stream + mask + scores + 2 * kept_layers * source.width * size)
