"""Whether a model fits into memory whole, which is said before minutes are spent on loading it."""

import torch

from w2s_probes.errors import InputError
from w2s_probes.places.memory import free_memory
from w2s_probes.store.dtypes import WORDS, StoredDtype

from ..options import SPREAD
from .loading import usable_device
from .source import ModelSource


def refuse_too_large(
    source: ModelSource, dtype: StoredDtype, device_map: str | None, quantization: str | None, remedy: str
) -> None:
    """InputError where a model's weights are larger than the memory that is free on its device, with what to do.

    Nothing is said of a model spread over devices or quantised, nor where the system does not tell its memory.
    """
    if device_map in SPREAD or quantization is not None or source.remote:
        return
    device = usable_device(device_map)
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
    if device.type not in ("cpu", "cuda") or free is None:
        return
    size = sum(parameter.numel() for parameter in source.skeleton.parameters()) * WORDS[dtype].itemsize
    if size > free:
        raise InputError(
            f"model {source.name}: its weights take {_gigabytes(size)} in {dtype}, and {_gigabytes(free)} are free on "
            f"{device}: {remedy}"
        )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.3g} GB"
