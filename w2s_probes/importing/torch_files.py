"""Files of `torch.save`: tensors alone, mapped into memory; anything that a pickle could run is refused."""

import pickle
import struct
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, reason
from .saved import WHOLE, Saved, last_number

# What torch.load has been seen to raise, or could, for files that are cut, changed or of something else.
DAMAGED = (
    *(RuntimeError, ValueError, OSError, EOFError, LookupError, AttributeError, TypeError, MemoryError),
    *(AssertionError, OverflowError, struct.error),
)


def read_torch(path: Path) -> Saved:
    """A tensor, or the tensors of a dict (by name or layer number) or of a list (by layer, from 0)."""
    try:
        import torch
    except ImportError as error:
        raise InputError(
            f"{path}: is read with torch, which is not installed: pip install 'w2s-probes[models]'"
        ) from error
    held = dict(_tensors(_loaded(path), path))
    dtypes = {name: str(tensor.dtype).removeprefix("torch.") for name, tensor in held.items()}
    arrays: dict[str, NDArray[Any]] = {}
    for name, tensor in held.items():
        plain = tensor.detach()
        if plain.is_nested or plain.layout is not torch.strided or plain.is_quantized or plain.is_meta:
            raise InputError(f"{path}: a nested, sparse, quantized or empty tensor: save it dense")
        if plain.numel() * plain.itemsize > plain.untyped_storage().nbytes():
            raise InputError(
                f"{path}: an expanded tensor of shape {tuple(plain.shape)}, for whose numbers the file has "
                f"{plain.untyped_storage().nbytes():,} bytes: save it with .contiguous()"
            )
        plain = plain.resolve_conj().resolve_neg()  # whose numbers are kept with the other sign
        if plain.dtype is torch.bfloat16:
            arrays[name] = plain.view(torch.uint16).numpy()
        elif dtypes[name] in ("float16", "float32", "float64"):
            arrays[name] = plain.numpy()
        else:  # refused by its name, if it is wanted
            arrays[name] = np.broadcast_to(np.uint8(0), tuple(plain.shape))
    return Saved(arrays, dtypes)


def read_torch_numbers(path: Path) -> NDArray[np.int64]:
    """A tensor of whole numbers or truth values, read whole; InputError for a file of anything else."""
    read_torch(path)  # refuses a file of more than tensors
    loaded = _loaded(path)
    import torch

    if not isinstance(loaded, torch.Tensor) or loaded.is_floating_point() or loaded.is_complex():
        raise InputError(f"{path}: holds no tensor of whole numbers")
    return np.asarray(loaded.detach().to(torch.int64).contiguous().numpy())


def _loaded(path: Path) -> Any:
    import torch

    for mapped in (True, False):  # files of old releases are no archives, and cannot be mapped
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about protocols: what cannot be read is refused below, in one line
                return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        except pickle.UnpicklingError as error:
            raise InputError(
                f"{path}: holds more than tensors, and loading it could run anything: save a tensor, or a dict of "
                "tensors, alone"
            ) from error
        except DAMAGED as error:
            if not mapped:
                raise InputError(f"{path}: not a readable torch file ({reason(error)})") from error
    raise AssertionError


def _tensors(loaded: Any, path: Path) -> Iterator[tuple[str, Any]]:
    import torch

    if isinstance(loaded, torch.Tensor):
        yield WHOLE, loaded
        return
    if isinstance(loaded, list) and all(isinstance(value, torch.Tensor) for value in loaded):
        loaded = dict(enumerate(loaded))
    if not isinstance(loaded, Mapping):
        raise InputError(f"{path}: holds a {type(loaded).__name__}; a tensor, or a dict or list of tensors, is needed")
    tensors = {name: value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
    alike = {found.series for name in tensors if (found := last_number(str(name)))}
    for name, value in loaded.items():  # what else there is describes them, unless it is called as a layer is
        if name not in tensors and (found := last_number(str(name))) and found.series in alike:
            raise InputError(
                f"{path}: entry {str(name)[:40]!r} is a {type(value).__name__}, but its name is like those of the "
                "tensors: save it as a tensor, or leave it out"
            )
    if len({str(name) for name in tensors}) < len(tensors):
        raise InputError(f"{path}: names the same layer by text and by number: leave one of each out")
    yield from ((str(name), value) for name, value in tensors.items())
