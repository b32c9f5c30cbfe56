"""Names of layers: 0 is the embedding output, i the residual stream after block i (before any final norm)."""

import re
from collections.abc import Sequence

from ..errors import InputError

LayerSpec = str | int | Sequence[int]


def parse_layers(spec: LayerSpec, depth: int) -> list[int]:
    """The layers that a specification names in a model of `depth` blocks, ascending and without doubles.

    Accepts an index, a sequence of indices, or a string: `all`, `middle` (the block half-way up, depth // 2),
    `0-12`, `1,4,-1`. Negative indices count from the last block: -1 is `depth`.

    Raises InputError for a name that is not one of these and for a layer outside 0..depth.
    """
    if isinstance(spec, int):
        wanted = [spec]
    elif isinstance(spec, str):
        wanted = [layer for part in spec.split(",") for layer in _parse_part(part.strip(), depth)]
    else:
        wanted = [int(layer) for layer in spec]
    if not wanted:
        raise InputError("no layer was named: give an index, a range such as 0-12, 'all' or 'middle'")
    for layer in wanted:
        if not -depth - 1 <= layer <= depth:
            raise InputError(f"layer {layer} is outside 0..{depth}: 0 is the embedding output, {depth} the last block")
    return sorted({layer % (depth + 1) for layer in wanted})


def refuse_no_layers(spec: str) -> None:
    """InputError for a specification that names layers of no model, however deep."""
    for part in spec.split(","):
        _parse_part(part.strip(), 0)


def _parse_part(part: str, depth: int) -> list[int]:
    if part == "all":
        return list(range(depth + 1))
    if part == "middle":
        return [depth // 2]
    if re.fullmatch(r"-?[0-9]{1,9}", part):
        return [int(part)]
    if span := re.fullmatch(r"([0-9]{1,9})-([0-9]{1,9})", part):
        first, last = int(span[1]), int(span[2])
        if first > last:
            raise InputError(f"layer range {part!r} runs backwards: write {last}-{first}")
        return list(range(first, min(last, depth + 1) + 1))  # one beyond the model is enough to be refused
    raise InputError(f"layer {part[:40]!r} is not an index, a range such as 0-12, a list 1,4,-1, 'all' or 'middle'")


def one_layer(spec: LayerSpec, depth: int) -> int:
    """The single layer that `spec` names; InputError where it names several."""
    layers = parse_layers(spec, depth)
    if len(layers) > 1:
        raise InputError(f"{spec!r} names {len(layers)} layers where one is needed")
    return layers[0]
