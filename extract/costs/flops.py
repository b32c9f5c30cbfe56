"""The multiplications of a forward pass, counted from the shapes of a model's blocks, without weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

# The names in configs for the experts that a token visits, and for their number.
VISITED = ("num_experts_per_tok", "moe_topk", "moe_top_k", "moe_k", "top_k_experts")
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")


@dataclass(frozen=True)
class BlockWork:
    """The multiplications of one block for one token."""

    weights: float  # entries of the matrices that the token is multiplied with; of experts, the visited ones' only
    pairs: int  # multiplications for every token that it is attended with: queries' and values' widths, all heads
    held: float  # numbers that the matrices' larger sides hold


@dataclass(frozen=True)
class Batching:
    """Rows of these lengths in batches of like length, padding included."""

    tokens: int
    pairs: int  # of tokens in one row, which is what attention's cost follows
    count: int  # batches
    longest: int  # tokens
    largest: int  # tokens of the largest batch

    @classmethod
    def of(cls, lengths: NDArray[np.int64], budget: int) -> "Batching":
        """The batches that `checkpoints.batches` makes of `lengths` (rows,), without listing the rows of each."""
        ordered = np.sort(lengths)[::-1]
        tokens = pairs = count = largest = start = 0
        while start < len(ordered):
            longest = int(ordered[start])
            rows = min(max(1, budget // max(1, longest)), len(ordered) - start)
            tokens, pairs, start = tokens + rows * longest, pairs + rows * longest**2, start + rows
            count, largest = count + 1, max(largest, rows * longest)
        return cls(tokens, pairs, count, int(ordered[0]), largest)


def forward_flops(work: Sequence[BlockWork], batching: Batching) -> float:
    """Operations of all blocks for all tokens; a multiplication and its addition count as two.

    Matrices and attention alone, as is usual. Attention counts every pair of a row's tokens: causal and windowed
    models mask the others after multiplying them, unless a fused kernel skips some.
    """
    return 2.0 * sum(block.weights * batching.tokens + block.pairs * batching.pairs for block in work)


def block_work(block: nn.Module, config: Any, index: int) -> BlockWork:
    """The work of the block with this index (from 0) in a model of this config."""
    text = config.get_text_config()
    visited, known = experts_of(config)
    weights = held = 0.0
    for name, parameter in block.named_parameters():
        path, _, parameter_name = name.rpartition(".")
        owner, shape = block.get_submodule(path), parameter.shape
        if parameter.dim() < 2 or "bias" in parameter_name or isinstance(owner, nn.Embedding):
            continue
        experts = copies = 1
        if "Expert" in type(owner).__name__:  # one parameter holds every expert's matrix: stacked, or end to end
            experts = shape[0] if parameter.dim() == 3 else known or 1
            copies = min(visited or experts, experts)
        matrix = shape[-2:] if parameter.dim() == 3 else (shape[0] // experts, shape[1])
        weights += copies * parameter.numel() / experts
        held += copies * max(matrix)
    return BlockWork(weights, _pairs(block, text, index), held)


def experts_of(config: Any) -> tuple[int, int]:
    """The experts that a token visits, and their number; zeros where there are none or the config does not tell."""
    text = config.get_text_config()
    places = [text, getattr(text, "ffn_config", None)]
    return _first(places, VISITED), _first(places, EXPERTS)


def _pairs(block: nn.Module, text: Any, index: int) -> int:
    kinds = getattr(text, "layer_types", None) or ()
    linear = index < len(kinds) and "linear" in str(kinds[index])
    if linear or not any("Attention" in type(module).__name__ for module in block.modules()):
        return 0
    heads = _first([text], ["num_attention_heads"])
    usual = _first([text], ["head_dim"]) or text.hidden_size // max(1, heads)
    # Multi-head latent attention has queries and values of different sizes.
    query = _first([text], ["qk_head_dim"]) or usual
    value = _first([text], ["v_head_dim"]) or usual
    return int(heads * (query + value))


def _first(places: Sequence[Any], names: Sequence[str]) -> int:
    values = (getattr(place, name, None) for place in places for name in names)
    return next((value for value in values if isinstance(value, int) and value), 0)
