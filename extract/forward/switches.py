"""Lengths at which a model reads differently: a batch on both sides would make its rows depend on each other."""

from collections.abc import Callable, Hashable
from typing import Any

Mode = Callable[[int], Hashable]  # of a number of tokens; rows of equal mode may share a batch


def mode_of(config: Any) -> Mode:
    """A function from a row's number of tokens to a value that all rows of one batch must share.

    - `attention_type` block_sparse (BigBird): up to a length attention is full; above it rows are filled up to whole
      blocks, the last of which every token sees, so that only rows of as many blocks go together.
    - rotary embeddings `longrope` (Phi-3): other frequencies beyond `original_max_position_embeddings`; `dynamic`:
      beyond it the frequencies are those of the batch's longest row, so that only rows of one length go together.

    Models that are not known here are found by the check of rows alone against rows in a batch (`row_check.py`).
    """
    rotary = [_rotary(config, rope) for rope in _ropes(config)]
    modes = [*_sparse(config), *(mode for mode in rotary if mode is not None)]
    return lambda length: tuple(mode(length) for mode in modes)


def _sparse(config: Any) -> list[Mode]:
    if getattr(config, "attention_type", None) != "block_sparse":
        return []
    block, drawn = int(config.block_size), int(config.num_random_blocks)
    full = (5 + 2 * drawn) * block
    return [lambda length: 0 if length <= full else -(-length // block)]


def _ropes(config: Any) -> list[dict[str, Any]]:
    """The settings of the rotary embeddings: one dict, or one for each kind of layer."""
    settings = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None)
    if not isinstance(settings, dict):
        return []
    nested = [value for value in settings.values() if isinstance(value, dict)]
    return nested or [settings]


def _rotary(config: Any, rope: dict[str, Any]) -> Mode | None:
    kind = rope.get("rope_type", rope.get("type"))
    limit = rope.get("original_max_position_embeddings") or getattr(config, "original_max_position_embeddings", None)
    limit = limit or getattr(config, "max_position_embeddings", None)
    if kind not in ("longrope", "dynamic") or not isinstance(limit, int):
        return None
    if kind == "longrope":
        return lambda length: int(length > limit)
    return lambda length: length if length > limit else 0
