"""What a mapping may say of an HDF5 file's datasets: `states=acts`, or a layer a dataset, `16=model/l16`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError, did_you_mean
from ..io.validated import read_toml

KEYS = ("states", "layers", "offsets", "ids", "token_ids")


@dataclass(frozen=True)
class Mapped:
    """The datasets of a file by what they are; names of others are nowhere read."""

    states: str | None = None  # (rows, width), (rows, layers, width) or (layers, rows, width), or tokens for rows
    by_layer: dict[int, str] = field(default_factory=dict)  # or one dataset a layer
    layers: str | None = None  # whole numbers (layers,), the layers of `states`
    offsets: str | None = None  # whole numbers (rows + 1,): row i has tokens offsets[i] up to offsets[i + 1]
    ids: str | None = None  # (rows,), by which rows are joined; without, they are in the order of the row file
    token_ids: str | None = None  # whole numbers (tokens,)


def read_mapping(given: Sequence[str]) -> Mapped:
    """A mapping typed as `key=dataset`, or as the name of a TOML file of such lines; InputError for anything else."""
    pairs: dict[str, str] = {}
    for text in given:
        if "=" in text:
            key, _, value = text.partition("=")
            found = {key.strip(): value.strip()}
        else:
            if not Path(text).is_file():
                raise InputError(f"--mapping {text}: give key=dataset, or a TOML file of such lines: no such file")
            found = {str(key): value for key, value in read_toml(Path(text)).items()}
        for key, value in found.items():
            if key in pairs:
                raise InputError(f"--mapping: says {key} twice")
            if not isinstance(value, str) or not value:
                raise InputError(f"--mapping {key}: {value!r} is no name of a dataset")
            pairs[key] = value
    by_layer = {int(key): pairs.pop(key) for key in list(pairs) if re.fullmatch("[0-9]{1,5}", key)}
    for key in pairs:
        if key not in KEYS:
            raise InputError(f"--mapping {key}: {did_you_mean(key, KEYS)}, or a layer's number")
    mapped = Mapped(by_layer=by_layer, **pairs)
    if (mapped.states is None) == (not by_layer):
        raise InputError("--mapping: give states=DATASET, or a dataset a layer, as in 16=model/l16: one of the two")
    if mapped.layers is not None and by_layer:
        raise InputError("--mapping layers: is of `states`, and here each dataset is a layer: leave it away")
    if mapped.token_ids is not None and mapped.offsets is None:
        raise InputError("--mapping token_ids: give offsets, too, which say whose tokens they are")
    return mapped
