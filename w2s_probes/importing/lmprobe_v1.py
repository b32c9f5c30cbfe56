"""Caches of lmprobe in its first form: a folder a prompt, with a file of `torch.save` for each layer and the mask.

`HASH/layer_3.pt` is (1, tokens, width), `HASH/attention_mask.pt` (1, tokens) and `HASH/pooled_mean/layer_3.pt`
(1, width), as lmprobe 0.10.3 still reads them (lmprobe/cache.py, format v1); later ones have a file a prompt.
"""

import re
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import InputError
from .saved import WHOLE, Saved
from .torch_files import read_torch, read_torch_numbers

ENDING = ".pt"
MASK = "attention_mask"
LAYER = re.compile(r"layer_[0-9]{1,5}")


def read_first_form(folder: Path) -> Saved:
    """The tensors of a prompt's folder by the names that they have in the later form; InputError for what is none."""
    arrays: dict[str, NDArray[Any]] = {}
    dtypes: dict[str, str] = {}
    for path in sorted(folder.rglob(f"*{ENDING}")):
        pooled = path.parent.name if path.parent != folder else ""
        if LAYER.fullmatch(path.stem) and (not pooled or pooled.startswith("pooled_")):
            saved = read_torch(path)
            if WHOLE not in saved.arrays:
                raise InputError(f"{path}: holds several tensors, and lmprobe writes one: not of --layout lmprobe")
            name = f"{pooled}_{path.stem}" if pooled else path.stem
            arrays[name], dtypes[name] = saved.arrays[WHOLE], saved.dtypes[WHOLE]
    if (mask := folder / f"{MASK}{ENDING}").is_file():
        arrays[MASK], dtypes[MASK] = read_torch_numbers(mask), "int64"
    if not arrays:
        raise InputError(f"{folder}: no layer_0.pt, layer_1.pt, ...: not of --layout lmprobe")
    return Saved(arrays, dtypes)
