"""Padding that was read as if it were text: rows behind or before some pads, as a careless batch leaves them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from w2s_probes.checkpoints.tokens import Tokens

from ..forward.engine import Engine
from ..forward.trace import hidden
from ..models.source import ModelSource

MOST = 32  # pads that are tried one by one
ROUND = (64, 128, 256, 512)  # lengths to which texts are often filled up
SIDES = (("left", False), ("right", False), ("left", True), ("right", True))  # and whether the mask hides the pads


@dataclass(frozen=True)
class PaddedRow:
    """A row that is tried with pads: its name, its tokens and what the store holds of it at some layers."""

    name: str
    tokens: Tokens
    stored: Mapping[int, NDArray[np.float32]]  # (width,) by layer
    at: int | None = None  # its token at the marked position


def padding_faults(
    engine: Engine, source: ModelSource, rows: Sequence[PaddedRow], longest: int, limits: Mapping[int, float]
) -> dict[int, str]:
    """By layer, how the pads of a row must have been read to give what the store holds; layers without are missing.

    `longest` is the number of tokens of the longest row, to which all may have been filled up; `limits` are by layer
    the largest distances. What explains the most layers is said of all of them.
    """
    explained: dict[str, set[int]] = {}
    for row in rows:
        for side, masked in SIDES if row.stored else ():
            for pads in _pads(len(row.tokens), longest, source.window):
                states = _states(engine, source, _padded(row.tokens, pads, source.pad, side, masked), list(row.stored))
                for layer, vector in row.stored.items():
                    for count, padded in zip(pads, states[layer], strict=True):
                        for where in _pooled_like(padded, vector, row, count, side, limits[layer]):
                            words = _in_words(row.name, count, side, where, masked=masked)
                            explained.setdefault(words, set()).add(layer)
        if any(len(layers) == len(row.stored) for layers in explained.values()):
            break
    faults: dict[int, str] = {}
    for words, layers in sorted(explained.items(), key=lambda item: -len(item[1])):
        faults = dict.fromkeys(layers, words) | faults
    return faults


def _pads(length: int, longest: int, window: int | None) -> list[list[int]]:
    """The numbers of pads that are tried, few and many apart, so that few of them make short batches."""
    limit = max(*ROUND, longest) if window is None else window
    counts = sorted({*range(1, MOST + 1), *(end - length for end in (longest, *ROUND))})
    few = [count for count in counts if 0 < count <= min(MOST, limit - length)]
    many = [count for count in counts if MOST < count <= limit - length]
    return [pads for pads in (few, many) if pads]


def _in_words(name: str, count: int, side: str, where: str, *, masked: bool) -> str:
    hidden_from = ("masked" if side == "right" else "masked, positions counted from them") if masked else "not masked"
    return (
        f"{side} padding is read: {where} of row {name!r} with {count} pad{'s' * (count != 1)} on the {side}, "
        f"{hidden_from}"
    )


def _padded(tokens: Tokens, pads: Sequence[int], pad: int, side: str, masked: bool) -> tuple[Tensor, Tensor]:
    """The row with each number of pads at its side; shorter ones are filled up on the right, and that is masked."""
    longest = len(tokens) + max(pads)
    ids = np.full((len(pads), longest), pad, dtype=np.int64)
    mask = np.zeros((len(pads), longest), dtype=np.int64)
    for number, count in enumerate(pads):
        begin = count if side == "left" else 0
        ids[number, begin : begin + len(tokens)] = tokens
        mask[number, begin : begin + len(tokens)] = 1
        if not masked:
            mask[number, : count + len(tokens)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def _pooled_like(
    states: NDArray[np.float32], stored: NDArray[np.float32], row: PaddedRow, pads: int, side: str, limit: float
) -> list[str]:
    """Which tokens or means of the padded row's states (tokens, width) the stored vector is within a distance of."""
    begin, length = pads if side == "left" else 0, len(row.tokens)
    real, whole = states[begin : begin + length], states[: length + pads]
    ways = {
        "the last token": whole[-1],
        "the first token": whole[0],
        "the mean of pads and tokens": whole.mean(axis=0),
        "the last token of the text": real[-1],
        "the first token of the text": real[0],
        "the mean of the text": real.mean(axis=0),
        **({} if row.at is None else {"the marked token": real[row.at]}),
    }
    distances = np.linalg.norm(np.stack(list(ways.values())) - stored, axis=1)
    return [way for way, distance in zip(ways, distances, strict=True) if distance <= limit]


@torch.inference_mode()
def _states(
    engine: Engine, source: ModelSource, inputs: tuple[Tensor, Tensor], layers: Sequence[int]
) -> dict[int, NDArray[np.float32]]:
    """The states (rows, tokens, width) at some layers of rows as they are, padding left where it stands."""
    seen: dict[int, Tensor] = {}
    blocks: list[nn.Module] = list(engine.reader.model.get_submodule(source.block_path).children())

    def going_in(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        seen[0] = args[0] if args else kwargs["hidden_states"]

    modules = {layer: blocks[layer - 1] for layer in layers if layer}
    for layer, path in engine.site_modules.items():
        modules[layer] = blocks[layer - 1].get_submodule(path)
    rows = len(inputs[0])
    hooks = [blocks[0].register_forward_pre_hook(going_in, with_kwargs=True)]
    for layer, module in modules.items():

        def going_out(_m: nn.Module, _a: Any, out: Any, layer: int = layer) -> None:
            states = hidden(out)
            seen[layer] = states.reshape(rows, -1, states.shape[-1]).clone()

        hooks.append(module.register_forward_hook(going_out))
    engine.restore()
    try:
        ids, mask = (tensor.to(engine.reader.device) for tensor in inputs)
        engine.reader.model(input_ids=ids, attention_mask=mask)
    finally:
        for hook in hooks:
            hook.remove()
    return {layer: seen[layer].float().cpu().numpy() for layer in layers}
