"""The layers of a file of saved activations: each an array of it, or a slice of one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

from numpy.typing import NDArray

from ..errors import InputError, did_you_mean, preview
from ..store.dtypes import StoredDtype
from ..store.layers import LayerSpec, parse_layers
from .saved import WHOLE, Saved, last_number, words

Order = Literal["rows", "layers"]
HIGHEST = 10_000  # layers of any model: what is beyond it is a date, a step, or a slip


@dataclass(frozen=True)
class Layers:
    """One file's activations: for each layer words (n, d) of one format, and where they stood."""

    words: Mapping[int, NDArray[Any]]
    sites: Mapping[int, str]
    dtype: StoredDtype

    @property
    def width(self) -> int:
        """Numbers a row and layer."""
        return int(next(iter(self.words.values())).shape[1])


@dataclass(frozen=True)
class _LayerArray:
    """A layer's array, the name of the file's array that it is of, and the slice."""

    name: str
    array: NDArray[Any]
    slot: str = ""

    @property
    def place(self) -> str:
        """For the manifest."""
        return f"{self.name}{self.slot}" or "array"


def by_layer(
    saved: Saved,
    rows: int,
    where: str,
    *,
    layers: LayerSpec | None,
    depth: int | None,
    key: str | None,
    order: Order | None,
    dtype: str | None,
) -> Layers:
    """The layers of what a file holds for `rows` rows (see `import_activations`); InputError where it is not clear."""
    names = list(saved.arrays)
    if key is not None:
        if names == [WHOLE]:
            raise InputError(f"{where}: holds one array, which has no name: leave --key {key} away")
        if key not in saved.arrays:
            raise InputError(f"{where}: no array {key!r}: {did_you_mean(key, names)}")
        names = [key]
    _refuse_order(order, [saved.arrays[name].shape for name in names], where)
    for name in names:
        if 0 in saved.arrays[name].shape:
            raise InputError(f"{where}: an array of shape {saved.arrays[name].shape}, which holds no numbers")
    if len(names) > 1:
        parts = _numbered(saved, names, where, layers, depth)
    else:
        parts = _slices(saved.arrays[names[0]], names[0], rows, where, layers, depth, order)
    by_number, dtypes = {}, {}
    for layer, part in parts.items():
        array = part.array
        if array.ndim != 2 or array.shape[0] != rows:
            raise InputError(
                f"{where}: layer {layer} has shape {array.shape}, but there are {rows} rows: it must be ({rows}, width)"
            )
        by_number[layer], dtypes[layer] = words(array, saved.dtypes[part.name], where, dtype)
    widths = {layer: array.shape[1] for layer, array in by_number.items()}
    for what, values in (("widths", widths), ("number formats", dtypes)):
        if len(set(values.values())) > 1:
            raise InputError(
                f"{where}: its layers have several {what} ({preview(sorted(set(values.values())))}): one store has one"
            )
    return Layers(
        by_number, {layer: f"imported {part.place}" for layer, part in parts.items()}, next(iter(dtypes.values()))
    )


def _numbered(
    saved: Saved, names: list[str], where: str, layers: LayerSpec | None, depth: int | None
) -> dict[int, _LayerArray]:
    """Arrays whose names end in the number of their layer, or those of them that are asked for."""
    numbers = {name: _number(name, where) for name in names}
    by_number = {number: name for name, number in numbers.items() if number is not None}
    if None in numbers.values() or len(by_number) < len(names):
        raise InputError(
            f"{where}: holds {preview(names, 6)}, whose names do not end in layer numbers, one each: "
            "choose one with --key"
        )
    wanted = sorted(by_number) if layers is None else chosen_layers(layers, depth)
    missing = [layer for layer in wanted if layer not in by_number]
    if missing:
        raise InputError(f"{where}: no layer {missing[0]}; it holds {preview(sorted(by_number), 40)}")
    return {layer: _LayerArray(by_number[layer], saved.arrays[by_number[layer]]) for layer in wanted}


def _slices(
    array: NDArray[Any],
    name: str,
    rows: int,
    where: str,
    layers: LayerSpec | None,
    depth: int | None,
    order: Order | None,
) -> dict[int, _LayerArray]:
    """The layers of one array: (rows, width) is one, (rows, layers, width) or (layers, rows, width) are several."""
    if array.ndim == 2:
        number = _number(name, where) if layers is None else None
        named = chosen_layers(layers, depth) if layers is not None else [] if number is None else [number]
        if len(named) != 1:
            raise InputError(f"{where}: holds one layer, of shape {array.shape}: say which it is, as in --layers 16")
        return {named[0]: _LayerArray(name, array)}
    if array.ndim != 3:
        raise InputError(
            f"{where}: an array of shape {array.shape}; it must be (rows, width), (rows, layers, width) or "
            "(layers, rows, width)"
        )
    axis = row_axis(array.shape, rows, where, order)
    slots = array.shape[1 - axis]
    named = list(range(slots)) if layers is None else chosen_layers(layers, depth)
    if len(named) != slots:
        raise InputError(f"{where}: holds {slots} layers, but --layers names {len(named)}: name each that it holds")
    if axis == 0:
        return {layer: _LayerArray(name, array[:, i], f"[:, {i}]") for i, layer in enumerate(named)}
    return {layer: _LayerArray(name, array[i], f"[{i}]") for i, layer in enumerate(named)}


def row_axis(shape: tuple[int, ...], rows: int, where: str, order: Order | None) -> int:
    """Which axis of (rows, layers, width) or (layers, rows, width) counts rows."""
    fits = [axis for axis in (0, 1) if shape[axis] == rows]
    if order is not None:
        fits = [axis for axis in fits if axis == ("rows", "layers").index(order)]
    if not fits:
        raise InputError(f"{where}: an array of shape {shape}, but there are {rows} rows: the numbers must agree")
    if len(fits) > 1:
        raise InputError(f"{where}: shape {shape} has {rows} rows and {rows} layers: say which come first with --order")
    return fits[0]


def _refuse_order(order: Order | None, shapes: list[tuple[int, ...]], where: str) -> None:
    if order is not None and order not in get_args(Order):
        raise InputError(f"--order {order!r}: {did_you_mean(str(order), get_args(Order))}")
    flat = [shape for shape in shapes if len(shape) == 2]
    if order == "layers" and flat:
        raise InputError(
            f"{where}: --order layers is of arrays (layers, rows, width), and this holds one of shape {flat[0]}, which "
            "is one layer: leave it away"
        )


def _number(name: str, where: str) -> int | None:
    """The last number in a name: 12 in `model.layers.12`, `layer_012` and `12`."""
    last = last_number(name)
    if last is None:
        return None
    if _beyond(last.number):
        raise InputError(
            f"{where}: {name[-60:]!r} ends in {last.number[:24]}, but no layer is above {HIGHEST}: rename it, or "
            "choose one array with --key and say which layer it is, as in --layers 16"
        )
    return int(last.number)


def _beyond(number: str) -> bool:
    digits = number.lstrip("0")
    return len(digits) > len(str(HIGHEST)) or int(digits or "0") > HIGHEST


def refuse_depth(depth: int | None) -> None:
    """InputError for a number of blocks that no model has."""
    if depth is not None and not 0 <= depth <= HIGHEST:
        raise InputError(f"--depth {str(depth)[:24]}: a model has 0 to {HIGHEST} blocks")


def chosen_layers(spec: LayerSpec, depth: int | None) -> list[int]:
    """The layers that a specification names, which must ascend; without the model's depth it must give their numbers.

    `parse_layers` sorts them; here, where they name what lies in a file in some order, that would swap layers.
    """
    parts: list[LayerSpec]
    if isinstance(spec, str):
        parts = [part.strip() for part in spec.split(",")]
    else:
        parts = [spec] if isinstance(spec, int) else [int(layer) for layer in spec]
    text = ",".join(map(str, parts))
    if too_high := [number for number in re.findall("[0-9]+", text) if _beyond(number)]:
        raise InputError(f"--layers {text[:40]}: {too_high[0][:24]} is no layer: none is above {HIGHEST}")
    if depth is None:
        if re.search(r"[a-z]|(^|,)\s*-", text):
            raise InputError(
                f"--layers {text[:40]}: give --depth, the model's number of blocks, or the layers' own numbers"
            )
        depth = max((int(number) for number in re.findall("[0-9]+", text)), default=0)
    layers = [layer for part in parts for layer in parse_layers(part, depth)]
    if any(above <= below for below, above in pairwise(layers)):
        raise InputError(
            f"--layers {text[:40]}: name each layer once, the lowest first; an array that holds them in another order "
            "must be saved in that one"
        )
    return layers or parse_layers(spec, depth)
